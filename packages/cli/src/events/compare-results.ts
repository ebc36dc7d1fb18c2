import type { DetectResult } from '@tracehound/detect';

/** One rule and group, and what two rule sets said of it. */
export type BacktestRow = {
  readonly change: 'gained' | 'lost' | 'changed' | 'same';
  readonly kind: DetectResult['kind'];
  readonly rule_id: string;
  readonly rule_title: string;
  readonly group: DetectResult['group'];
  readonly organization_id?: string;
  readonly old_alerts: number;
  readonly new_alerts: number;
  /** Time of the first alert; null where there is none. */
  readonly old_first: string | null;
  readonly new_first: string | null;
  /** Events that are in alerts of one side only, at most 16 each, sorted. */
  readonly events_lost: readonly string[];
  readonly events_gained: readonly string[];
};

const EVENTS_SHOWN = 16;

type Side = { readonly results: DetectResult[] };
type Pair = { readonly old: Side; readonly fresh: Side };

/**
 * Compares by rule and group, sorted by rule, organization and group. Alerts are the same when their times, counts and
 * events are.
 */
export function compareResults(old: readonly DetectResult[], fresh: readonly DetectResult[]): readonly BacktestRow[] {
  const pairs = new Map<string, Pair>();
  for (const [side, results] of [
    ['old', old],
    ['fresh', fresh],
  ] as const) {
    for (const result of results) {
      const key = JSON.stringify([result.rule_id, result.organization_id ?? '', result.group]);
      const pair = pairs.get(key) ?? { old: { results: [] }, fresh: { results: [] } };
      pairs.set(key, pair);
      pair[side].results.push(result);
    }
  }
  return [...pairs.keys()].sort().map((key) => rowOf(pairs.get(key) as Pair));
}

function rowOf({ old, fresh }: Pair): BacktestRow {
  const some = (fresh.results[0] ?? old.results[0]) as DetectResult;
  return {
    change: changeOf(old.results, fresh.results),
    kind: some.kind,
    rule_id: some.rule_id,
    rule_title: some.rule_title,
    group: some.group,
    ...(some.organization_id === undefined ? {} : { organization_id: some.organization_id }),
    old_alerts: old.results.length,
    new_alerts: fresh.results.length,
    old_first: firstOf(old.results),
    new_first: firstOf(fresh.results),
    events_lost: eventsOnlyIn(old.results, fresh.results),
    events_gained: eventsOnlyIn(fresh.results, old.results),
  };
}

function changeOf(old: readonly DetectResult[], fresh: readonly DetectResult[]): BacktestRow['change'] {
  if (old.length === 0) return 'gained';
  if (fresh.length === 0) return 'lost';
  const textOf = (results: readonly DetectResult[]): string =>
    results
      .map(({ at, count, event_ids }) => JSON.stringify([at, count, event_ids]))
      .sort()
      .join();
  return textOf(old) === textOf(fresh) ? 'same' : 'changed';
}

function firstOf(results: readonly DetectResult[]): string | null {
  return results.map(({ at }) => at).sort()[0] ?? null;
}

function eventsOnlyIn(some: readonly DetectResult[], others: readonly DetectResult[]): readonly string[] {
  const known = new Set(others.flatMap(({ event_ids }) => event_ids));
  const only = new Set(some.flatMap(({ event_ids }) => event_ids).filter((id) => !known.has(id)));
  return [...only].sort().slice(0, EVENTS_SHOWN);
}
