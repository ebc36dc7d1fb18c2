import type { AvroCodec, DecodedRecord } from '@tracehound/avro';
import { classifyError, createFieldView, namespacedTopic } from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import {
  type CorrelationRule,
  type DetectionRule,
  type RuleSetCompiled,
  SigmaError,
  type SigmaProblem,
} from '@tracehound/sigma';

/** Where intake events are read from. */
export type CostSource = {
  readonly kafka: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: Pick<AvroCodec, 'decode'>;
  readonly namespace: string;
};

/** What one rule would write per event: matches of a correlation, findings of a detection. */
export type RuleCost = { readonly rule: CorrelationRule | DetectionRule; readonly perEvent: number };

/** Costs of a set on the newest events of a deployment, dearest first. */
export type SetCost = { readonly events: number; readonly rules: readonly RuleCost[] };

/** Newest events that are looked at, over all partitions: some seconds of a busy deployment, about a second of work. */
const SAMPLE_EVENTS = 20_000;

/** With fewer events a share says nothing: a new deployment takes any set. */
const JUDGED_FROM_EVENTS = 1_000;

/**
 * Most records per event that one rule may cause. A rule that marks every other event tells nobody anything, and stage B has
 * to take as much as stage A reads.
 */
const PER_EVENT_MAX = 0.5;

const SAMPLED_TOPICS = ['security.events', 'security.telemetry'] as const;

/** Runs the set over the newest events. Reads only; events that cannot be decoded are left out. */
export async function costOf(
  set: RuleSetCompiled,
  source: CostSource,
  sampleEvents: number = SAMPLE_EVENTS,
): Promise<SetCost> {
  const counts = new Map<CorrelationRule | DetectionRule, number>();
  const count = (rule: CorrelationRule | DetectionRule | undefined): void => {
    if (rule) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  };
  let events = 0;
  for await (const view of newestEvents(source, sampleEvents)) {
    events++;
    const detections = set.matchEvent(view, view.logSource);
    for (const index of detections) {
      const detection = set.detections[index];
      if (detection?.emitsFinding) count(detection);
    }
    for (const { rule } of set.matchesOf(view, detections).matches) count(set.correlations[rule]);
  }
  const rules = [...counts].map(([rule, records]) => ({ rule, perEvent: records / events }));
  return { events, rules: rules.sort((a, b) => b.perEvent - a.perEvent) };
}

/** Why the set costs too much, one problem a rule; empty when it may run, or nothing can be said yet. */
export function costProblems({ events, rules }: SetCost): readonly SigmaProblem[] {
  if (events < JUDGED_FROM_EVENTS) return [];
  return rules
    .filter(({ perEvent }) => perEvent > PER_EVENT_MAX)
    .map(({ rule, perEvent }) => ({
      path: rule.path,
      line: rule.line,
      column: 1,
      code: 'limit_exceeded',
      message: `'${rule.name ?? rule.description.title}' would write ${perEvent.toFixed(2)} records per event (of the newest ${events} events), and ${PER_EVENT_MAX} is the most; narrow it, or apply with --force REASON`,
    }));
}

/**
 * X7: refuses a set that matches too much of what comes in. With a reason the problems are only told.
 * @throws SigmaError naming every rule above the bound.
 */
export async function passCostGate(
  set: RuleSetCompiled,
  source: CostSource & { readonly terminal: { readonly note: (text: string) => void } },
  forcedBy: string | undefined,
): Promise<void> {
  const problems = costProblems(await costOf(set, source));
  if (problems.length === 0) return;
  if (forcedBy === undefined) throw new SigmaError(problems);
  for (const { message } of problems) source.terminal.note(`applied all the same: ${message}`);
}

async function* newestEvents({ kafka, admin, codec, namespace }: CostSource, sampleEvents: number) {
  const partitions = [];
  for (const name of SAMPLED_TOPICS) {
    const topic = namespacedTopic(namespace, name);
    for (const range of await admin.offsets(topic)) if (range.low < range.high) partitions.push({ topic, ...range });
  }
  const each = BigInt(Math.ceil(sampleEvents / Math.max(1, partitions.length)));
  for (const { topic, partition, low, high } of partitions) {
    const from = high - each > low ? high - each : low;
    for await (const { value } of kafka.read({ topic, partition }, { from, until: high })) {
      // Markers have no value.
      const decoded = value === null ? null : await decodedOrNull(codec, value);
      if (decoded !== null && 'envelope' in decoded) yield createFieldView(decoded);
    }
  }
}

async function decodedOrNull(codec: CostSource['codec'], value: Buffer): Promise<DecodedRecord['value'] | null> {
  try {
    return (await codec.decode(value)).value;
  } catch (error) {
    if (classifyError(error).retriable) throw error;
    return null;
  }
}
