import { stripVTControlCharacters } from 'node:util';
import {
  type AlertView,
  countLabel,
  type DeliveryView,
  inWords,
  type Severity,
  type TimelineEntry,
} from '@tracehound/alerting';
import { exceptionText } from '@tracehound/sigma';
import { wrap } from './wrap.ts';

export type { AlertView } from '@tracehound/alerting';

export type RenderAlertOptions = {
  /** Off for pipes and under NO_COLOR; the caller knows (`createTerminal`). Default off. */
  readonly colours?: boolean;
  /** Columns of the terminal; default 100, at least 60. */
  readonly width?: number;
};

const WIDTH = { default: 100, min: 60 } as const;
const LABEL_WIDTH = 10;
const EVIDENCE_IDS_MAX = 6;

const SGR = {
  bold: '1',
  dim: '2',
  red: '31',
  green: '32',
  yellow: '33',
  blue: '34',
  magenta: '35',
  cyan: '36',
} as const;
const SEVERITY_SGR: Readonly<Record<Severity, string>> = {
  informational: '1;37;44',
  low: '1;30;46',
  medium: '1;30;43',
  high: '1;37;41',
  critical: '1;37;45',
};
/** Platforms get colours in the order in which they appear, so that one attacker on three platforms shows as three. */
const PLATFORM_SGR = [SGR.cyan, SGR.magenta, SGR.yellow, SGR.blue, SGR.green] as const;

type Paint = (text: string, sgr: string) => string;

/**
 * An alert as an analyst reads it: what happened and why, to whom, the timeline by platform, the evidence, and where it
 * was delivered. Pure; equal views give equal text. Control characters of event data never reach the terminal.
 */
export function renderAlert(alert: AlertView, options: RenderAlertOptions = {}): string {
  const width = Math.max(WIDTH.min, options.width ?? WIDTH.default);
  const paint: Paint = options.colours
    ? (text, sgr) => (text === '' ? '' : `\x1b[${sgr}m${text}\x1b[0m`)
    : (text) => text;
  const lines = [
    ...header(alert, { paint, width }),
    '',
    ...facts(alert, { paint, width }),
    '',
    ...triage(alert, { paint, width }),
    ...timeline(alert, { paint, width }),
    '',
    ...evidence(alert, paint),
    ...deliveries(alert.deliveries, paint),
    label('Link', paint) + clean(alert.link),
  ];
  return lines.map((line) => line.trimEnd()).join('\n');
}

type Context = { readonly paint: Paint; readonly width: number };

function header(alert: AlertView, { paint, width }: Context): string[] {
  const badge = ` ${alert.severity.toUpperCase()} `;
  const state = `${alert.status}${alert.kind === 'FINAL' || alert.kind === 'END' ? ', final' : ''}`;
  const lines = wrap(clean(alert.title), width - badge.length - state.length - 6);
  const first = `${paint(badge, SEVERITY_SGR[alert.severity])}  ${paint(lines[0] ?? '', SGR.bold)}  ${paint(`[${state}]`, SGR.dim)}`;
  return [first, ...lines.slice(1).map((line) => `${' '.repeat(badge.length + 2)}${paint(line, SGR.bold)}`)];
}

function facts(alert: AlertView, { paint, width }: Context): string[] {
  const spanMs = Math.max(0, alert.last_at - alert.first_at);
  const entity =
    alert.group.map(({ field, value }) => `${field} = ${value ?? '(none)'}`).join(', ') || 'the organization';
  const rule = [
    alert.rule.id,
    alert.rule.type.replaceAll('_', ' '),
    alert.rule.status,
    alert.rule.author ? `by ${alert.rule.author}` : null,
  ];
  const rows: [string, string][] = [
    ['Why', alert.why],
    ['', alert.description ?? ''],
    ['Entity', entity],
    [
      'When',
      `${instant(alert.first_at)} to ${until(alert)} (${inWords(Math.round(spanMs / 1_000) * 1_000 || spanMs)})`,
    ],
    ['Count', countLabel(alert.count)],
    ['Rule', rule.filter((part) => part !== null).join(' · ')],
    ...exceptionRows(alert),
    ['Tags', alert.rule.tags.join(', ')],
    [
      'Alert',
      `${alert.alert_id} of ${alert.organization_id}${alert.members.length > 1 ? `, ${alert.members.length} joined` : ''}`,
    ],
    ['Note', alert.flags.join(', ')],
  ];
  return rows
    .filter(([, text]) => text !== '')
    .flatMap(([name, text]) =>
      wrap(clean(text), width - LABEL_WIDTH - 2).map((line, index) => label(index === 0 ? name : '', paint) + line),
    );
}

/** Whether they had ended is told of the moment the alert fired: the same view is the same text on any day. */
function exceptionRows({ exceptions, fired_at }: AlertView): [string, string][] {
  if (exceptions === null) return [['But for', 'not known: the rule set of the alert could not be read']];
  return exceptions.map((one, index) => {
    const expiresMs = one.expires === null ? null : Date.parse(one.expires);
    return [index === 0 ? 'But for' : '', exceptionText({ ...one, expiresMs }, fired_at)];
  });
}

/** The author's guide, followed by an empty line; nothing when there is none. */
function triage({ triage: guide }: AlertView, { paint, width }: Context): string[] {
  if (!guide) return [];
  const list = (title: string, texts: readonly string[], mark: (index: number) => string): string[] => {
    if (texts.length === 0) return [];
    const lines = texts.flatMap((text, index) =>
      wrap(clean(text), width - 9).map((line, at) => `    ${(at === 0 ? mark(index) : '').padEnd(4)}${line}`),
    );
    return [paint(`  ${title}`, SGR.bold), ...lines];
  };
  const meaning = wrap(clean(guide.meaning ?? ''), width - LABEL_WIDTH - 2);
  return [
    ...(guide.meaning ? meaning.map((line, index) => label(index === 0 ? 'Triage' : '', paint) + line) : []),
    ...list('Known false positives', guide.false_positives, () => '-'),
    ...list('Next steps', guide.next_steps, (index) => `${index + 1}.`),
    '',
  ];
}

function timeline(alert: AlertView, { paint, width }: Context): string[] {
  const title = paint('  Timeline', SGR.bold);
  if (alert.timeline.length === 0) {
    return [title, `    ${alert.evidence_missing} events are not in the audit store yet`];
  }
  const platforms = [...new Set(alert.timeline.map((entry) => entry.platform))];
  const rows = alert.timeline.map((entry) => cells(entry));
  const widths = [0, 1, 2, 3].map((at) => Math.max(...rows.map((row) => (row[at] ?? '').length)));
  const lines: string[] = [];
  let shownSecond = '';
  let shownDay = '';
  alert.timeline.forEach((entry, index) => {
    const [day = '', time = ''] = new Date(entry.at).toISOString().slice(0, 19).split('T');
    if (day !== shownDay) lines.push(paint(`    ${day} UTC`, SGR.dim));
    const isSame = day === shownDay && time === shownSecond;
    shownDay = day;
    shownSecond = time;
    const [platform = '', type = '', outcome = '', actor = '', span = ''] = rows[index] ?? [];
    const sgr = PLATFORM_SGR[platforms.indexOf(entry.platform) % PLATFORM_SGR.length] ?? SGR.cyan;
    const text = [
      isSame ? ' '.repeat(time.length) : time,
      paint(platform.padEnd(widths[0] ?? 0), sgr),
      type.padEnd(widths[1] ?? 0),
      paint(outcome.padEnd(widths[2] ?? 0), outcomeSgr(entry.outcome)),
      actor.padEnd(widths[3] ?? 0),
    ].join('  ');
    const plain = 4 + stripVTControlCharacters(text).length + 2 + span.length;
    lines.push(`    ${text}  ${plain <= width ? paint(span, SGR.dim) : ''}`);
  });
  if (alert.evidence_missing > 0) lines.push(`    ${alert.evidence_missing} more are not in the audit store yet`);
  return [title, ...lines];
}

/** Platform, event type, outcome, actor and span of an entry, as plain text. */
function cells(entry: TimelineEntry): string[] {
  return [
    entry.service === null || entry.service === entry.platform ? entry.platform : `${entry.platform}/${entry.service}`,
    entry.event_type,
    entry.outcome.toLowerCase(),
    entry.actor === null ? '-' : `${entry.actor.type} ${entry.actor.id}`,
    entry.span_id === null ? '' : `span ${entry.span_id}`,
  ].map(clean);
}

function outcomeSgr(outcome: string): string {
  if (outcome === 'FAILURE') return SGR.red;
  return outcome === 'SUCCESS' ? SGR.green : SGR.dim;
}

function evidence(alert: AlertView, paint: Paint): string[] {
  const shown = alert.event_ids.slice(0, EVIDENCE_IDS_MAX).map(clean);
  const more = alert.event_ids.length - shown.length;
  return [
    ...shown.map((id, index) => label(index === 0 ? 'Evidence' : '', paint) + paint(id, SGR.dim)),
    ...(more > 0 ? [label('', paint) + paint(`and ${more} more`, SGR.dim)] : []),
  ];
}

function deliveries(list: readonly DeliveryView[], paint: Paint): string[] {
  if (list.length === 0) return [`${label('Delivered', paint)}to nobody`];
  const names = Math.max(...list.map((delivery) => clean(delivery.receiver).length));
  return list.map((delivery, index) => {
    const parts = [
      delivery.reason === 'opened' && !delivery.thin
        ? ''
        : `${delivery.reason.replaceAll('_', ' ')}${delivery.thin ? ' (thin)' : ''}`,
      `${delivery.attempts} ${delivery.attempts === 1 ? 'attempt' : 'attempts'}`,
      delivery.http_status === null ? '' : `HTTP ${delivery.http_status}`,
      delivery.error_code === null ? '' : delivery.error_code.replaceAll('_', ' '),
      delivery.after_ack_ms === null ? '' : `${delivery.after_ack_ms} ms after acknowledgement`,
    ].filter((part) => part !== '');
    const state = paint(delivery.state.replaceAll('_', ' ').padEnd(7), stateSgr(delivery));
    return `${label(index === 0 ? 'Delivered' : '', paint)}${clean(delivery.receiver).padEnd(names)}  ${state}  ${parts.join(', ')}`;
  });
}

function stateSgr({ state }: DeliveryView): string {
  if (state === 'sent') return SGR.green;
  return state === 'dead' || state === 'in_doubt' ? SGR.red : SGR.yellow;
}

function label(text: string, paint: Paint): string {
  return `  ${paint(text.padEnd(LABEL_WIDTH), SGR.dim)}`;
}

function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** The date only when it is another one. */
function until({ first_at, last_at }: AlertView): string {
  const text = instant(last_at);
  return text.slice(0, 10) === instant(first_at).slice(0, 10) ? text.slice(11) : text;
}

/** Event data may hold escape sequences and line breaks; neither may steer the terminal or forge a line. */
function clean(text: string): string {
  let result = '';
  for (const character of stripVTControlCharacters(text)) {
    const code = character.codePointAt(0) ?? 0;
    const isSteering =
      code < 32 ||
      (code >= 127 && code < 160) ||
      (code >= 0x202a && code <= 0x202e) ||
      (code >= 0x2066 && code <= 0x2069);
    result += isSteering ? ' ' : character;
  }
  return result;
}
