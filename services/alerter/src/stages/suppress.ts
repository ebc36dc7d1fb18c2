import {
  type AlertRecord,
  type AlertState,
  decideSuppression,
  expectMember,
  type NoticeReason,
  type SilenceReason,
  suppressionKey,
} from '@tracehound/alerting';
import { drop, ok, type Verdict } from '@tracehound/event-model';
import { type LifecycleAction, lifecycleFact } from '../domain/facts.ts';
import type { AlertTransaction } from '../ports.ts';
import type { RefetchedAlert } from './refetch.ts';

/** A record that somebody must be told of. */
export type NewsworthyAlert = RefetchedAlert & {
  readonly alert: AlertState;
  readonly reason: NoticeReason | 'completed';
};

export type SuppressReason = SilenceReason | 'end_without_alert' | 'verified';

/** Looks at a record whose thin notice is out, or that nobody had to be told of, once its audit row should be there. */
const RECHECK_MS = 1_000;

/**
 * Fourth stop: R-205's rule under the lock of the suppression key. The lock is an upsert and the decision pure, so
 * that two alerts of one key can never both find nothing.
 */
export function createSuppressStage(deps: {
  readonly tx: AlertTransaction;
  readonly nowMs: number;
  readonly principal: string;
  /** `DirectNotices.toldInstead`. */
  readonly toldInstead: (record: AlertRecord) => string | null;
}) {
  const { tx, nowMs } = deps;

  return async function suppress(alert: RefetchedAlert): Promise<Verdict<NewsworthyAlert, SuppressReason>> {
    const { record } = alert;
    if (alert.parked?.state === 'applied') return drop('verified');
    const holder = await tx.lockSlot({ organization: record.organization_id, key: suppressionKey(record), nowMs });
    const known = await tx.alertsOf([record.alert_id, ...record.supersedes]);
    const owner = known.get(record.alert_id) ?? firstOf(record.supersedes, known);
    if (owner && alert.parked?.state === 'told') return ok({ ...alert, alert: owner, reason: 'completed' });

    const ownedElsewhere = new Set([...known].filter(([, it]) => it.alertId !== owner?.alertId).map(([id]) => id));
    const decision = decideSuppression({ record, owner, holder, ownedElsewhere });
    if (decision.action === 'ignore') {
      return alert.toldDirectly && owner ? ok({ ...alert, alert: owner, reason: 'completed' }) : drop(decision.reason);
    }
    const told = decision.notice === 'opened' ? await toldBefore(record) : null;
    const notice = told === null ? decision.notice : null;
    const saved = told === null ? decision.alert : expectMember(decision.alert, told);
    await tx.saveAlert({ ...decision, alert: saved, record, firedAtMs: alert.firedAtMs, nowMs });
    const action: LifecycleAction | null = decision.notice ?? (decision.reason === 'suppressed' ? 'suppressed' : null);
    if (action) {
      const before = decision.isNew ? null : (owner ?? holder);
      await tx.saveFact(
        lifecycleFact({ action, before, after: decision.alert, record, atMs: nowMs, principal: deps.principal }),
      );
    }
    if (alert.refetched.kind === 'late') {
      const state = notice ? 'told' : 'applied';
      await tx.park({ ...alert, state, nextCheckMs: nowMs + RECHECK_MS });
    }
    if (alert.toldDirectly && alert.refetched.kind === 'audited') {
      return ok({ ...alert, alert: decision.alert, reason: 'completed' });
    }
    return notice ? ok({ ...alert, alert: decision.alert, reason: notice }) : drop(decision.reason);
  };

  /**
   * The alert that was told from memory in place of this one; null when there is none, or the store has it already: then
   * its notice belongs to that alert and says nothing of the one that opens now.
   */
  async function toldBefore(record: AlertRecord): Promise<string | null> {
    const told = deps.toldInstead(record);
    return told !== null && !(await tx.alertsOf([told])).has(told) ? told : null;
  }
}

function firstOf(ids: readonly string[], known: ReadonlyMap<string, AlertState>): AlertState | null {
  for (const id of ids) {
    const alert = known.get(id);
    if (alert) return alert;
  }
  return null;
}
