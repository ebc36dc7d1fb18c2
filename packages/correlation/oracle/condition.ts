import type { CorrelationDefinition } from '@tracehound/sigma';
import { latestChain, type Span } from './chain-search.ts';
import { byTotalOrder, compareText, dropsNegatives, isTemporal, meetsAll, type OracleEvent } from './model.ts';
import { expressionHolds, temporalEvidence } from './steps.ts';

export function distinctIds(hits: readonly OracleEvent[]): number {
  return new Set(hits.map(({ id }) => id)).size;
}

export function distinctValues(hits: readonly OracleEvent[]): readonly (string | null)[] {
  return [...new Set(hits.map(({ value }) => value))];
}

/** One number per event: an event id counts once. */
function numbersOf(hits: readonly OracleEvent[]): readonly number[] {
  return [...new Map(hits.map((hit) => [hit.id, hit.number])).values()].filter((number) => number != null);
}

export function sumOf(hits: readonly OracleEvent[]): number {
  return numbersOf(hits).reduce((sum, number) => sum + number, 0);
}

/** Linear interpolation between closest ranks, C = 1: position p/100 * (n - 1). */
function percentileOf(numbers: readonly number[], rank: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const position = (rank / 100) * (sorted.length - 1);
  const below = sorted[Math.floor(position)] as number;
  const above = sorted[Math.ceil(position)] as number;
  return below + (above - below) * (position - Math.floor(position));
}

/** value_rarity: the hits of values whose share of all events, in percent, meets the bounds. */
function rareHits(definition: CorrelationDefinition, hits: readonly OracleEvent[]): readonly OracleEvent[] {
  const all = distinctIds(hits);
  return hits.filter(({ value }) => {
    const having = hits.filter((hit) => hit.value === value);
    return meetsAll(definition.bounds, (100 * distinctIds(having)) / all);
  });
}

/** Section 2: c(S). False of no hits, whatever the type; `expect` alone asks more (section 8). */
export function holds(definition: CorrelationDefinition, hits: readonly OracleEvent[], window: Span): boolean {
  if (hits.length === 0) return false;
  switch (definition.type) {
    case 'event_count':
      return meetsAll(definition.bounds, distinctIds(hits));
    case 'value_count':
      return meetsAll(definition.bounds, distinctValues(hits).length);
    case 'value_sum':
      return meetsAll(definition.bounds, sumOf(hits));
    case 'value_avg':
      return meetsAll(definition.bounds, sumOf(hits) / numbersOf(hits).length);
    case 'value_percentile':
      return meetsAll(definition.bounds, percentileOf(numbersOf(hits), definition.percentile ?? 50));
    case 'value_rarity':
      return rareHits(definition, hits).length > 0;
    case 'temporal':
      return definition.temporal !== null && expressionHolds(definition.temporal, { hits, reuse: definition.reuse });
    case 'temporal_ordered':
      return latestChain(definition, { hits, window }) !== undefined;
  }
}

/** Section 4: the positives that c names in a window it holds of. */
export function namedHits(
  definition: CorrelationDefinition,
  positives: readonly OracleEvent[],
): readonly OracleEvent[] {
  return definition.type === 'value_rarity' ? rareHits(definition, positives) : positives;
}

/** The least count that meets all (lower) bounds. */
function leastCount(definition: CorrelationDefinition): number {
  let count = 1;
  while (!meetsAll(definition.bounds, count)) count++;
  return count;
}

/** The first hits of the first (or last) so many distinct events, in total order. */
function firstIds(hits: readonly OracleEvent[], count: number): readonly OracleEvent[] {
  const ids = [...new Set(hits.map(({ id }) => id))].slice(0, count);
  return hits.filter(({ id }) => ids.includes(id));
}

function lastIds(hits: readonly OracleEvent[], count: number): readonly OracleEvent[] {
  const ids = [...new Set(hits.map(({ id }) => id))].slice(-count);
  return hits.filter(({ id }) => ids.includes(id));
}

/** Per value: which of its hits is evidence. `leftMs` null: its first (tumbling and session windows). */
function valueEvidence(hits: readonly OracleEvent[], spanMs: number, leftMs: number | null): readonly OracleEvent[] {
  return distinctValues(hits).map((value) => {
    const having = hits.filter((hit) => hit.value === value);
    if (leftMs === null) return having[0] as OracleEvent;
    const now = Math.floor(leftMs / spanMs);
    const before = having.filter(({ timeMs }) => Math.floor(timeMs / spanMs) === now - 1);
    return (before.at(-1) ?? having.find(({ timeMs }) => Math.floor(timeMs / spanMs) === now)) as OracleEvent;
  });
}

export type EvidenceQuestion = {
  readonly window: Span;
  /** Left end whose bucket decides which hit of a value is named; null in tumbling and session windows. */
  readonly leftMs: number | null;
};

/** X10.5, X10.6 and section 3: the evidence in `hits`, of which c holds; monotone types only. */
export function evidenceOf(
  definition: CorrelationDefinition,
  unsorted: readonly OracleEvent[],
  question: EvidenceQuestion,
): readonly OracleEvent[] {
  const hits = unsorted.toSorted(byTotalOrder);
  switch (definition.type) {
    case 'event_count':
      return firstIds(hits, leastCount(definition));
    case 'value_count':
      return valueEvidence(hits, definition.spanMs, question.leftMs);
    case 'value_sum':
      return lastIds(hits, 64);
    case 'temporal':
      return definition.temporal ? temporalEvidence(definition.temporal, { hits, reuse: definition.reuse }) : [];
    case 'temporal_ordered':
      return latestChain(definition, { hits, window: question.window }) ?? [];
    case 'value_avg':
    case 'value_percentile':
    case 'value_rarity':
      throw new RangeError('no left end: these types are not monotone');
  }
}

/** Section 9: what `count` says about hits that were counted. */
export function countOf(
  definition: CorrelationDefinition,
  { left, all }: { readonly left: readonly OracleEvent[]; readonly all: readonly OracleEvent[] },
): number {
  if (definition.type === 'value_count') return distinctValues(left).length;
  if (definition.type === 'value_sum') return sumOf(left);
  return distinctIds(all);
}

export function sortedIds(hits: readonly OracleEvent[]): readonly string[] {
  return [...new Set(hits.map(({ id }) => id))].sort(compareText);
}

const NUMERIC: ReadonlySet<CorrelationDefinition['type']> = new Set(['value_sum', 'value_avg', 'value_percentile']);

/** Section 1: hits as the definition counts them, each once, in total order. */
export function countedHits(definition: CorrelationDefinition, events: readonly OracleEvent[]): readonly OracleEvent[] {
  const once = new Map<string, OracleEvent>();
  for (const event of events) {
    if (NUMERIC.has(definition.type) && event.number == null) continue;
    if (dropsNegatives(definition) && (event.number ?? 0) < 0) continue;
    const hit = isTemporal(definition) ? { ...event, value: null } : { ...event, step: 0 };
    const key = JSON.stringify([hit.organization, hit.group, hit.id, hit.step, hit.value]);
    if (!once.has(key)) once.set(key, hit);
  }
  return [...once.values()].sort(byTotalOrder);
}
