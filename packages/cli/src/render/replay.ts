import type { DetectResult } from '@tracehound/detect';
import type { LiveDiff } from '../replay/diff-live.ts';
import type { ReplayRun, TraceEvent } from '../replay/replay-run.ts';
import type { AlertProjection } from '../scenario/alert-log.ts';
import { columns } from './columns.ts';
import { counted } from './counted.ts';

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

/** What a run has seen and decided, one line each; for standard error. */
export function runNotes({ counters, watermarkMs }: Pick<ReplayRun, 'counters' | 'watermarkMs'>): string[] {
  const { records, events, late, undecodable, gaps } = counters;
  const decided = Number.isFinite(watermarkMs)
    ? `decided up to ${new Date(watermarkMs).toISOString()}`
    : watermarkMs > 0
      ? 'decided to the end: the input is closed'
      : 'nothing decided: a partition of the intake has no record yet';
  const notes = [`${counted(records, 'record')}, ${counted(events, 'event')}; ${decided}`];
  if (late > 0) notes.push(`${counted(late, 'event')} came too late: they are on security.late and take no part`);
  if (undecodable > 0) notes.push(`${counted(undecodable, 'record')} no events: they are in the dead letters`);
  if (gaps > 0) notes.push(`results are not exact in ${counted(gaps, 'range')}: state was dropped for want of room`);
  return notes;
}
