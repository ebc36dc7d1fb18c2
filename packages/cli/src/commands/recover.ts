import type { AvroCodec } from '@tracehound/avro';
import { createAffected, type RecoveryMatch, rebuildFromMs, recover } from '@tracehound/correlation';
import { type CorrelationAlert, END_OF_INPUT_WATERMARK_MS, namespacedTopic } from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import type { RuleSetCompiled } from '@tracehound/sigma';
import { columns } from '../render/columns.ts';
import { counted } from '../render/counted.ts';
import { findIntake, readIntake } from '../replay/intake-log.ts';
import { eventOf, readLateEvents, recoveryMatches } from '../replay/late-events.ts';
import { type RulesLog, readRuleSet, readRulesLog } from '../replay/rules-log.ts';
import { readAlertLog } from '../scenario/alert-log.ts';
import type { Terminal } from '../terminal.ts';
import { timeOption } from '../time-option.ts';
import { UsageError } from '../usage-error.ts';
import { SOURCE_TOPICS } from './rules.ts';

export type RecoverFlags = {
  /** Append time of the late events, RFC 3339; default: all that are kept. */
  readonly from?: string;
  readonly to?: string;
  readonly dryRun?: true;
  readonly format: 'table' | 'json';
};

export type RecoverContext = {
  readonly kafka: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: AvroCodec;
  readonly namespace: string;
  readonly clusterId: string;
  readonly terminal: Pick<Terminal, 'out' | 'note'>;
  readonly now: () => number;
};

export type RecoverReport = {
  readonly lateEvents: number;
  /** Finals that are new or other; already said ones are left out. */
  readonly recovered: readonly CorrelationAlert[];
  readonly alreadySaid: number;
  readonly contradicted: readonly CorrelationAlert[];
};

/**
 * `tracehound recover`: the recovery pass of X3. Late events of a range of append time are joined with what was in time around
 * them, the engine runs over the affected windows, and alerts that are there because of them are said, flagged `recovered`.
 * Idempotent: what an earlier pass said is not said again. Exit code 0.
 */
export async function runRecover(flags: RecoverFlags, context: RecoverContext): Promise<number> {
  const report = await recoverRange(flags, context);
  const { out, note } = context.terminal;
  const { recovered, contradicted, alreadySaid, lateEvents } = report;
  if (flags.format === 'json') out(JSON.stringify(report));
  else if (recovered.length > 0) {
    const rows = recovered.map(({ rule, organization_id, group, first_at, count }) => [
      rule.level ?? '',
      rule.title,
      organization_id,
      group.map(({ value }) => value ?? '').join('|'),
      new Date(first_at).toISOString(),
      String(count),
    ]);
    out(columns(['LEVEL', 'RULE', 'ORGANIZATION', 'GROUP', 'FIRST', 'COUNT'], rows));
  }
  const said = flags.dryRun ? 'would be said' : 'said';
  note(
    `${counted(lateEvents, 'late event')}, ${counted(recovered.length, 'alert')} ${said}, ${alreadySaid} said before`,
  );
  if (contradicted.length > 0)
    note(`${counted(contradicted.length, 'alert')} would not have been raised, had all been known`);
  return 0;
}

async function recoverRange(flags: RecoverFlags, context: RecoverContext): Promise<RecoverReport> {
  const range = {
    fromMs: timeOption('--from', flags.from) ?? 0,
    toMs: timeOption('--to', flags.to) ?? Number.POSITIVE_INFINITY,
  };
  const topic = (name: Parameters<typeof namespacedTopic>[1]): string => namespacedTopic(context.namespace, name);
  const late = await readLateEvents(context, topic('security.late'), range);
  if (late.length === 0) return { lateEvents: 0, recovered: [], alreadySaid: 0, contradicted: [] };
  const rulesLog = await readRulesLog(context);
  const ruleSet = await onlyRuleSet(
    rulesLog,
    late.map(({ append_time }) => append_time),
    context,
  );
  const lateMatches = new Map<string, readonly RecoveryMatch[]>();
  for (const { payload, ...event } of late) {
    const found = await eventOf(context.codec, { value: payload });
    if (found === null) continue;
    const { src_topic: from, src_topic_id: topicId, src_partition: partition, src_offset: offset } = event;
    lateMatches.set(event.event_id, recoveryMatches(ruleSet, found, { topic: from, topicId, partition, offset }));
  }
  const earliestMs = late.reduce(
    (earliest, { event_time }) => Math.min(earliest, event_time),
    Number.POSITIVE_INFINITY,
  );
  const { onTime, coveredMs, isClosed } = await readOnTime({ ruleSet, rulesLog, lateMatches, earliestMs }, context);
  const known = [
    ...(await readAlertLog({ ...context, topic: () => topic('security.alerts') }, context.now())),
    ...(await readAlertLog({ ...context, topic: () => topic('security.shadow') }, context.now())),
  ];
  const { lateness_ms, clock_allowance_ms } = rulesLog.at(coveredMs);
  const found = recover({
    ruleSet,
    clusterId: context.clusterId,
    onTime,
    late: [...lateMatches.values()].flat(),
    watermarkMs: isClosed ? END_OF_INPUT_WATERMARK_MS : coveredMs - lateness_ms - clock_allowance_ms,
    saidAtMs: known.reduce((latest, { watermark }) => Math.max(latest, watermark), coveredMs) + 1,
  });
  const before = new Set(known.filter(({ recovered }) => recovered).map(meaningOf));
  const fresh = new Set(found.alerts.filter((alert) => !before.has(meaningOf(alert))).map(({ alert_id }) => alert_id));
  const alerts = found.alerts.filter(({ alert_id, superseded_by }) => fresh.has(superseded_by ?? alert_id));
  if (!flags.dryRun) await say(alerts, context);
  const finals = (list: readonly CorrelationAlert[]) => list.filter(({ kind }) => kind === 'FINAL');
  return {
    lateEvents: lateMatches.size,
    recovered: finals(alerts),
    alreadySaid: finals(found.alerts).length - finals(alerts).length,
    contradicted: found.contradicted,
  };
}

/** What was in time around the late events, of the windows they belong to. An id with a copy in time is not late (X3). */
async function readOnTime(
  given: {
    readonly ruleSet: RuleSetCompiled;
    readonly rulesLog: RulesLog;
    readonly lateMatches: Map<string, readonly RecoveryMatch[]>;
    readonly earliestMs: number;
  },
  context: RecoverContext,
): Promise<{ readonly onTime: readonly RecoveryMatch[]; readonly coveredMs: number; readonly isClosed: boolean }> {
  const { ruleSet, rulesLog, lateMatches, earliestMs } = given;
  const isAffected = createAffected(ruleSet, [...lateMatches.values()].flat());
  const topics = SOURCE_TOPICS.map((name) => namespacedTopic(context.namespace, name));
  const topicIds = await context.admin.topicIds(topics);
  const spans = ruleSet.correlations.map(({ definition }) => rebuildFromMs(earliestMs, definition.spanMs));
  const range = { fromMs: Math.min(earliestMs, ...spans), toMs: Number.POSITIVE_INFINITY };
  const parts = await findIntake(context, topics, range);
  const onTime: RecoveryMatch[] = [];
  let coveredMs = 0;
  let closed = 0;
  for await (const { record, coveredMs: covered } of readIntake(context.kafka, parts, range.toMs)) {
    coveredMs = Math.max(coveredMs, Number.isFinite(covered) ? covered : 0);
    if (record.headers['th_marker']?.toString() === 'end_of_input') closed++;
    const event = await eventOf(context.codec, record);
    if (event === null) continue;
    if (record.appendTimeMs - event.envelope.event_time > rulesLog.at(record.appendTimeMs).lateness_ms) continue;
    lateMatches.delete(event.envelope.event_id);
    const { topic, partition } = record;
    const place = { topic, topicId: topicIds.get(topic) ?? '', partition, offset: Number(record.offset) };
    for (const one of recoveryMatches(ruleSet, event, place)) if (isAffected(one.match)) onTime.push(one);
  }
  return { onTime, coveredMs, isClosed: closed >= parts.length };
}

async function onlyRuleSet(
  rulesLog: RulesLog,
  appendTimes: readonly number[],
  context: RecoverContext,
): Promise<RuleSetCompiled> {
  const ids = new Set(appendTimes.map((at) => rulesLog.at(at).ruleset_id));
  const [id = '', ...others] = ids;
  if (others.length > 0) {
    throw new UsageError('the rules changed between the late events of this range: narrow it with --from and --to');
  }
  return readRuleSet(context, id);
}

async function say(alerts: readonly CorrelationAlert[], context: RecoverContext): Promise<void> {
  if (alerts.length === 0) return;
  await context.codec.prepare(['tracehound.pipeline.v1.CorrelationAlert']);
  const producer = await context.kafka.producer();
  try {
    for (const alert of alerts) {
      const name = alert.rule.status === 'experimental' ? 'security.shadow' : 'security.alerts';
      const value = context.codec.encode('tracehound.pipeline.v1.CorrelationAlert', alert);
      const record = { key: `${alert.organization_id}|${alert.alert_id}`, value };
      const [result] = await producer.send(namespacedTopic(context.namespace, name), [record]);
      if (!result?.ok) throw new Error('an alert was not acknowledged', { cause: result?.error });
    }
  } finally {
    await producer.close();
  }
}

function meaningOf({ alert_id, kind, first_at, last_at, event_ids }: CorrelationAlert): string {
  return JSON.stringify([alert_id, kind, first_at, last_at, event_ids]);
}
