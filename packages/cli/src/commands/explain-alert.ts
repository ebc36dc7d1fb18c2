import { type CorrelationAlert } from '@tracehound/event-model';
import { exceptionJson, exceptionsOver, exceptionText, explainTest } from '@tracehound/sigma';
import { columns } from '../render/columns.ts';
import { explanationText, type RuleExplanation } from '../render/explanation.ts';
import {
  type AlertCase,
  type AlertSource,
  CHAIN,
  chosenAlert,
  detectionsMet,
  type EvidenceEvent,
  type EvidenceVerdict,
  evidenceVerdict,
  readAlertCase,
  readAlerts,
} from '../replay/alert-evidence.ts';
import type { Terminal } from '../terminal.ts';

export type ExplainAlertFlags = { readonly alert: string; readonly format: 'table' | 'ndjson' | 'json' };

export type ExplainAlertContext = AlertSource & {
  readonly terminal: Pick<Terminal, 'out' | 'note' | 'outColours'>;
};

/** An event of the evidence, and the detections of the rule it met. */
type ExplainedEvent = {
  readonly id: string;
  readonly timeMs: number;
  readonly place: string;
  readonly detections: readonly RuleExplanation[];
};

/** Events told in full; of a brute force the fifth is like the first. */
const TOLD_MAX = 5;

/**
 * `tracehound rules explain --alert ID`: an alert derived again from its evidence. The rule as it was in force, each event read back
 * from the topics with the tests it met, and whether the same alert comes out. Exit code 1 when it does not.
 */
export async function runExplainAlert(flags: ExplainAlertFlags, context: ExplainAlertContext): Promise<number> {
  const log = await readAlerts(context);
  const one = await readAlertCase(chosenAlert(log, flags.alert), context);
  const { alert, ruleSet, rule, chained } = one;
  const events = one.events.map((event) => explained(event, one));
  const verdict = evidenceVerdict(one);
  const exceptions = exceptionsOver(ruleSet, rule, alert.organization_id);
  const { out } = context.terminal;
  if (flags.format === 'table') {
    const texts = exceptions.map((exception) => exceptionText(exception, context.now()));
    const told = { rule, events, chained, log, verdict, exceptions: texts };
    for (const line of textOf(alert, told, context.terminal.outColours)) out(line);
  } else {
    out(JSON.stringify({ alert, exceptions: exceptions.map(exceptionJson), events, chained, verdict }));
  }
  return verdict.kind === 'same' || verdict.kind === 'needs_all' ? 0 : 1;
}

function explained(evidence: EvidenceEvent, one: AlertCase): ExplainedEvent {
  const { id, timeMs, place, event } = evidence;
  const detections = detectionsMet(one, evidence).map(
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
  return { id, timeMs, place: `${place.topic}/${place.partition}/${place.offset}`, detections };
}

type Told = Pick<AlertCase, 'rule' | 'chained'> & {
  readonly events: readonly ExplainedEvent[];
  readonly log: readonly CorrelationAlert[];
  readonly verdict: EvidenceVerdict;
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
