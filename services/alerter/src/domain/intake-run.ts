import type { DeadLetter } from '@tracehound/event-model';
import { faultPoint } from '@tracehound/lifecycle';
import type { VerdictCounter } from '@tracehound/pipeline';
import { type IntakeDeps, runIntake } from '../pipeline.ts';
import type { AlertStore, AlertTransaction, ConsumedAlert } from '../ports.ts';
import type { GroupedNotice } from '../stages/group.ts';

export type DeadAlert = { readonly item: ConsumedAlert; readonly stage: string; readonly verdict: DeadLetter };

export type IntakeRunDeps = {
  readonly store: AlertStore;
  readonly intake: IntakeDeps;
  /** Never goes back. */
  readonly now: () => number;
  readonly counter: VerdictCounter;
  readonly deadLetter: (entries: readonly DeadAlert[]) => Promise<void>;
  /** After the commit: what is in the outbox now. */
  readonly onStored: (notices: readonly GroupedNotice[]) => void;
};

/**
 * One transaction of the intake: `before` (move the offset, claim parked alerts) says what to run, `after` adds what
 * belongs to the same commit. Verdicts are counted when the transaction is durable, so a repeated one counts once.
 */
export async function storeAlerts(
  deps: IntakeRunDeps,
  steps: {
    readonly before: (tx: AlertTransaction, nowMs: number) => Promise<readonly ConsumedAlert[]>;
    readonly after?: (tx: AlertTransaction) => Promise<void>;
  },
): Promise<number> {
  const stored = await deps.store.transaction(async (tx) => {
    const nowMs = deps.now();
    const counted = bufferedCounter();
    const alerts = await steps.before(tx, nowMs);
    const notices =
      alerts.length === 0
        ? []
        : await runIntake(deps.intake, { tx, nowMs }, { counter: counted, deadLetter: deps.deadLetter }, alerts);
    await steps.after?.(tx);
    return { alerts, notices, counted };
  });
  faultPoint('n:after-store');
  stored.counted.replay(deps.counter);
  if (stored.notices.length > 0) deps.onStored(stored.notices);
  return stored.alerts.length;
}

function bufferedCounter(): VerdictCounter & { replay(counter: VerdictCounter): void } {
  const calls: ((counter: VerdictCounter) => void)[] = [];
  return {
    consumed: (count) => calls.push((counter) => counter.consumed(count)),
    verdict: (...of) => calls.push((counter) => counter.verdict(...of)),
    replay: (counter) => {
      for (const call of calls) call(counter);
    },
  };
}
