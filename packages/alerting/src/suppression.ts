import type { AlertRecord } from './alert-record.ts';
import { stableId } from './delivery-id.ts';
import { highestSeverity, type Severity, severityOf, severityRank } from './severity.ts';

/** Later hits within 15 minutes of alert time join the alert instead of paging again (R-205, X16). */
export const SUPPRESSION_WINDOW_MS: number = 15 * 60_000;

/** An alert takes in later alerts for at most 24 hours after its first evidence, so a long attack pages once a day. */
export const SUPPRESSION_CAP_MS: number = 24 * 3_600_000;

/** A count this many times the one last told is worth telling again. */
export const GROWTH_FACTOR: number = 10;

/** One alert id of the correlator as far as its revisions are known; kept after its end, so that nothing re-opens it. */
export type AlertMember = {
  readonly alertId: string;
  /** Highest revision seen; -1 for an id that has not been seen yet: another one supersedes it, or a notice named it. */
  readonly revision: number;
  readonly count: number;
  readonly countExact: boolean;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  readonly hasEnded: boolean;
  readonly supersededBy: string | null;
};

export type AlertStatus = 'open' | 'acknowledged' | 'closed';

/** The alert an analyst sees: all correlator alerts of one (rule, entity) that followed each other closely. */
export type AlertState = {
  /** Id of the first record that opened it. */
  readonly alertId: string;
  readonly organization: string;
  readonly suppressionKey: string;
  readonly status: AlertStatus;
  readonly severity: Severity;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  /** What the last notice said; a later one must say more than this. */
  readonly toldSeverity: Severity;
  readonly toldCount: number;
  readonly members: readonly AlertMember[];
};

/** Why a person is told. `degraded` goes to operators. */
export type NoticeReason = 'opened' | 'severity_raised' | 'count_tenfold' | 'reopened' | 'degraded';

/** Why a record changes nothing anyone must be told. Doubles as the reason of the `drop` verdict. */
export type SilenceReason = 'stale_revision' | 'end_without_alert' | 'ended' | 'updated' | 'suppressed';

export type SuppressionDecision =
  | { readonly action: 'ignore'; readonly reason: 'stale_revision' | 'end_without_alert' }
  | {
      readonly action: 'save';
      readonly alert: AlertState;
      readonly isNew: boolean;
      /** Whether the alert is the one that later hits of its key may join. */
      readonly holdsSlot: boolean;
      readonly notice: NoticeReason | null;
      readonly reason: SilenceReason;
    };

export type SuppressionInput = {
  readonly record: AlertRecord;
  /** The alert that knows the record's id, else one of those it supersedes; null when none does. */
  readonly owner: AlertState | null;
  /** The alert that holds the slot of the record's suppression key; null when none does. */
  readonly holder: AlertState | null;
  /** Superseded ids that belong to another alert than `owner`: an id has one alert for good, so they stay there. */
  readonly ownedElsewhere: ReadonlySet<string>;
};

/**
 * (organization, rule, entity); the entity is the group key. A degraded range is about the rule and its reason, not
 * about one entity, so that a storm of dropped groups tells the operator once.
 */
export function suppressionKey(record: AlertRecord): string {
  if (record.kind === 'DEGRADED') {
    return stableId('degraded', record.organization_id, record.rule.rule_id, record.reason ?? '');
  }
  const group = record.group.map(({ field, value }) => [field, value]);
  return stableId('alert', record.organization_id, record.rule.rule_id, JSON.stringify(group));
}

/**
 * What an alert record means for people: the whole of R-205's rule, on alert time only (no clock). Applying the same
 * record twice gives `ignore` the second time. The caller must hold the lock of the suppression key.
 */
export function decideSuppression(input: SuppressionInput): SuppressionDecision {
  const { record, owner, holder } = input;
  const linked = record.supersedes.filter((id) => id !== record.alert_id && !input.ownedElsewhere.has(id));
  const known = owner?.members.find((member) => member.alertId === record.alert_id);
  if (known && known.revision >= record.revision) return { action: 'ignore', reason: 'stale_revision' };
  if (owner) return extend(owner, record, { linked, holdsSlot: holder?.alertId === owner.alertId });
  if (record.kind === 'END') return { action: 'ignore', reason: 'end_without_alert' };
  if (holder && isWithinWindow(holder, record)) return extend(holder, record, { linked, holdsSlot: true });
  return {
    action: 'save',
    alert: openAlert(record, linked),
    isNew: true,
    // A recovered record far in the past must not take the slot from what is going on now.
    holdsSlot: holder === null || record.last_at >= holder.lastAtMs,
    notice: record.kind === 'DEGRADED' ? 'degraded' : 'opened',
    reason: 'suppressed',
  };
}

/** Less than 15 minutes of alert time between the two, in either direction, and inside the 24 hours of the alert. */
export function isWithinWindow(
  alert: Pick<AlertState, 'firstAtMs' | 'lastAtMs'>,
  record: Pick<AlertRecord, 'first_at' | 'last_at'>,
): boolean {
  const gapMs = Math.max(record.first_at - alert.lastAtMs, alert.firstAtMs - record.last_at, 0);
  return gapMs < SUPPRESSION_WINDOW_MS && Math.abs(record.first_at - alert.firstAtMs) < SUPPRESSION_CAP_MS;
}

/** Evidence counted over all members; what a superseded id counted is part of its canonical one. */
export function alertCount(members: readonly AlertMember[]): { value: number; exact: boolean } {
  const counted = members.filter((member) => member.supersededBy === null && member.revision >= 0);
  return {
    value: counted.reduce((sum, member) => sum + member.count, 0),
    exact: counted.every((member) => member.countExact),
  };
}

/**
 * The alert with an id that is going to be its member: a notice in its place was sent before the store had either. It
 * joins wherever the slot is by then, so that the notice is this alert's.
 */
export function expectMember(alert: AlertState, alertId: string): AlertState {
  if (alert.members.some((member) => member.alertId === alertId)) return alert;
  return { ...alert, members: [...alert.members, unseenMember(alertId, alert, null)] };
}

function unseenMember(
  alertId: string,
  { firstAtMs, lastAtMs }: Pick<AlertMember, 'firstAtMs' | 'lastAtMs'>,
  supersededBy: string | null,
): AlertMember {
  return { alertId, revision: -1, count: 0, countExact: true, firstAtMs, lastAtMs, hasEnded: false, supersededBy };
}

function openAlert(record: AlertRecord, linked: readonly string[]): AlertState {
  return {
    alertId: record.alert_id,
    organization: record.organization_id,
    suppressionKey: suppressionKey(record),
    status: 'open',
    severity: severityOf(record.rule.level),
    firstAtMs: record.first_at,
    lastAtMs: record.last_at,
    toldSeverity: severityOf(record.rule.level),
    toldCount: record.count,
    members: withRecord([], record, linked),
  };
}

function extend(
  alert: AlertState,
  record: AlertRecord,
  options: { linked: readonly string[]; holdsSlot: boolean },
): SuppressionDecision {
  const wasMember = alert.members.some((member) => member.alertId === record.alert_id);
  const members = withRecord(alert.members, record, options.linked);
  const spans = members.filter((member) => member.revision >= 0);
  const grown: AlertState = {
    ...alert,
    members,
    severity: highestSeverity(alert.severity, severityOf(record.rule.level)),
    firstAtMs: Math.min(alert.firstAtMs, ...spans.map((member) => member.firstAtMs)),
    lastAtMs: Math.max(alert.lastAtMs, ...spans.map((member) => member.lastAtMs)),
  };
  const notice = record.kind === 'END' ? null : renotifyReason(grown);
  return {
    action: 'save',
    alert: notice ? told(grown) : grown,
    isNew: false,
    holdsSlot: options.holdsSlot,
    notice,
    reason: record.kind === 'END' ? 'ended' : wasMember ? 'updated' : 'suppressed',
  };
}

/** again only when the severity rises or the count has grown tenfold. A new entity has a key of its own. */
function renotifyReason(alert: AlertState): NoticeReason | null {
  const isWorse = severityRank(alert.severity) > severityRank(alert.toldSeverity);
  const isMany = alertCount(alert.members).value >= GROWTH_FACTOR * Math.max(alert.toldCount, 1);
  if (!isWorse && !isMany) return null;
  if (alert.status === 'closed') return 'reopened';
  return isWorse ? 'severity_raised' : 'count_tenfold';
}

function told(alert: AlertState): AlertState {
  return {
    ...alert,
    status: alert.status === 'closed' ? 'open' : alert.status,
    toldSeverity: alert.severity,
    toldCount: alertCount(alert.members).value,
  };
}

/** Members after a record: its own entry replaced, those it supersedes linked (also when not seen yet: X9, disorder). */
function withRecord(
  members: readonly AlertMember[],
  record: AlertRecord,
  linked: readonly string[],
): readonly AlertMember[] {
  const byId = new Map(members.map((member) => [member.alertId, member]));
  const before = byId.get(record.alert_id);
  byId.set(record.alert_id, {
    alertId: record.alert_id,
    revision: record.revision,
    count: record.count,
    countExact: record.count_exact,
    firstAtMs: record.first_at,
    lastAtMs: record.last_at,
    hasEnded: record.kind === 'END' || (before?.hasEnded ?? false),
    supersededBy: record.superseded_by ?? before?.supersededBy ?? null,
  });
  for (const id of linked) {
    const known = byId.get(id);
    const times = { firstAtMs: record.first_at, lastAtMs: record.last_at };
    byId.set(id, known ? { ...known, supersededBy: record.alert_id } : unseenMember(id, times, record.alert_id));
  }
  return [...byId.values()];
}
