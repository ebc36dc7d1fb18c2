import type { AuditRow } from './audit-row.ts';

/**
 * How far back a copy is looked for, by append times of the partition: SDK retries and indefinite produces come within
 * minutes, a spool that was offline within days. A constant, not a setting, so that the flag stays a function of the
 * partition's own log (X6, X15).
 */
export const DUPLICATE_WINDOW_MS: number = 7 * 86_400_000;

/** A copy that counts for `row` was appended at this instant or later. */
export function duplicateSinceMs(row: AuditRow): number {
  return row.origin.recordedAtMs - DUPLICATE_WINDOW_MS;
}

/**
 * Offset of the first copy for each row that has one, in row order; null = this row is the first. `rows` are of one
 * partition in log order; `stored` gives, by index, the first committed copy within the window, if any.
 */
export function firstCopies(
  rows: readonly AuditRow[],
  stored: ReadonlyMap<number, bigint>,
): readonly (bigint | null)[] {
  const inBatch = new Map<string, AuditRow[]>();
  return rows.map((row, index) => {
    const { recordKey, retentionClass } = row.projection;
    const earlier = inBatch.get(recordKey);
    if (!earlier) {
      inBatch.set(recordKey, [row]);
      return stored.get(index) ?? null;
    }
    const since = duplicateSinceMs(row);
    const copy = earlier.find(
      (candidate) => candidate.origin.recordedAtMs >= since && candidate.projection.retentionClass === retentionClass,
    );
    earlier.push(row);
    return stored.get(index) ?? copy?.origin.offset ?? null;
  });
}
