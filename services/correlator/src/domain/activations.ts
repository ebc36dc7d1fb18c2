import { InvariantError, type RuleActivation } from '@tracehound/event-model';

/** X7: an activation after the first takes effect at least this long after its own append time. */
export const ACTIVATION_NOTICE_MS = 5_000;

/**
 * What a read of the activations topic may still miss: a record whose append time is given but which is not yet
 * replicated, and so not yet visible. Two seconds are far above a healthy replication lag; a later one is found by
 * `add` and stops stage A with an alarm instead of splitting history.
 */
const VISIBILITY_SLACK_MS = 2_000;

/** Largest clock allowance a publisher may set, so that a read always covers the present: 5 s - 2 s - 2 s > 0. */
export const CLOCK_ALLOWANCE_MS_MAX = 2_000;

/** What was used may be this far above the brokers' present, which is told by answers that may be some seconds old. */
const PRESENT_SLACK_MS = 10_000;

/** An activation as it stands in the log; `order` is its rank in log order. */
export type KnownActivation = {
  readonly activation: RuleActivation;
  readonly order: number;
};

export type ActivationAdded = 'accepted' | 'duplicate' | 'too_soon' | 'stale';

/**
 * Which activation is in force at an append time: a pure function of the activations log (X7). The one with the
 * largest `effective_at` at or below the append time wins, the later record where two are equal; before every
 * `effective_at` the first activation of the log holds. Activations with too short a notice never take effect, nor changed
 * copies of one that was no longer the latest: two publishers cannot undo each other's work unseen.
 */
export class Activations {
  private readonly timeline: KnownActivation[] = [];
  private readonly known = new Map<string, KnownActivation>();
  private coveredAtMs = Number.NEGATIVE_INFINITY;
  private freshUntilMs = Number.NEGATIVE_INFINITY;
  private usedAtMs = Number.NEGATIVE_INFINITY;
  private order = 0;
  /** The one accepted last, in log order. */
  newest: KnownActivation | undefined;

  /**
   * In log order. `appendTimeMs` is the append time of the record, `presentMs` what the brokers' clocks show by now. Where these were
   * ahead and are right again, records were judged that have times still to come: an activation in that stretch holds for what
   * comes, and cannot hold for those.
   * @throws InvariantError when its effective time had been processed and the clocks are no excuse.
   */
  add(activation: RuleActivation, appendTimeMs: number, presentMs: number = Number.POSITIVE_INFINITY): ActivationAdded {
    if (this.known.has(activation.activation_id)) return 'duplicate';
    const isFirst = this.known.size === 0;
    if (activation.based_on !== null && activation.based_on !== this.newest?.activation.activation_id) return 'stale';
    if (!isFirst && activation.effective_at < appendTimeMs + ACTIVATION_NOTICE_MS) return 'too_soon';
    const isOfTheFuture = this.usedAtMs - presentMs > PRESENT_SLACK_MS;
    if (!isFirst && activation.effective_at <= this.usedAtMs && !isOfTheFuture) {
      throw new InvariantError('an activation became visible after its effective time had been processed', {
        activationId: activation.activation_id,
        effectiveAtMs: activation.effective_at,
        usedAtMs: this.usedAtMs,
      });
    }
    const entry: KnownActivation = { activation, order: this.order++ };
    this.known.set(activation.activation_id, entry);
    this.newest = entry;
    let at = this.timeline.length;
    while (at > 0 && (this.timeline[at - 1] as KnownActivation).activation.effective_at > activation.effective_at) at--;
    this.timeline.splice(at, 0, entry);
    return 'accepted';
  }

  /**
   * Records that the topic has been read to its end, begun at `begunAtMs` of a clock that never steps, when append time `knownAtMs`
   * had been seen on a broker.
   */
  covered(knownAtMs: number, begunAtMs: number): void {
    const allowanceMs = Math.min(this.latest()?.activation.clock_allowance_ms ?? 0, CLOCK_ALLOWANCE_MS_MAX);
    const forMs = ACTIVATION_NOTICE_MS - VISIBILITY_SLACK_MS - allowanceMs;
    this.coveredAtMs = Math.max(this.coveredAtMs, knownAtMs + forMs);
    this.freshUntilMs = Math.max(this.freshUntilMs, begunAtMs + forMs);
  }

  /** Whether no activation still unknown can take effect at or before `appendTimeMs`. */
  covers(appendTimeMs: number): boolean {
    return appendTimeMs < this.coveredAtMs;
  }

  /**
   * Whether the last read is young enough for append times that go back: after a step of the brokers' clocks an activation
   * still unknown may lie far below what the reads before it cover.
   */
  isFresh(nowMs: number): boolean {
    return nowMs < this.freshUntilMs;
  }

  /** The activation in force at an append time; undefined while the topic is empty. */
  at(appendTimeMs: number): KnownActivation | undefined {
    if (appendTimeMs > this.usedAtMs) this.usedAtMs = appendTimeMs;
    for (let i = this.timeline.length - 1; i >= 0; i--) {
      const entry = this.timeline[i] as KnownActivation;
      if (entry.activation.effective_at <= appendTimeMs) return entry;
    }
    return this.first();
  }

  byId(activationId: string): KnownActivation | undefined {
    return this.known.get(activationId);
  }

  /** Source list of a version: the same in every activation that names it. */
  sourcesOf(version: number): RuleActivation['sources'] | undefined {
    for (const { activation } of this.known.values()) {
      if (activation.sources_version === version) return activation.sources;
    }
    return undefined;
  }

  /** The one that takes effect last. */
  latest(): KnownActivation | undefined {
    return this.timeline.at(-1);
  }

  /** What holds at a time and what takes effect later, each once, in order; looking is not using. */
  from(appendTimeMs: number): readonly RuleActivation[] {
    const later = new Map<number, RuleActivation>();
    let holding = this.first()?.activation;
    // Of two with the same time the later one of the log comes last.
    for (const { activation } of this.timeline) {
      if (activation.effective_at <= appendTimeMs) holding = activation;
      else later.set(activation.effective_at, activation);
    }
    return holding === undefined ? [] : [holding, ...later.values()];
  }

  private first(): KnownActivation | undefined {
    for (const entry of this.known.values()) return entry;
    return undefined;
  }
}
