import { namespacedTopic, type SourceTopicName, TOPICS } from '@tracehound/event-model';
import type { RecordKind } from './audit-row.ts';

/** The topics the sink reads and what their records are (X1). */
export const INTAKE_KINDS = {
  'security.events': 'event',
  'security.telemetry': 'event',
  'security.late': 'late',
  'security.findings': 'finding',
  'security.alerts': 'alert',
  'security.alert-lifecycle': 'lifecycle',
  'security.deliveries': 'delivery',
  'detection.activations': 'rules',
} as const satisfies Partial<Record<SourceTopicName, RecordKind>>;

export type IntakeTopicName = keyof typeof INTAKE_KINDS;

export const INTAKE_TOPICS: readonly IntakeTopicName[] = Object.keys(INTAKE_KINDS).filter(
  (name): name is IntakeTopicName => name in TOPICS && name in INTAKE_KINDS,
);

export type IntakeTopic = {
  readonly name: IntakeTopicName;
  readonly kind: RecordKind;
  readonly deadLetterTopic: string;
};

/** Intake topics by their name in the cluster. */
export function intakeTopics(namespace: string): ReadonlyMap<string, IntakeTopic> {
  return new Map(
    INTAKE_TOPICS.map((name) => [
      namespacedTopic(namespace, name),
      { name, kind: INTAKE_KINDS[name], deadLetterTopic: namespacedTopic(namespace, `${name}.dlq`) },
    ]),
  );
}
