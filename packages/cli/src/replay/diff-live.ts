import type { CorrelationAlert } from '@tracehound/event-model';
import { type AlertProjection, project } from '../scenario/alert-log.ts';

/** A final of the replay, as E2 compares it, and the watermark that had to pass for it. */
export type ReplayedFinal = { readonly projection: AlertProjection; readonly dueMs: number };

export type LiveDiff = {
  /** Finals that both have. */
  readonly same: number;
  /** Of the replay, not on `security.alerts`. */
  readonly missing: readonly AlertProjection[];
  /** On `security.alerts`, not of the replay. */
  readonly extra: readonly AlertProjection[];
  /** Finals that touch a range in which state was dropped (X14): not compared. */
  readonly degraded: number;
};

/** Finals are compared that are decided at a watermark in `(afterMs, uptoMs]`: there both sides had all there is to know. */
export type DecidedRange = { readonly afterMs: number; readonly uptoMs: number };

type Degraded = Pick<AlertProjection, 'organization' | 'rule'> & {
  readonly group: string | null;
  readonly fromMs: number;
  readonly toMs: number;
};

/**
 * E2: the same events give the same finals, whatever happened to the services meanwhile. `live` is the log of
 * `security.alerts`; a final that a record says twice counts once.
 */
export function diffLive(
  replayed: readonly ReplayedFinal[],
  live: readonly CorrelationAlert[],
  decided: DecidedRange,
): LiveDiff {
  const ranges = live.filter(({ kind }) => kind === 'DEGRADED').map(degradedOf);
  const replayedTexts = new Set(replayed.map(({ projection }) => textOf(projection)));
  const liveFinals = new Map<string, { readonly projection: AlertProjection; readonly alert: CorrelationAlert }>();
  for (const alert of live) {
    const projection = project(alert);
    // What a recovery pass said stands on late events, which a replay leaves out as the services do (X3).
    if (alert.kind === 'FINAL' && !alert.recovered) liveFinals.set(textOf(projection), { projection, alert });
  }
  let same = 0;
  let degraded = 0;
  const missing: AlertProjection[] = [];
  for (const { projection, dueMs } of replayed) {
    if (dueMs <= decided.afterMs) continue;
    if (liveFinals.has(textOf(projection))) same++;
    else if (isDegraded(projection, ranges)) degraded++;
    else missing.push(projection);
  }
  const extra: AlertProjection[] = [];
  for (const [text, { projection, alert }] of liveFinals) {
    const dueMs = alert.timer_due ?? alert.last_at + alert.rule.timespan_ms;
    // `watermark` is when it was said: what the range could not know yet was said above it.
    if (replayedTexts.has(text) || dueMs <= decided.afterMs || dueMs >= decided.uptoMs) continue;
    if (isDegraded(projection, ranges)) degraded++;
    else extra.push(projection);
  }
  return { same, missing, extra, degraded };
}

function textOf(projection: AlertProjection): string {
  return JSON.stringify(projection);
}

function degradedOf(alert: CorrelationAlert): Degraded {
  const { organization, rule, group } = project(alert);
  return {
    organization,
    rule,
    group: alert.group.length === 0 ? null : group,
    fromMs: alert.first_at,
    toMs: alert.last_at,
  };
}

function isDegraded(final: AlertProjection, ranges: readonly Degraded[]): boolean {
  return ranges.some(
    ({ organization, rule, group, fromMs, toMs }) =>
      organization === final.organization &&
      rule === final.rule &&
      (group === null || group === final.group) &&
      fromMs <= final.last_at &&
      toMs >= final.first_at,
  );
}
