import type { TriageGuide } from '@tracehound/event-model';
import type { Severity } from './severity.ts';
import type { AlertStatus, NoticeReason } from './suppression.ts';
import type { TimelineEntry } from './timeline.ts';

/** An alert as `GET /v1/alerts/{id}` returns it and a terminal shows it. Times are milliseconds UTC. */
export type AlertView = AlertSummary & {
  readonly why: string;
  readonly description: string | null;
  /** What the rule's author tells whoever looks at it; null when the rule has no guide. */
  readonly triage: TriageGuide | null;
  readonly rule: {
    readonly id: string;
    readonly title: string;
    readonly level: string;
    readonly type: string;
    readonly author: string | null;
    readonly status: string | null;
    readonly tags: readonly string[];
    readonly ruleset_id: string;
    readonly timespan_ms: number;
  };
  /** Filters and overrides that had a say in the rule, in the set it is of; null when that set could not be read. */
  readonly exceptions: readonly AlertException[] | null;
  readonly timeline: readonly TimelineEntry[];
  /** Evidence events the audit store does not hold (yet). */
  readonly evidence_missing: number;
  readonly event_ids: readonly string[];
  readonly flags: readonly string[];
  /** All correlator ids of this alert, in order of first evidence. */
  readonly members: readonly {
    readonly alert_id: string;
    readonly revision: number;
    readonly count: number;
    readonly ended: boolean;
    readonly superseded_by: string | null;
  }[];
  readonly deliveries: readonly DeliveryView[];
  readonly link: string;
};

/** Who keeps events from a rule, or gave it another number, why and until when. */
export type AlertException = {
  readonly id: string;
  readonly kind: 'filter' | 'override';
  readonly title: string;
  readonly path: string;
  readonly line: number;
  /** The only one in which it holds; null: in all. */
  readonly organization: string | null;
  /** Ids of the rules it reaches. */
  readonly rules: readonly string[];
  readonly owner: string | null;
  readonly reason: string | null;
  /** RFC 3339, UTC; it does not go by itself. Null: no end was agreed. */
  readonly expires: string | null;
};

/** An alert in the list of `GET /v1/alerts`. */
export type AlertSummary = {
  readonly alert_id: string;
  readonly organization_id: string;
  readonly status: AlertStatus;
  readonly severity: Severity;
  readonly title: string;
  readonly rule_id: string;
  /** Latest revision of the latest record, and its kind. */
  readonly kind: string;
  readonly revision: number;
  readonly group: readonly { readonly field: string; readonly value: string | null }[];
  readonly count: { readonly value: number; readonly exact: boolean };
  readonly first_at: number;
  readonly last_at: number;
  readonly fired_at: number;
};

export type DeliveryState = 'pending' | 'sending' | 'sent' | 'in_doubt' | 'failed' | 'dead';

/** One notice to one receiver. */
export type DeliveryView = {
  readonly delivery_id: string;
  readonly alert_id: string;
  readonly organization_id: string;
  readonly receiver: string;
  readonly channel: string;
  readonly reason: NoticeReason | 'completed';
  readonly thin: boolean;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly http_status: number | null;
  readonly error_code: string | null;
  readonly created_at: number;
  readonly delivered_at: number | null;
  /** From the gateway's acceptance of the last evidence event to the receiver's answer; null when either is missing. */
  readonly after_ack_ms: number | null;
};
