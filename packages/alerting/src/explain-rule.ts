import type { AlertRecord } from './alert-record.ts';

const UNITS: readonly (readonly [string, number])[] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
];

/** Why an alert fired, in one sentence a person can read without knowing Sigma. Deterministic. */
export function explainRule(
  record: Pick<AlertRecord, 'rule' | 'group' | 'count' | 'count_exact' | 'timer_due' | 'kind' | 'reason'>,
): string {
  const span = inWords(record.rule.timespan_ms);
  const whom = groupInWords(record.group);
  if (record.kind === 'DEGRADED') {
    return `Detection was limited for this rule: ${(record.reason ?? 'unknown reason').replaceAll('_', ' ')}.`;
  }
  const count = countInWords({ value: record.count, exact: record.count_exact });
  if (record.timer_due !== null) return `Decided ${span} after the first event, when the window had closed${whom}.`;
  switch (record.rule.type) {
    case 'event_count':
      return `${count} matching events within ${span}${whom}.`;
    case 'value_count':
      return `${count} matching events with different values within ${span}${whom}.`;
    case 'temporal':
      return `All parts of the pattern within ${span}, in any order${whom}.`;
    case 'temporal_ordered':
      return `All steps of the pattern in order within ${span}${whom}.`;
    default:
      return `${count} matching events (${record.rule.type.replaceAll('_', ' ')}) within ${span}${whom}.`;
  }
}

/** `12` when exact, else `>= 12` (X9: counts are exact or lower bounds). */
export function countLabel(count: { readonly value: number; readonly exact: boolean }): string {
  return count.exact ? String(count.value) : `>= ${count.value}`;
}

/** A duration in its largest whole unit: `90000` is `90 seconds`, `600000` is `10 minutes`. */
export function inWords(durationMs: number): string {
  for (const [unit, unitMs] of UNITS) {
    if (durationMs >= unitMs && durationMs % unitMs === 0) {
      const amount = durationMs / unitMs;
      return `${amount} ${unit}${amount === 1 ? '' : 's'}`;
    }
  }
  return `${durationMs} ms`;
}

function countInWords(count: { readonly value: number; readonly exact: boolean }): string {
  return count.exact ? String(count.value) : `At least ${count.value}`;
}

function groupInWords(group: AlertRecord['group']): string {
  if (group.length === 0) return '';
  return ` for ${group.map(({ field, value }) => `${field} = ${value ?? '(none)'}`).join(', ')}`;
}
