import type { RuleUsage } from '@tracehound/correlation';
import type { WindowEngine } from './domain/window.ts';
import type { CorrelatorMetrics } from './metrics.ts';

/** Series of a gauge: more organizations and rules than that are one series together. */
const LARGEST_MAX = 20;
const DEGRADED_MAX = 50;
const OTHER = 'other';

type Gauges = Pick<CorrelatorMetrics, 'ruleGroups' | 'ruleBytes' | 'ruleDegraded' | 'degradedRules'>;

/** Sets the gauges of groups and bytes per correlation and organization, over all held partitions. */
export function reportUsage(engines: Iterable<Pick<WindowEngine, 'usage'>>, gauges: Gauges): void {
  const all = added(engines);
  setLargest(all, gauges.ruleGroups, ({ groups }) => groups);
  setLargest(all, gauges.ruleBytes, ({ bytes }) => bytes);
  const degraded = all.filter(({ isDegraded }) => isDegraded).sort(byName);
  gauges.degradedRules.set(degraded.length);
  gauges.ruleDegraded.reset();
  for (const { organization, ruleId } of degraded.slice(0, DEGRADED_MAX)) {
    gauges.ruleDegraded.set({ organization, rule: ruleId }, 1);
  }
}

function added(engines: Iterable<Pick<WindowEngine, 'usage'>>): RuleUsage[] {
  const sums = new Map<string, RuleUsage>();
  for (const engine of engines) {
    for (const usage of engine.usage()) {
      const key = JSON.stringify([usage.organization, usage.ruleId]);
      const before = sums.get(key);
      sums.set(key, {
        ...usage,
        groups: usage.groups + (before?.groups ?? 0),
        bytes: usage.bytes + (before?.bytes ?? 0),
        isDegraded: usage.isDegraded || (before?.isDegraded ?? false),
      });
    }
  }
  return [...sums.values()];
}

function setLargest(
  all: readonly RuleUsage[],
  gauge: Gauges['ruleGroups'],
  sizeOf: (usage: RuleUsage) => number,
): void {
  const falling = [...all].sort((a, b) => sizeOf(b) - sizeOf(a) || byName(a, b));
  gauge.reset();
  let rest = 0;
  for (const [index, usage] of falling.entries()) {
    if (index < LARGEST_MAX) gauge.set({ organization: usage.organization, rule: usage.ruleId }, sizeOf(usage));
    else rest += sizeOf(usage);
  }
  gauge.set({ organization: OTHER, rule: OTHER }, rest);
}

function byName(a: RuleUsage, b: RuleUsage): number {
  return compareText(a.organization, b.organization) || compareText(a.ruleId, b.ruleId);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
