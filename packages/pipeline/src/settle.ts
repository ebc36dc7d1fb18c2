import { type DeadLetter, InvariantError, type Redirect, type Retry, type Verdict } from '@tracehound/event-model';
import type { DeadLetterLimit } from './dead-letter-limit.ts';
import type { Outcome } from './pipeline.ts';

/** Counts verdicts; implemented over prom-client in `packages/telemetry`, over a map in tests. */
export type VerdictCounter = {
  consumed(count: number): void;
  /** `count` outcomes with this verdict. */
  verdict(stage: string, kind: string, reason: string, count: number): void;
};

/** What a service does with verdicts that are not `ok`. Each effect is awaited before the offset may be committed. */
export type SettleEffects<In> = {
  readonly counter: VerdictCounter;
  /** Must be durable when it resolves. If it rejects, nothing is committed: a dead letter is never dropped. */
  readonly deadLetter: (entries: readonly { item: In; stage: string; verdict: DeadLetter }[]) => Promise<void>;
  /** Of the partition the batch is of. When it refuses, nothing is counted and no effect runs: the batch comes again. */
  readonly deadLetterLimit?: Pick<DeadLetterLimit, 'admit'>;
  readonly lanes?: Readonly<Record<string, (entries: readonly { item: In; verdict: Redirect }[]) => Promise<void>>>;
};

/** Thrown when an item asked for a retry: the consumer pauses the partition and delivers the batch again. */
export class RetryRequested extends Error {
  readonly stage: string;
  readonly reason: string;
  constructor(stage: string, verdict: Retry) {
    super('a stage asked for a retry', { cause: verdict.cause });
    this.name = 'RetryRequested';
    this.stage = stage;
    this.reason = verdict.reason;
  }
}

/**
 * The one place where a verdict becomes an action and a counter. A batch with a `retry` in it is not settled at
 * all (nothing counted as consumed, no effect run), because it comes again; every other batch satisfies
 * consumed = sum of verdicts. Returns the values of the `ok` items.
 */
export async function settle<In, Out>(
  outcomes: readonly Outcome<In, Out>[],
  effects: SettleEffects<In>,
): Promise<readonly Out[]> {
  const values: Out[] = [];
  const dead: { item: In; stage: string; verdict: DeadLetter }[] = [];
  const lanes = new Map<string, { item: In; verdict: Redirect }[]>();
  for (const { item, stage, verdict } of outcomes) {
    switch (verdict.kind) {
      case 'ok':
        values.push(verdict.value);
        break;
      case 'drop':
        break;
      case 'deadLetter':
        dead.push({ item, stage, verdict });
        break;
      case 'redirect': {
        const lane = lanes.get(verdict.lane);
        if (lane) lane.push({ item, verdict });
        else lanes.set(verdict.lane, [{ item, verdict }]);
        break;
      }
      case 'retry':
        effects.counter.verdict(stage, 'retry', verdict.reason, 1);
        throw new RetryRequested(stage, verdict);
    }
  }
  effects.deadLetterLimit?.admit(outcomes.length, dead.length);
  if (dead.length > 0) await effects.deadLetter(dead);
  for (const [lane, entries] of lanes) {
    const effect = effects.lanes?.[lane];
    if (!effect) throw new InvariantError('a stage redirected to an unknown lane', { lane });
    await effect(entries);
  }
  countOutcomes(outcomes, effects.counter);
  return values;
}

/** Neighbours with the same verdict are counted at once: most are `ok`, and a counter with labels costs a microsecond. */
export function countOutcomes(outcomes: readonly Outcome<unknown, unknown>[], counter: VerdictCounter): void {
  counter.consumed(outcomes.length);
  for (let from = 0, to = 0; from < outcomes.length; from = to) {
    const { stage, verdict } = outcomes[from] as Outcome<unknown, unknown>;
    const reason = reasonOf(verdict);
    const isSame = (other: Outcome<unknown, unknown>): boolean =>
      other.stage === stage && other.verdict.kind === verdict.kind && reasonOf(other.verdict) === reason;
    while (to < outcomes.length && isSame(outcomes[to] as Outcome<unknown, unknown>)) to++;
    counter.verdict(stage, verdict.kind, reason, to - from);
  }
}

function reasonOf(verdict: Verdict<unknown>): string {
  return 'reason' in verdict ? verdict.reason : '';
}
