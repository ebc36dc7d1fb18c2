/** A match as a window keeps it. */
export type Hit = {
  readonly timeMs: number;
  readonly id: string;
  readonly step: number;
  /** value_count only: the counted value. */
  readonly value: string | null;
  /** value_sum: what is summed. */
  readonly number: number | null;
  /** Slot of the source partition in the engine's table. */
  readonly source: number;
  readonly sourceOffset: number;
  readonly matchesOffset: number;
  /** Orders events of one source instance that carry the same time (X2). */
  readonly instance: string | null;
  readonly sequence: number | null;
};

/** What the order of steps depends on. */
export type StepHit = Pick<Hit, 'timeMs' | 'id' | 'step' | 'instance' | 'sequence'>;

/** The total order (event time, event id) of X2; step and value tell several hits of one event apart. */
export function compareHits(a: Hit, b: Hit): number {
  return a.timeMs - b.timeMs || compareText(a.id, b.id) || a.step - b.step || compareText(a.value ?? '', b.value ?? '');
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Index of the first hit with `timeMs` or later, in a list in total order. */
export function firstAtOrAfter(hits: readonly { readonly timeMs: number }[], timeMs: number): number {
  let low = 0;
  let high = hits.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((hits[middle] as { readonly timeMs: number }).timeMs < timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index at which `hit` keeps the list in total order. */
export function insertionIndex(hits: readonly Hit[], hit: Hit): number {
  let low = 0;
  let high = hits.length;
  // Most hits come in order: look at the end first.
  const last = hits[high - 1];
  if (last === undefined || compareHits(last, hit) <= 0) return high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareHits(hits[middle] as Hit, hit) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Lowest event time; Infinity of nothing. */
export function firstTimeOf(hits: readonly { readonly timeMs: number }[]): number {
  let firstMs = Number.POSITIVE_INFINITY;
  for (const { timeMs } of hits) if (timeMs < firstMs) firstMs = timeMs;
  return firstMs;
}
