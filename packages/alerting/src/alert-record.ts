/**
 * What this package reads of a `CorrelationAlert` (X9, `docs/design/contracts.md` section 3), so that the decisions
 * can be tested with small literals and do not depend on the whole generated record. The generated type fits it.
 * Names are those of the wire; times are integer milliseconds UTC.
 */
export type AlertRecord = {
  readonly alert_id: string;
  readonly revision: number;
  readonly kind: AlertKind;
  readonly organization_id: string;
  readonly cluster_id: string;
  readonly rule: AlertRule;
  readonly group: readonly { readonly field: string; readonly value: string | null }[];
  readonly count: number;
  readonly count_exact: boolean;
  readonly first_at: number;
  readonly last_at: number;
  readonly trigger_event_id: string | null;
  readonly timer_due: number | null;
  readonly event_ids: readonly string[];
  readonly sample_event_ids: readonly string[];
  readonly supersedes: readonly string[];
  readonly superseded_by: string | null;
  readonly degraded: boolean;
  readonly recovered: boolean;
  readonly approx: boolean;
  readonly reason: string | null;
};

export type AlertKind = 'OPEN' | 'UPDATE' | 'FINAL' | 'END' | 'DEGRADED' | 'UNKNOWN';

export type AlertRule = {
  readonly rule_id: string;
  readonly title: string;
  readonly level: string;
  readonly type: string;
  readonly ruleset_id: string;
  readonly author: string | null;
  readonly description: string | null;
  readonly status: string | null;
  readonly tags: readonly string[];
  readonly timespan_ms: number;
};
