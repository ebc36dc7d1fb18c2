import type { KafkaRecord } from '@tracehound/kafka';

/**
 * Offsets `[from, to)` that the topic no longer held. `retention`: gone before the partition was taken over; `hole`:
 * skipped by the log itself between two records.
 */
export type Gap = { readonly from: bigint; readonly to: bigint; readonly reason: 'retention' | 'hole' };

/** How a fetched batch lies over what is already stored. */
export type Coverage = {
  /** Records below `expected`: they are rows already. */
  readonly redelivered: number;
  readonly gaps: readonly Gap[];
  /** Next offset once everything up to the end of the batch is stored. */
  readonly next: bigint;
};

/** Compares records in log order with `expected`, the next offset of the store. Every offset up to `next` is named. */
export function coverageOf(records: readonly Pick<KafkaRecord, 'offset'>[], expected: bigint): Coverage {
  const gaps: Gap[] = [];
  let next = expected;
  let redelivered = 0;
  for (const { offset } of records) {
    if (offset < next) {
      redelivered += 1;
      continue;
    }
    if (offset > next) gaps.push({ from: next, to: offset, reason: 'hole' });
    next = offset + 1n;
  }
  return { redelivered, gaps, next };
}

/** Number of offsets in all gaps. */
export function missingIn(gaps: readonly Gap[]): bigint {
  return gaps.reduce((sum, gap) => sum + (gap.to - gap.from), 0n);
}
