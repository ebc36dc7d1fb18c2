import { hasExpired, type RuleException } from '@tracehound/sigma';

/**
 * Why a set must not be applied because of its exceptions, one sentence each. Judged by the clock of whoever applies it, never by a
 * running engine: what a set says is a function of the log (X7).
 */
export function expiredProblems(exceptions: readonly RuleException[], nowMs: number): readonly string[] {
  return exceptions
    .filter((exception) => hasExpired(exception, nowMs))
    .map(
      ({ kind, title, path, expiresMs }) =>
        `${path}: ${kind} '${title}' expired on ${dayOf(expiresMs ?? 0)}: remove it, or agree on another date`,
    );
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
