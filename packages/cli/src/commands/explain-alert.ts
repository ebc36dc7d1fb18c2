import type { AvroCodec } from '@tracehound/avro';
import { finalsOfMatches, type RecoveryMatch } from '@tracehound/correlation';
import { type CorrelationAlert, END_OF_INPUT_WATERMARK_MS, namespacedTopic } from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import {
  type CorrelationRule,
  type DetectionRule,
  explainTest,
  isMonotone,
  type RuleSetCompiled,
} from '@tracehound/sigma';
import { exceptionJson, exceptionsOver, exceptionText } from '../deployment/exceptions.ts';
import { columns } from '../render/columns.ts';
import { explanationText, type RuleExplanation } from '../render/explanation.ts';
import { eventOf, recoveryMatches } from '../replay/late-events.ts';
import { readRuleSet } from '../replay/rules-log.ts';
import { readAlertLog } from '../scenario/alert-log.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export type ExplainAlertFlags = { readonly alert: string; readonly format: 'table' | 'ndjson' | 'json' };

export type ExplainAlertContext = {
  readonly kafka: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: AvroCodec;
  readonly namespace: string;
  readonly terminal: Pick<Terminal, 'out' | 'note' | 'outColours'>;
  readonly now: () => number;
};

/** An event of the evidence, and the detections of the rule it met. */
type EvidenceEvent = {
  readonly id: string;
  readonly timeMs: number;
  readonly place: string;
  readonly detections: readonly RuleExplanation[];
  readonly matches: readonly RecoveryMatch[];
};

/** `same`: the evidence alone gives this alert, under this id. */
type Verdict = { readonly kind: 'same' | 'differs' | 'gone' | 'needs_all'; readonly why: string };

/** Events told in full; of a brute force the fifth is like the first. */
const TOLD_MAX = 5;
const ID_PREFIX_MIN = 8;
const PATIENCE_MS = 10_000;

/**
 * `tracehound rules explain --alert ID`: an alert derived again from its evidence. The rule as it was in force, each event read back
 * from the topics with the tests it met, and whether the same alert comes out. Exit code 1 when it does not.
 */
export async function runExplainAlert(flags: ExplainAlertFlags, context: ExplainAlertContext): Promise<number> {
  const log = await alertLog(context);
  const alert = chosen(log, flags.alert);
  const ruleSet = await readRuleSet(context, alert.rule.ruleset_id);
  const rule = ruleSet.correlations.find(({ semanticHash, description, override }) => {
    // Organizations with the same number have forms of the same hash.
    const isTheirs = override === null || override.organization === alert.organization_id;
    return isTheirs && semanticHash === alert.rule.semantic_hash && description.rule_id === alert.rule.rule_id;
  });
  if (rule === undefined) throw new UsageError(`the rule of this alert is not in set ${alert.rule.ruleset_id}`);
  const events = await evidenceOf(alert, { ruleSet, rule }, context);
  const chained = alert.event_ids.filter((id) => id.startsWith(CHAIN));
  const verdict = verdictOf(alert, { ruleSet, rule, events, chained });
  const exceptions = exceptionsOver(ruleSet, rule);
  const { out } = context.terminal;
  if (flags.format === 'table') {
    const told = {
      rule,
      events,
      chained,
      log,
      verdict,
      exceptions: exceptions.map((one) => exceptionText(one, context.now())),
    };
    for (const line of textOf(alert, told, context.terminal.outColours)) out(line);
  } else {
    const told = events.map(({ matches: _, ...event }) => event);
    out(JSON.stringify({ alert, exceptions: exceptions.map(exceptionJson), events: told, chained, verdict }));
  }
  return verdict.kind === 'same' || verdict.kind === 'needs_all' ? 0 : 1;
}

const CHAIN = 'chain:';

async function alertLog(context: ExplainAlertContext): Promise<readonly CorrelationAlert[]> {
  const read = (name: 'security.alerts' | 'security.shadow') =>
    readAlertLog({ ...context, topic: () => namespacedTopic(context.namespace, name) }, context.now() + PATIENCE_MS);
  return [...(await read('security.alerts')), ...(await read('security.shadow'))];
}

/** The final word, else the highest revision so far. */
function chosen(log: readonly CorrelationAlert[], wanted: string): CorrelationAlert {
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

async function evidenceOf(
  alert: CorrelationAlert,
  { ruleSet, rule }: { readonly ruleSet: RuleSetCompiled; readonly rule: CorrelationRule },
  context: ExplainAlertContext,
): Promise<readonly EvidenceEvent[]> {
  const wanted = new Set(alert.event_ids);
  const found = new Map<string, EvidenceEvent>();
  const kept = await context.admin.listTopics();
  for (const { topic, topic_id: topicId, partition, from, to } of alert.source_ranges) {
    if (!kept.includes(topic)) continue;
    for await (const record of context.kafka.read({ topic, partition }, { from: BigInt(from), until: BigInt(to) })) {
      const event = await eventOf(context.codec, record);
      if (event === null || !wanted.has(event.envelope.event_id) || found.has(event.envelope.event_id)) continue;
      const { event_id: id, event_time: timeMs } = event.envelope;
      const place = { topic, topicId, partition, offset: Number(record.offset) };
      const matches = recoveryMatches(ruleSet, event, place).filter(({ match }) => match.rule === rule.index);
      const met = ruleSet
        .matchEvent(event.view, event.view.logSource)
        .map((index) => ruleSet.detections[index] as DetectionRule) // The set numbers its own detections.
        .filter(({ feeds }) => feeds.some(({ correlation }) => correlation === (rule.override?.base ?? rule.index)));
      const detections = met.map(
        (detection): RuleExplanation => ({
          rule_id: detection.description.rule_id,
          rule_title: detection.description.title,
          file: detection.path,
          line: detection.line,
          event_id: id,
          log_source_fits: true,
          matched: true,
          missing: [],
          condition: explainTest(detection.test, event.view),
        }),
      );
      found.set(id, { id, timeMs, place: `${topic}/${partition}/${record.offset}`, detections, matches });
    }
  }
  return [...found.values()].sort((a, b) => a.timeMs - b.timeMs || (a.id < b.id ? -1 : 1));
}

type Derived = {
  readonly ruleSet: RuleSetCompiled;
  readonly rule: CorrelationRule;
  readonly events: readonly EvidenceEvent[];
  readonly chained: readonly string[];
};

function verdictOf(alert: CorrelationAlert, { ruleSet, rule, events, chained }: Derived): Verdict {
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
  const matches = events.flatMap((event) => event.matches);
  const finals = finalsOfMatches(
    { ruleSet, clusterId: alert.cluster_id, watermarkMs: END_OF_INPUT_WATERMARK_MS },
    matches,
  );
  const again = finals.find(({ alert_id }) => alert_id === alert.alert_id);
  if (again !== undefined) return { kind: 'same', why: 'the evidence alone gives this alert, under this id' };
  if (alert.kind !== 'FINAL')
    return { kind: 'needs_all', why: 'it is still open: what it says of its trigger is provisional' };
  return { kind: 'differs', why: 'the evidence does not give this alert: was a record changed?' };
}

type Told = Omit<Derived, 'ruleSet'> & {
  readonly log: readonly CorrelationAlert[];
  readonly verdict: Verdict;
  /** Filters and overrides that had a say, one line each. */
  readonly exceptions: readonly string[];
};

function textOf(
  alert: CorrelationAlert,
  { rule, events, chained, log, verdict, exceptions }: Told,
  colours: boolean,
): string[] {
  const { type, spanMs, bounds } = rule.definition;
  const asked = bounds.map(({ relation, value }) => `${relation} ${value}`).join(' and ');
  const group = alert.group.map(({ field, value }) => `${field} = ${value ?? '(none)'}`).join(', ');
  const time = (ms: number): string => new Date(ms).toISOString();
  const rows = [
    ['alert', `${alert.alert_id} (${alert.kind}, revision ${alert.revision}${alert.recovered ? ', recovered' : ''})`],
    ['rule', `${alert.rule.title} (${rule.path}:${rule.line}), set ${alert.rule.ruleset_id.slice(0, 12)}`],
    [
      'asks',
      `${type}${asked === '' ? '' : ` ${asked}`} within ${spanMs / 1_000} s${group === '' ? '' : `, for each ${group}`}`,
    ],
    [
      'found',
      `${alert.count_exact ? '' : 'at least '}${alert.count} from ${time(alert.first_at)} to ${time(alert.last_at)}`,
    ],
    ['trigger', alert.trigger_event_id ?? `none; decided at ${time(alert.timer_due ?? alert.last_at)}`],
  ];
  if (rule.override !== null) {
    const { from, organization } = rule.override;
    const why = from === null ? 'by a rule it stands on' : `'${from.title}' (${from.path}:${from.line})`;
    rows.splice(3, 0, ['override', `in ${organization}: ${why}`]);
  }
  for (const [index, text] of exceptions.entries()) rows.push([index === 0 ? 'but for' : '', text]);
  const lines = rows.map(([name = '', text = '']) => `${name.padEnd(8)} ${text}`);
  if (events.length > 0) {
    lines.push(
      '',
      columns(
        ['TIME', 'EVENT', 'MET', 'PLACE'],
        events.map((event) => [
          time(event.timeMs),
          event.id,
          event.detections.map((one) => one.rule_title).join(', '),
          event.place,
        ]),
      ),
    );
  }
  for (const event of events.slice(0, TOLD_MAX)) {
    for (const detection of event.detections) lines.push('', explanationText(detection, colours));
  }
  if (events.length > TOLD_MAX) lines.push('', `… and ${events.length - TOLD_MAX} more events`);
  for (const id of chained) {
    const inner = log.find(({ alert_id }) => alert_id === id.slice(CHAIN.length));
    lines.push(
      '',
      `${id}: ${inner === undefined ? 'a hit of an inner correlation' : `${inner.rule.title}, explain it with --alert ${inner.alert_id}`}`,
    );
  }
  lines.push('', `${verdict.kind === 'same' ? '✓' : verdict.kind === 'needs_all' ? '•' : '✗'} ${verdict.why}`);
  return lines;
}
