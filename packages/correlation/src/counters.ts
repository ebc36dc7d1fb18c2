/** Counters that live in partition state, so that they survive crashes and add up (E3). Order is part of the blob. */
export const COUNTER_NAMES = [
  'seen',
  'applied',
  'duplicate_id',
  'duplicate_mark',
  'late',
  'degraded',
  'opens',
  'updates',
  'finals',
  'superseded',
  'chained',
  'evicted',
] as const;

export type CounterName = (typeof COUNTER_NAMES)[number];

export function emptyCounters(): Record<CounterName, number> {
  return Object.fromEntries(COUNTER_NAMES.map((name) => [name, 0])) as Record<CounterName, number>;
}
