import { CLOCK_ALLOWANCE_MS_MAX } from './activations.ts';

/** What the brokers' clocks show, as far as append times tell it: X7 is decided without a clock of our own. Ms UTC. */
export class BrokerTime {
  private highest = Number.NEGATIVE_INFINITY;
  private answered = Number.NEGATIVE_INFINITY;

  /** The latest append time any broker has given us, in a record read or in the answer to a produce. Never goes back. */
  get latestMs(): number {
    return this.highest;
  }

  /** What brokers show now, as the answers to our own produces tell it. Goes back when their clocks are put back. */
  get presentMs(): number {
    return this.answered === Number.NEGATIVE_INFINITY ? this.highest : this.answered;
  }

  saw(appendTimeMs: number | null): void {
    if (appendTimeMs !== null && appendTimeMs > this.highest) this.highest = appendTimeMs;
  }

  /** To be called before a request goes out; what it returns takes the append time of the answer. */
  asking(): (appendTimeMs: number | null) => void {
    // What is appended after an answer is not older than it by more than clocks differ, unless they were put back in between.
    const atLeastMs = this.answered - CLOCK_ALLOWANCE_MS_MAX;
    return (appendTimeMs) => {
      this.saw(appendTimeMs);
      if (appendTimeMs === null) return;
      this.answered = appendTimeMs < atLeastMs ? appendTimeMs : Math.max(this.answered, appendTimeMs);
    };
  }
}
