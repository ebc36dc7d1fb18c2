import type { AvroCodec } from '@tracehound/avro';
import { finalsOfMatches } from '@tracehound/correlation';
import {
  type CorrelationAlert,
  END_OF_INPUT_WATERMARK_MS,
  type EventEnvelope,
  type EventFieldView,
  namespacedTopic,
} from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import { type CorrelationRule, type DetectionRule, isMonotone, type RuleSetCompiled } from '@tracehound/sigma';
import { readAlertLog } from '../scenario/alert-log.ts';
import { UsageError } from '../usage-error.ts';
import { type EventPlace, eventOf, recoveryMatches } from './late-events.ts';
import { readRuleSet } from './rules-log.ts';

/** Where alerts, their rules and their events are read. */
export type AlertSource = {
  readonly kafka: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: AvroCodec;
  readonly namespace: string;
  readonly now: () => number;
};

/** An event of the evidence, as it lies in its topic. */
export type EvidenceEvent = {
  readonly id: string;
  readonly timeMs: number;
  readonly place: EventPlace;
  readonly event: { readonly envelope: EventEnvelope; readonly view: EventFieldView };
};

/** An alert with the rule as it was in force, and what is left of its evidence. */
export type AlertCase = {
  readonly alert: CorrelationAlert;
  readonly ruleSet: RuleSetCompiled;
  readonly rule: CorrelationRule;
  /** By event time. */
  readonly events: readonly EvidenceEvent[];
  /** Hits of inner correlations among the evidence, as `chain:<alert id>`. */
  readonly chained: readonly string[];
};

/** `same`: the evidence alone gives this alert, under this id. */
export type EvidenceVerdict = { readonly kind: 'same' | 'differs' | 'gone' | 'needs_all'; readonly why: string };

/** Before the id of the inner alert, in the evidence of a chain. */
export const CHAIN = 'chain:';

const ID_PREFIX_MIN = 8;
const PATIENCE_MS = 10_000;

/** Every record of what rules have said, on trial or not. */
export async function readAlerts(source: AlertSource): Promise<readonly CorrelationAlert[]> {
  const read = (name: 'security.alerts' | 'security.shadow') =>
    readAlertLog({ ...source, topic: () => namespacedTopic(source.namespace, name) }, source.now() + PATIENCE_MS);
  return [...(await read('security.alerts')), ...(await read('security.shadow'))];
}

/**
 * The alert whose id begins so: its final word, else the highest revision so far.
 * @throws UsageError when there is none, or more than one.
 */
export function chosenAlert(log: readonly CorrelationAlert[], wanted: string): CorrelationAlert {
  const id = wanted.replaceAll('-', '').toLowerCase();
  if (id.length < ID_PREFIX_MIN) throw new UsageError(`--alert takes at least ${ID_PREFIX_MIN} digits of an alert id`);
  const found = log.filter(({ alert_id, kind }) => alert_id.startsWith(id) && kind !== 'DEGRADED');
  const ids = new Set(found.map(({ alert_id }) => alert_id));
  if (ids.size > 1) throw new UsageError(`${ids.size} alerts begin with ${wanted}: write more digits`);
  const best = found.toSorted((a, b) => b.revision - a.revision);
  const alert = best.find(({ kind }) => kind === 'FINAL') ?? best[0];
  if (alert === undefined) throw new UsageError(`no alert ${wanted} is on security.alerts or security.shadow`);
  return alert;
}

/** The set, the rule and the events that an alert names. @throws UsageError when the set is no longer there. */
export async function readAlertCase(alert: CorrelationAlert, source: AlertSource): Promise<AlertCase> {
  const ruleSet = await readRuleSet(source, alert.rule.ruleset_id);
  const rule = ruleSet.correlations.find(({ semanticHash, description, override }) => {
    // Organizations with the same number have forms of the same hash.
    const isTheirs = override === null || override.organization === alert.organization_id;
    return isTheirs && semanticHash === alert.rule.semantic_hash && description.rule_id === alert.rule.rule_id;
  });
  if (rule === undefined) throw new UsageError(`the rule of this alert is not in set ${alert.rule.ruleset_id}`);
  const chained = alert.event_ids.filter((id) => id.startsWith(CHAIN));
  return { alert, ruleSet, rule, chained, events: await readEvidence(alert, source) };
}

async function readEvidence(alert: CorrelationAlert, source: AlertSource): Promise<readonly EvidenceEvent[]> {
  const wanted = new Set(alert.event_ids);
  const found = new Map<string, EvidenceEvent>();
  const kept = await source.admin.listTopics();
  for (const { topic, topic_id: topicId, partition, from, to } of alert.source_ranges) {
    if (!kept.includes(topic)) continue;
    for await (const record of source.kafka.read({ topic, partition }, { from: BigInt(from), until: BigInt(to) })) {
      const event = await eventOf(source.codec, record);
      if (event === null || !wanted.has(event.envelope.event_id) || found.has(event.envelope.event_id)) continue;
      const { event_id: id, event_time: timeMs } = event.envelope;
      const place = { topic, topicId, partition, offset: Number(record.offset) };
      found.set(id, { id, timeMs, place, event });
    }
  }
  return [...found.values()].sort((a, b) => a.timeMs - b.timeMs || (a.id < b.id ? -1 : 1));
}

/** The detections that an event meets and the rule stands on. */
export function detectionsMet(
  { ruleSet, rule }: Pick<AlertCase, 'ruleSet' | 'rule'>,
  { event: { view } }: Pick<EvidenceEvent, 'event'>,
): readonly DetectionRule[] {
  return ruleSet
    .matchEvent(view, view.logSource)
    .map((index) => ruleSet.detections[index] as DetectionRule) // The set numbers its own detections.
    .filter(({ feeds }) => feeds.some(({ correlation }) => correlation === (rule.override?.base ?? rule.index)));
}

/** What events alone make the rule say, once and for all. */
export function finalsOfEvents({
  alert,
  ruleSet,
  rule,
  events,
}: Pick<AlertCase, 'alert' | 'ruleSet' | 'rule' | 'events'>): readonly CorrelationAlert[] {
  const matches = events
    .flatMap(({ event, place }) => recoveryMatches(ruleSet, event, place))
    .filter(({ match }) => match.rule === rule.index);
  return finalsOfMatches({ ruleSet, clusterId: alert.cluster_id, watermarkMs: END_OF_INPUT_WATERMARK_MS }, matches);
}

/** Why the evidence alone can say nothing of the alert; null when it can. */
export function evidenceGap({ alert, rule, events, chained }: Omit<AlertCase, 'ruleSet'>): EvidenceVerdict | null {
  const missing = alert.event_ids.length - chained.length - events.length;
  if (missing > 0) return { kind: 'gone', why: `${missing} events of the evidence are no longer in the topics` };
  if (chained.length > 0) {
    return {
      kind: 'needs_all',
      why: 'it stands on other correlations: explain those, or `tracehound replay --rule` the range',
    };
  }
  if (!isMonotone(rule.definition)) {
    return {
      kind: 'needs_all',
      why: 'it stands on what did not happen: `tracehound replay --rule` over the range derives it',
    };
  }
  return null;
}

/** Whether the evidence alone gives the alert again. */
export function evidenceVerdict(one: AlertCase): EvidenceVerdict {
  const gap = evidenceGap(one);
  if (gap !== null) return gap;
  const again = finalsOfEvents(one).find(({ alert_id }) => alert_id === one.alert.alert_id);
  if (again !== undefined) return { kind: 'same', why: 'the evidence alone gives this alert, under this id' };
  if (one.alert.kind !== 'FINAL')
    return { kind: 'needs_all', why: 'it is still open: what it says of its trigger is provisional' };
  return { kind: 'differs', why: 'the evidence does not give this alert: was a record changed?' };
}
