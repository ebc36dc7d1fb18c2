import type { CorrelationRule, RuleException, RuleSetCompiled } from './compiled-rules.ts';

/** Whether its end has come, by the clock of whoever asks. */
export function hasExpired({ expiresMs }: Pick<RuleException, 'expiresMs'>, nowMs: number): boolean {
  return expiresMs !== null && expiresMs <= nowMs;
}

/**
 * The exceptions that had a say in what a correlation, in the form of an organization, alerts on: its override there, those of the
 * correlations below it, and the filters of the detections it stands on. Exact for an alert: its record names the set.
 */
export function exceptionsOver(
  set: Pick<RuleSetCompiled, 'correlations' | 'detections' | 'exceptions'>,
  rule: CorrelationRule,
  organization: string,
): readonly RuleException[] {
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
  return reaching(set, ids, organization);
}

/**
 * The same for what a record says of its rule: a correlation of the set in force, or a detection that spoke for itself. Empty for a
 * rule that the set does not have.
 */
export function exceptionsBehind(
  set: RuleSetCompiled,
  { ruleId, organization }: { readonly ruleId: string; readonly organization: string },
): readonly RuleException[] {
  const base = set.correlations.find(
    ({ description, override, isWarming }) => description.rule_id === ruleId && override === null && !isWarming,
  );
  const rule = base && set.correlations[set.inOrganization(base.index, organization)];
  if (rule) return exceptionsOver(set, rule, organization);
  const detections = set.detections.filter(({ description }) => description.rule_id === ruleId);
  return reaching(set, new Set(detections.map(({ id }) => id)), organization);
}

function reaching(
  { exceptions }: Pick<RuleSetCompiled, 'exceptions'>,
  ids: ReadonlySet<string>,
  organization: string,
): readonly RuleException[] {
  return exceptions.filter(
    (one) => (one.organization === null || one.organization === organization) && one.rules.some((id) => ids.has(id)),
  );
}

/** As JSON has it, in commands and interfaces. */
export type ExceptionJson = Omit<RuleException, 'expiresMs' | 'uid'> & {
  readonly id: string;
  /** RFC 3339, UTC. */
  readonly expires: string | null;
};

export function exceptionJson({ expiresMs, uid, ...one }: RuleException): ExceptionJson {
  return { id: uid, ...one, expires: expiresMs === null ? null : new Date(expiresMs).toISOString() };
}

/** `override 'Acme is large' in acme of ada expires 2027-01-31: ticket 12`. */
export function exceptionText(
  exception: Pick<RuleException, 'kind' | 'title' | 'organization' | 'owner' | 'reason' | 'expiresMs'>,
  nowMs: number,
): string {
  const { kind, title, organization, owner, reason, expiresMs } = exception;
  const where = organization === null ? '' : ` in ${organization}`;
  const end = hasExpired(exception, nowMs) ? 'expired' : 'expires';
  const when = expiresMs === null ? 'has no end' : `${end} ${new Date(expiresMs).toISOString().slice(0, 10)}`;
  return `${kind} '${title}'${where} of ${owner ?? 'nobody'} ${when}: ${reason ?? 'no reason given'}`;
}
