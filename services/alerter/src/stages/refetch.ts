import { type EvidenceEvent, evidenceIds } from '@tracehound/alerting';
import { ok, redirect, type Verdict } from '@tracehound/event-model';
import { faultPoint } from '@tracehound/lifecycle';
import type { AlertTransaction, AuditedAlert, LogPosition, ParkedAlert } from '../ports.ts';
import type { DecodedAlert } from './consume.ts';

/** What the audit store says about a record (X16). */
export type Refetched =
  | { readonly kind: 'audited'; readonly row: AuditedAlert; readonly evidence: readonly EvidenceEvent[] }
  /** The sink is past the offset and there is no row. */
  | { readonly kind: 'absent' }
  /** Not there in time: only a thin notice may go out. */
  | { readonly kind: 'late' };

export type RefetchedAlert = DecodedAlert & { readonly refetched: Refetched };

export type RefetchReason = 'not_yet';

/** Evidence looked up at most; a notice shows ten lines and fifty ids. */
const EVIDENCE_MAX = 200;

/** Pause between two looks: short while a notice waits for it, long once the thin one is out. */
const RECHECK_MS = { waiting: 50, told: 1_000, applied: 1_000 } as const;

/**
 * Second stop: reads the alert and its events back from the audit store, so that nothing is told that is not audited.
 * A record that is not there yet goes to the lane `parked`, alone: its partition moves on.
 */
export function createRefetchStage(deps: { readonly tx: AlertTransaction; readonly nowMs: number }) {
  const { tx, nowMs } = deps;

  return async function refetch(
    alerts: readonly DecodedAlert[],
  ): Promise<readonly Verdict<RefetchedAlert, RefetchReason>[]> {
    const sinkPosition = rememberedPositions(tx);
    const verdicts: Verdict<RefetchedAlert, RefetchReason>[] = [];
    for (const alert of alerts) {
      const refetched = await lookUp(alert, sinkPosition);
      if (refetched === null) {
        verdicts.push(redirect('not_yet', 'parked', park(alert, nowMs)));
        continue;
      }
      if (alert.parked && refetched.kind !== 'late') await tx.unpark(alert.position);
      verdicts.push(ok({ ...alert, refetched }));
    }
    faultPoint('n:after-refetch');
    return verdicts;
  };

  /** Null = not yet. The position is asked before the row: a row that is absent behind it can no longer come. */
  async function lookUp(alert: DecodedAlert, sinkPosition: SinkPosition): Promise<Refetched | null> {
    const next = await sinkPosition(alert.position);
    const isLate = nowMs >= alert.deadlineMs;
    if (next === null || next <= alert.position.offset) return isLate && isUntold(alert) ? { kind: 'late' } : null;
    const row = await tx.auditedAlert(alert.position);
    if (row === null) return { kind: 'absent' };
    const ids = evidenceIds(alert.record).slice(0, EVIDENCE_MAX);
    const evidence = await tx.auditedEvents(alert.record.organization_id, ids);
    // The events are another topic's rows: they get the same 2 s, then the notice says what is missing.
    if (evidence.length < ids.length && !isLate) return null;
    return { kind: 'audited', row, evidence };
  }
}

type SinkPosition = (position: LogPosition) => Promise<bigint | null>;

/** One question per partition and run, however many alerts it has. */
function rememberedPositions(tx: AlertTransaction): SinkPosition {
  const known = new Map<string, bigint | null>();
  return async ({ topicId, partition }) => {
    const key = `${topicId}/${partition}`;
    const remembered = known.get(key);
    if (remembered !== undefined) return remembered;
    const position = await tx.sinkPosition(topicId, partition);
    known.set(key, position);
    return position;
  };
}

function isUntold(alert: DecodedAlert): boolean {
  return alert.parked === null || alert.parked.state === 'waiting';
}

function park(alert: DecodedAlert, nowMs: number): ParkedAlert {
  const state = alert.parked?.state ?? 'waiting';
  const { record: _record, ...consumed } = alert;
  return { ...consumed, state, nextCheckMs: nowMs + RECHECK_MS[state] };
}
