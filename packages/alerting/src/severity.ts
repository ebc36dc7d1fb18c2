/** Severities of notices, lowest first: the levels of Sigma 2.1 (rules specification, `level`). */
export const SEVERITIES = ['informational', 'low', 'medium', 'high', 'critical'] as const;

export type Severity = (typeof SEVERITIES)[number];

/** A rule without a known level pages as `medium`: neither hidden nor at the top. */
export function severityOf(level: string): Severity {
  const word = level.toLowerCase();
  return SEVERITIES.find((severity) => severity === word) ?? 'medium';
}

/** 0 for informational to 4 for critical. */
export function severityRank(severity: Severity): number {
  return SEVERITIES.indexOf(severity);
}

export function isAtLeast(severity: Severity, floor: Severity): boolean {
  return severityRank(severity) >= severityRank(floor);
}

export function highestSeverity(left: Severity, right: Severity): Severity {
  return severityRank(left) >= severityRank(right) ? left : right;
}
