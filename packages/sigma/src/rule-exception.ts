import type { RuleException } from './compiled-rules.ts';
import { entryOf, type ProblemSink, textEntry, type YamlMap } from './yaml-tree.ts';

/** Who answers for a filter or an override, why, and until when: `custom: {owner, reason, expires}`. */
export type Responsibility = {
  readonly owner: string | null;
  readonly reason: string | null;
  /** First moment at which it should be gone, ms UTC; null: never. */
  readonly expiresMs: number | null;
};

const KEYS = ['owner', 'reason', 'expires'] as const;
/** A day is its first moment, UTC; without a zone an instant would be another one on each machine. */
const INSTANT = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?Z)?$/;

/**
 * Reads `custom` of a filter or an override. An override is ours and needs all three. A filter is Sigma's and may have none, but one
 * that names some is warned of the others. An end must be a date everywhere. Whether it has passed is not asked here: loading knows
 * no clock, and the same files are the same rules at any time (EXACTNESS X7).
 */
export function readResponsibility(
  rule: YamlMap,
  kind: RuleException['kind'],
  { sink, warnings }: { readonly sink: ProblemSink; readonly warnings: ProblemSink },
): Responsibility {
  const entry = entryOf(rule, 'custom');
  const custom = entry?.value.kind === 'map' ? entry.value : null;
  const [owner, reason, expires] = KEYS.map((key) => (custom && textEntry(custom, key, sink)?.trim()) || null);
  const missing = KEYS.filter((_, index) => [owner, reason, expires][index] === null);
  if (missing.length > 0 && (kind === 'override' || missing.length < KEYS.length)) {
    const text = `${kind === 'override' ? 'an' : 'a'} ${kind} needs custom: {owner: …, reason: …, expires: 2026-12-31}: somebody answers for it, for a time; it has no ${missing.join(', no ')}`;
    (kind === 'override' ? sink : warnings).report('key_missing', entry?.keyAt ?? rule.at, text);
  }
  const responsibility = { owner: owner ?? null, reason: reason ?? null };
  if (typeof expires !== 'string') return { ...responsibility, expiresMs: null };
  const expiresMs = INSTANT.test(expires) ? Date.parse(expires) : Number.NaN;
  // Some engines roll 30 February over into March.
  if (!Number.isNaN(expiresMs) && new Date(expiresMs).toISOString().startsWith(expires.slice(0, 10))) {
    return { ...responsibility, expiresMs };
  }
  const at = (custom && entryOf(custom, 'expires')?.value.at) ?? rule.at;
  sink.report('value_invalid', at, 'custom.expires is no date; write 2026-12-31, or 2026-12-31T18:00:00Z');
  return { ...responsibility, expiresMs: null };
}
