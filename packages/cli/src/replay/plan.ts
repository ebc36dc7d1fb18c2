import { rebuildFromMs } from '@tracehound/correlation';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import type { CorrelationRule, RuleSetCompiled } from '@tracehound/sigma';
import { sourceTopics } from '../commands/rules.ts';
import { timeOption } from '../time-option.ts';
import { UsageError } from '../usage-error.ts';
import { findIntake, type IntakePart, type IntakeRange } from './intake-log.ts';
import type { RulesLog } from './rules-log.ts';

/** Where the intake is read from. */
export type PlanSource = { readonly kafka: KafkaClient; readonly admin: KafkaAdmin; readonly namespace: string };

/** A stretch of the log, and what has to be read for it. */
export type ReplayPlan = IntakeRange & {
  /** Decided at or below this watermark: before the range. */
  readonly decidedAfterMs: number;
  readonly rulesLog: RulesLog;
  /** With the lead: from where windows begin that are open at `fromMs`. */
  readonly parts: readonly IntakePart[];
};

/** `--from` and `--to` as append times, ms; infinite where they were not given. @throws UsageError */
export function rangeOf({ from, to }: { readonly from?: string; readonly to?: string }): IntakeRange {
  const fromMs = timeOption('--from', from) ?? Number.NEGATIVE_INFINITY;
  const toMs = timeOption('--to', to) ?? Number.POSITIVE_INFINITY;
  if (fromMs >= toMs) throw new UsageError('--from must lie before --to');
  return { fromMs, toMs };
}

/** What must be read so that all of the sets have whole windows in the range. */
export async function planOf(
  range: IntakeRange,
  { rulesLog, ruleSets }: { readonly rulesLog: RulesLog; readonly ruleSets: readonly RuleSetCompiled[] },
  source: PlanSource,
): Promise<ReplayPlan> {
  const { fromMs, toMs } = range;
  const { lateness_ms, clock_allowance_ms } = rulesLog.at(fromMs);
  const decidedAfterMs = fromMs - lateness_ms - clock_allowance_ms;
  const topics = sourceTopics(source.namespace, { latest: rulesLog.latest });
  const leads = ruleSets.map((set) => leadFromMs(set, decidedAfterMs));
  const parts = await findIntake(source, topics, { fromMs: Math.min(fromMs, ...leads), toMs });
  return { fromMs, toMs, decidedAfterMs, rulesLog, parts };
}

/** Records there can be at most: offsets are spent on markers and on the control of transactions too. */
export function recordsMaxOf(parts: readonly IntakePart[]): number {
  return Number(parts.reduce((sum, { from, until }) => sum + (until - from), 0n));
}

/**
 * Event time (ms) from which events can still matter to what is decided above the watermark (X12). What a chain needs adds up
 * along it (X11): its inner rules must be whole from where it begins.
 */
export function leadFromMs({ correlations }: { readonly correlations: readonly Lead[] }, watermarkMs: number): number {
  if (!Number.isFinite(watermarkMs)) return watermarkMs;
  const wholeFromMs = correlations.map(() => watermarkMs);
  let leadMs = watermarkMs;
  const outermostFirst = [...correlations.entries()].toSorted(([, a], [, b]) => b.depth - a.depth);
  for (const [index, { definition, feeds }] of outermostFirst) {
    const above = feeds.map(({ correlation }) => wholeFromMs[correlation] ?? watermarkMs);
    const fromMs = rebuildFromMs(Math.min(watermarkMs, ...above), definition.spanMs);
    wholeFromMs[index] = fromMs;
    leadMs = Math.min(leadMs, fromMs);
  }
  return leadMs;
}

/** By rule id, the earliest time (ms) at which an alert can begin that is decided above the watermark; along chains as above. */
export function decidedFromMs(
  { correlations }: { readonly correlations: readonly (Lead & Pick<CorrelationRule, 'description'>)[] },
  watermarkMs: number,
): ReadonlyMap<string, number> {
  const hitsFromMs = correlations.map(() => watermarkMs);
  const byRule = new Map<string, number>();
  const innermostFirst = [...correlations.entries()].toSorted(([, a], [, b]) => a.depth - b.depth);
  for (const [index, { definition, feeds, description }] of innermostFirst) {
    const fromMs = Number.isFinite(watermarkMs)
      ? rebuildFromMs(hitsFromMs[index] ?? watermarkMs, definition.spanMs)
      : watermarkMs;
    for (const { correlation } of feeds)
      hitsFromMs[correlation] = Math.min(hitsFromMs[correlation] ?? watermarkMs, fromMs);
    byRule.set(description.rule_id, Math.min(byRule.get(description.rule_id) ?? fromMs, fromMs));
  }
  return byRule;
}

type Lead = Pick<CorrelationRule, 'depth' | 'feeds'> & { readonly definition: { readonly spanMs: number } };
