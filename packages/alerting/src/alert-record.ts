import type { CorrelationAlert, RuleRef } from '@tracehound/event-model';

/**
 * What this package reads of a `CorrelationAlert` (X9), so that the decisions can be tested with small literals and
 * findings of single-event rules can be told like alerts. Names are those of the wire; times are integer milliseconds UTC.
 */
export type AlertRecord = Pick<
  CorrelationAlert,
  | 'alert_id'
  | 'revision'
  | 'kind'
  | 'organization_id'
  | 'cluster_id'
  | 'group'
  | 'count'
  | 'count_exact'
  | 'first_at'
  | 'last_at'
  | 'trigger_event_id'
  | 'timer_due'
  | 'event_ids'
  | 'sample_event_ids'
  | 'supersedes'
  | 'superseded_by'
  | 'degraded'
  | 'recovered'
  | 'approx'
  | 'reason'
> & { readonly rule: AlertRule };

/** The rule as far as people are told of it. */
export type AlertRule = Omit<RuleRef, 'semantic_hash'>;
