import type { CorrelationRule, RuleException, RuleSetCompiled } from '@tracehound/sigma';

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

export function hasExpired({ expiresMs }: RuleException, nowMs: number): boolean {
  return expiresMs !== null && expiresMs <= nowMs;
}

/**
 * The exceptions that had a say in what a correlation, in the form of an organization, alerts on: its override there, those of the
 * correlations below it, and the filters of the detections it stands on. Exact for an alert: its record names the set.
 */
export function exceptionsOver(set: RuleSetCompiled, rule: CorrelationRule): readonly RuleException[] {
  const ids = new Set<string>();
  const walk = ({ uid, stepSources }: CorrelationRule): void => {
    ids.add(uid);
    for (const source of stepSources) {
      const inner = source.kind === 'correlation' ? set.correlations[source.correlation] : undefined;
      if (inner) walk(inner);
      const detection = source.kind === 'detection' ? set.detections[source.detection] : undefined;
      if (detection) ids.add(detection.id);
    }
  };
  walk(rule);
  const organization = rule.override?.organization;
  return set.exceptions.filter(
    (one) => (one.organization === null || one.organization === organization) && one.rules.some((id) => ids.has(id)),
  );
}

/** `override 'Acme is large' in acme of ada expires 2027-01-31: ticket 12`. */
export function exceptionText(exception: RuleException, nowMs: number): string {
  const { kind, title, organization, owner, reason, expiresMs } = exception;
  const where = organization === null ? '' : ` in ${organization}`;
  const end = hasExpired(exception, nowMs) ? 'expired' : 'expires';
  const when = expiresMs === null ? 'has no end' : `${end} ${dayOf(expiresMs)}`;
  return `${kind} '${title}'${where} of ${owner ?? 'nobody'} ${when}: ${reason ?? 'no reason given'}`;
}

/** As the JSON forms of the commands have it. */
export type ExceptionJson = Omit<RuleException, 'expiresMs' | 'uid'> & {
  readonly id: string;
  readonly expires: string | null;
};

export function exceptionJson({ expiresMs, uid, ...one }: RuleException): ExceptionJson {
  return { id: uid, ...one, expires: expiresMs === null ? null : new Date(expiresMs).toISOString() };
}

export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
