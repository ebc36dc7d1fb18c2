import { intakeTopicNames, namespacedTopic, type SourceTopicName, TOPICS } from '@tracehound/event-model';
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
  /** Name in the rows: without the namespace; of a mirrored topic its name in the cluster. */
  readonly name: string;
  readonly kind: RecordKind;
  readonly deadLetterTopic: string;
};

/**
 * Intake topics by their name in the cluster, those that mirror events of other deployments included: what an alert rests on is
 * audited where the alert is.
 * @throws TracehoundError for a mirrored topic that is none.
 */
export function intakeTopics(namespace: string, mirrored: readonly string[] = []): ReadonlyMap<string, IntakeTopic> {
  const topics = new Map<string, IntakeTopic>(
    INTAKE_TOPICS.map((name) => [
      namespacedTopic(namespace, name),
      { name, kind: INTAKE_KINDS[name], deadLetterTopic: namespacedTopic(namespace, `${name}.dlq`) },
    ]),
  );
  for (const topic of intakeTopicNames(namespace, mirrored)) {
    if (!topics.has(topic)) topics.set(topic, { name: topic, kind: 'event', deadLetterTopic: `${topic}.dlq` });
  }
  return topics;
}
