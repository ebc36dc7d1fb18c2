import type { RuleFile } from '@tracehound/sigma';
import { parseAllDocuments } from 'yaml';

/** A Sigma filter of the set: what it leaves out of a rule, who answers for it, why, and until when. */
export type RuleException = {
  readonly title: string;
  readonly path: string;
  /** Under `custom` of the filter; null where nobody wrote them. */
  readonly owner: string | null;
  readonly reason: string | null;
  /** First moment at which it should be gone, ms UTC; null: never. */
  readonly expiresMs: number | null;
};

/**
 * Filters with what stands under `custom: {owner, reason, expires}`. Expiry is judged when a set is applied, never by a running
 * engine: results are a function of the log (X7). Files that do not parse have none; loading them says why.
 */
export function exceptionsOf(files: readonly RuleFile[]): readonly RuleException[] {
  return files.flatMap(({ path, content }) =>
    parseAllDocuments(content).flatMap((document) => {
      if (document.errors.length > 0) return [];
      const rule: unknown = document.toJS();
      if (!isMap(rule) || !isMap(rule['filter'])) return [];
      const custom = isMap(rule['custom']) ? rule['custom'] : {};
      const text = (name: string): string | null => (custom[name] === undefined ? null : String(custom[name]));
      const expires = text('expires');
      const expiresMs = expires === null ? null : Date.parse(expires);
      return [{ title: String(rule['title'] ?? ''), path, owner: text('owner'), reason: text('reason'), expiresMs }];
    }),
  );
}

/** Why a set must not be applied because of its exceptions, one sentence each. */
export function exceptionProblems(exceptions: readonly RuleException[], nowMs: number): readonly string[] {
  return exceptions.flatMap(({ title, path, expiresMs }) => {
    if (expiresMs === null) return [];
    if (Number.isNaN(expiresMs)) return [`${path}: filter '${title}': custom.expires is no date; write 2026-12-31`];
    if (expiresMs > nowMs) return [];
    return [`${path}: filter '${title}' expired on ${dayOf(expiresMs)}: remove it, or agree on another date`];
  });
}

export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
