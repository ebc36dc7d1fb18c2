import type { RuleFile } from '@tracehound/sigma';
import { parseAllDocuments } from 'yaml';

/** A Sigma filter or an override of the set: who answers for it, why, and until when. */
export type RuleException = {
  readonly kind: 'filter' | 'override';
  readonly title: string;
  readonly path: string;
  /** Under `custom`; null where nobody wrote them. */
  readonly owner: string | null;
  readonly reason: string | null;
  /** First moment at which it should be gone, ms UTC; null: never. */
  readonly expiresMs: number | null;
};

const KINDS = ['filter', 'override'] as const;

/**
 * Filters and overrides with what stands under `custom: {owner, reason, expires}`. Expiry is judged when a set is applied, never by a running
 * engine: results are a function of the log (X7). Files that do not parse have none; loading them says why.
 */
export function exceptionsOf(files: readonly RuleFile[]): readonly RuleException[] {
  return files.flatMap(({ path, content }) =>
    parseAllDocuments(content).flatMap((document) => {
      if (document.errors.length > 0) return [];
      const rule: unknown = document.toJS();
      if (!isMap(rule)) return [];
      const kind = KINDS.find((key) => isMap(rule[key]));
      if (kind === undefined) return [];
      const custom = isMap(rule['custom']) ? rule['custom'] : {};
      const text = (name: string): string | null => (custom[name] === undefined ? null : String(custom[name]));
      const expires = text('expires');
      const expiresMs = expires === null ? null : Date.parse(expires);
      const title = String(rule['title'] ?? '');
      return [{ kind, title, path, owner: text('owner'), reason: text('reason'), expiresMs }];
    }),
  );
}

/** Why a set must not be applied because of its exceptions, one sentence each. */
export function exceptionProblems(exceptions: readonly RuleException[], nowMs: number): readonly string[] {
  return exceptions.flatMap(({ kind, title, path, owner, reason, expiresMs }) => {
    const which = `${path}: ${kind} '${title}'`;
    if (kind === 'override' && (owner === null || reason === null || expiresMs === null)) {
      return [`${which} needs custom: {owner: …, reason: …, expires: 2026-12-31}: somebody answers for it, for a time`];
    }
    if (expiresMs === null) return [];
    if (Number.isNaN(expiresMs)) return [`${which}: custom.expires is no date; write 2026-12-31`];
    if (expiresMs > nowMs) return [];
    return [`${which} expired on ${dayOf(expiresMs)}: remove it, or agree on another date`];
  });
}

export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
