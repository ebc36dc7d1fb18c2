/**
 * The latest append time any broker has given us: in a record read or in the answer to a produce. A broker that
 * appends from now on gives at least this minus the clock allowance, which is what makes X7 decidable without a clock
 * of our own.
 */
export class BrokerTime {
  private highest = Number.NEGATIVE_INFINITY;

  get latestMs(): number {
    return this.highest;
  }

  saw(appendTimeMs: number | null): void {
    if (appendTimeMs !== null && appendTimeMs > this.highest) this.highest = appendTimeMs;
  }
}
