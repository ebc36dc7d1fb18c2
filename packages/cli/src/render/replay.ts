import type { DetectResult } from '@tracehound/detect';
import type { LiveDiff } from '../replay/diff-live.ts';
import type { IntakePart } from '../replay/intake-log.ts';
import type { TraceEvent } from '../replay/replay-run.ts';
import type { AlertProjection } from '../scenario/alert-log.ts';
import { columns } from './columns.ts';
import { counted } from './counted.ts';

/** Records read, of those there are. */
export type ReplayProgress = { readonly done: number; readonly total: number };

/** Records one core reads, decodes and matches in a second, roughly: with it an estimate is of the right order. */
const RECORDS_PER_SECOND = 20_000;

/** What a replay would read, and how long that takes. */
export function renderEstimate(parts: readonly IntakePart[]): string {
  const rows = parts.map(({ topic, partition, from, until }) => [
    topic,
    String(partition),
    String(from),
    String(until),
    String(until - from),
  ]);
  const total = Number(parts.reduce((sum, { from, until }) => sum + (until - from), 0n));
  const seconds = Math.max(1, Math.ceil(total / RECORDS_PER_SECOND));
  return `${columns(['TOPIC', 'PARTITION', 'FROM', 'UNTIL', 'RECORDS'], rows)}\n${counted(total, 'record')}, about ${counted(seconds, 'second')}; nothing was replayed`;
}

/**
 * Events of a trace in order of time, each with what it met, then the alerts that stand on them: those that are decided, and
 * those whose windows are `open`, as they would be if nothing more came.
 */
export function renderTimeline(
  trace: readonly TraceEvent[],
  results: readonly DetectResult[],
  open: readonly DetectResult[],
): string {
  if (trace.length === 0) return 'no events of that trace in this range';
  const events = [...trace].sort(
    (a, b) => a.envelope.event_time - b.envelope.event_time || (a.envelope.event_id < b.envelope.event_id ? -1 : 1),
  );
  const rows = events.map(({ envelope, detections }) => [
    new Date(envelope.event_time).toISOString(),
    envelope.source.platform,
    envelope.event_type,
    envelope.outcome,
    envelope.actor?.id ?? '',
    detections.join(', '),
  ]);
  const lines = [columns(['TIME', 'PLATFORM', 'EVENT', 'OUTCOME', 'ACTOR', 'DETECTIONS'], rows)];
  const alerts = [
    ...results.map((result) => ({ result, state: '' })),
    ...open.map((result) => ({ result, state: 'so far' })),
  ]
    .filter(({ result }) => result.kind === 'correlation')
    .map(({ result: { at, level, rule_title: title, count, group }, state }) => {
      const where = Object.entries(group ?? {}).map(([field, value]) => `${field}=${value}`);
      return [at, level.toUpperCase(), title, String(count), where.join(' '), state];
    });
  if (alerts.length > 0) lines.push('', columns(['AT', 'LEVEL', 'ALERT', 'COUNT', 'GROUP', ''], alerts));
  lines.push('', `${counted(events.length, 'event')} of the trace, ${counted(alerts.length, 'alert')} on them`);
  return lines.join('\n');
}

/** One line, and the alerts that differ. */
export function renderDiff(
  { same, missing, extra, degraded }: LiveDiff,
  { withAlerts }: { withAlerts: boolean },
): string {
  const lines: string[] = [];
  if (withAlerts && missing.length + extra.length > 0) {
    const row = (change: string) => (alert: AlertProjection) => [
      change,
      alert.rule,
      alert.organization,
      alert.group,
      new Date(alert.first_at).toISOString(),
      new Date(alert.last_at).toISOString(),
      String(alert.event_ids.length),
    ];
    lines.push(
      columns(
        ['CHANGE', 'RULE', 'ORGANIZATION', 'GROUP', 'FIRST', 'LAST', 'EVENTS'],
        [...missing.map(row('missing')), ...extra.map(row('extra'))],
      ),
    );
  }
  const excluded = degraded > 0 ? `; ${degraded} in degraded ranges not compared` : '';
  lines.push(`final alerts: ${same} the same, ${missing.length} missing live, ${extra.length} only live${excluded}`);
  return lines.join('\n');
}
