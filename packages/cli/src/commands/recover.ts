import type { AvroCodec } from '@tracehound/avro';
import { createAffected, type RecoveryMatch, recover } from '@tracehound/correlation';
import {
  type CorrelationAlert,
  END_OF_INPUT_WATERMARK_MS,
  markerKindOf,
  namespacedTopic,
} from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import type { RuleSetCompiled } from '@tracehound/sigma';
import type { Progress } from '../events/progress.ts';
import { columns } from '../render/columns.ts';
import { counted } from '../render/counted.ts';
import { estimateJson, renderEstimate } from '../render/estimate.ts';
import { estimateOf } from '../replay/estimate.ts';
import { findIntake, type IntakePart } from '../replay/intake-log.ts';
import { type EventPlace, eventOf, readLateEvents, recoveryMatches } from '../replay/late-events.ts';
import { leadFromMs } from '../replay/plan.ts';
import { INTERRUPTED, type IntakeTaker, type ReplayProgress, readAll } from '../replay/read-all.ts';
import { type RulesLog, readRuleSet, readRulesLog } from '../replay/rules-log.ts';
import { readAlertLog } from '../scenario/alert-log.ts';
import type { Terminal } from '../terminal.ts';
import { timeOption } from '../time-option.ts';
import { UsageError } from '../usage-error.ts';
import { sourceTopics } from './rules.ts';

export type RecoverFlags = {
  /** Append time of the late events, RFC 3339; default: all that are kept. */
  readonly from?: string;
  readonly to?: string;
  readonly dryRun?: true;
  /** Only say what it would read, and how long that takes. */
  readonly estimate?: true;
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
  readonly progress?: Progress<ReplayProgress>;
  /** True once the user wants an end: then nothing is said. */
  readonly stopped?: () => boolean;
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
 * Idempotent: what an earlier pass said is not said again. Exit code 0; 130 when it was interrupted, then nothing was said.
 */
export async function runRecover(flags: RecoverFlags, context: RecoverContext): Promise<number> {
  const { out, note } = context.terminal;
  const task = await taskOf(flags, context);
  if (flags.estimate) {
    if (task === null) note('no late events: nothing to read');
    else {
      const estimate = await estimateOf(createOnTimeTaker(task, context.codec), { ...context, ...task });
      out(flags.format === 'json' ? estimateJson(estimate) : renderEstimate(estimate));
    }
    return 0;
  }
  const report = task === null ? NOTHING_LATE : await recoverTask(task, flags, context);
  if (report === null) {
    note('interrupted: nothing was said');
    return INTERRUPTED;
  }
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

const NOTHING_LATE: RecoverReport = { lateEvents: 0, recovered: [], alreadySaid: 0, contradicted: [] };

/** The late events, and what has to be read around them. */
type Task = {
  readonly ruleSet: RuleSetCompiled;
  readonly rulesLog: RulesLog;
  /** By event id. */
  readonly lateMatches: ReadonlyMap<string, readonly RecoveryMatch[]>;
  /** Where the records lie that were in time for stage A and behind the watermark of stage B. */
  readonly behind: ReadonlySet<string>;
  readonly topicIds: ReadonlyMap<string, string>;
  readonly parts: readonly IntakePart[];
  readonly toMs: number;
};

/** Null without late events. */
async function taskOf(flags: RecoverFlags, context: RecoverContext): Promise<Task | null> {
  const range = {
    fromMs: timeOption('--from', flags.from) ?? 0,
    toMs: timeOption('--to', flags.to) ?? Number.POSITIVE_INFINITY,
  };
  const late = await readLateEvents(context, namespacedTopic(context.namespace, 'security.late'), range);
  if (late.length === 0) return null;
  const rulesLog = await readRulesLog(context);
  const ruleSet = await onlyRuleSet(
    rulesLog,
    late.map(({ append_time }) => append_time),
    context,
  );
  const lateMatches = new Map<string, readonly RecoveryMatch[]>();
  const behind = new Set<string>();
  for (const { payload, ...event } of late) {
    const found = await eventOf(context.codec, { value: payload });
    if (found === null) continue;
    const { src_topic: from, src_topic_id: topicId, src_partition: partition, src_offset: offset } = event;
    const place = { topic: from, topicId, partition, offset };
    lateMatches.set(event.event_id, recoveryMatches(ruleSet, found, place));
    if (event.stage === 'B') behind.add(placeKey(place));
  }
  // The intake is looked up by append time, which lies before the event's own while a broker's clock is back.
  const earliestMs = late.reduce(
    (earliest, { event_time, append_time }) => Math.min(earliest, event_time, append_time),
    Number.POSITIVE_INFINITY,
  );
  const topics = sourceTopics(context.namespace, { latest: rulesLog.latest });
  const topicIds = await context.admin.topicIds(topics);
  const toMs = Number.POSITIVE_INFINITY;
  const parts = await findIntake(context, topics, { fromMs: leadFromMs(ruleSet, earliestMs), toMs });
  return { ruleSet, rulesLog, lateMatches, behind, topicIds, parts, toMs };
}

/** Null when it was stopped. */
async function recoverTask(task: Task, flags: RecoverFlags, context: RecoverContext): Promise<RecoverReport | null> {
  const { ruleSet, rulesLog, parts, toMs } = task;
  const { kafka, now, progress, stopped = () => false } = context;
  const taker = createOnTimeTaker(task, context.codec);
  if (!(await readAll(taker, { kafka, now, parts, toMs, progress, stopped }))) return null;
  const { onTime, late, coveredMs } = taker;
  const topic = (name: Parameters<typeof namespacedTopic>[1]): string => namespacedTopic(context.namespace, name);
  const known = [
    ...(await readAlertLog({ ...context, topic: () => topic('security.alerts') }, context.now())),
    ...(await readAlertLog({ ...context, topic: () => topic('security.shadow') }, context.now())),
  ];
  const { lateness_ms, clock_allowance_ms } = rulesLog.at(coveredMs);
  const found = recover({
    ruleSet,
    clusterId: context.clusterId,
    onTime,
    late: [...late.values()].flat(),
    watermarkMs:
      taker.closed >= parts.length ? END_OF_INPUT_WATERMARK_MS : coveredMs - lateness_ms - clock_allowance_ms,
    saidAtMs: known.reduce((latest, { watermark }) => Math.max(latest, watermark), coveredMs) + 1,
  });
  // Those of the live run too: an event that was late for one of its rules may have been in time for another.
  const before = new Set(known.map(meaningOf));
  const fresh = new Set(found.alerts.filter((alert) => !before.has(meaningOf(alert))).map(({ alert_id }) => alert_id));
  const alerts = found.alerts.filter(({ alert_id, superseded_by }) => fresh.has(superseded_by ?? alert_id));
  if (!flags.dryRun) await say(alerts, context);
  const finals = (list: readonly CorrelationAlert[]) => list.filter(({ kind }) => kind === 'FINAL');
  return {
    lateEvents: late.size,
    recovered: finals(alerts),
    alreadySaid: finals(found.alerts).length - finals(alerts).length,
    contradicted: found.contradicted,
  };
}

type OnTimeTaker = IntakeTaker & {
  readonly onTime: readonly RecoveryMatch[];
  /** Matches of the late events that have no copy in time: an id with one is not late (X3). */
  readonly late: ReadonlyMap<string, readonly RecoveryMatch[]>;
  readonly coveredMs: number;
  readonly closed: number;
};

/** What was in time around the late events, of the windows they belong to. */
function createOnTimeTaker(
  { ruleSet, rulesLog, lateMatches, behind, topicIds }: Task,
  codec: Pick<AvroCodec, 'decode'>,
): OnTimeTaker {
  const late = new Map(lateMatches);
  const isAffected = createAffected(ruleSet, [...late.values()].flat());
  const onTime: RecoveryMatch[] = [];
  let coveredMs = 0;
  let closed = 0;
  return {
    onTime,
    late,
    get coveredMs() {
      return coveredMs;
    },
    get closed() {
      return closed;
    },
    async take({ record, coveredMs: covered }) {
      const event = await eventOf(codec, record);
      coveredMs = Math.max(coveredMs, Number.isFinite(covered) ? covered : 0);
      if (markerKindOf(record) === 'end_of_input') closed++;
      if (event === null) return;
      if (record.appendTimeMs - event.envelope.event_time > rulesLog.at(record.appendTimeMs).lateness_ms) return;
      const { topic, partition } = record;
      const place = { topic, topicId: topicIds.get(topic) ?? '', partition, offset: Number(record.offset) };
      if (behind.has(placeKey(place))) return;
      late.delete(event.envelope.event_id);
      for (const one of recoveryMatches(ruleSet, event, place)) if (isAffected(one.match)) onTime.push(one);
    },
  };
}

function placeKey({ topicId, partition, offset }: EventPlace): string {
  return `${topicId}/${partition}/${offset}`;
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
