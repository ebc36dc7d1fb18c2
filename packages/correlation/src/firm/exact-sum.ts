/** Above it a number counts as it: sums of 2^60 of them stay finite. */
const NUMBER_MAX = 2 ** 960;

/**
 * A sum that numbers can be added to and taken from without any rounding, so that a sliding window has the same sum
 * whatever it went through. Non-overlapping partial sums, after J. R. Shewchuk, Adaptive Precision Floating-Point
 * Arithmetic, 1997; usually one to three of them.
 */
export class ExactSum {
  private partials: number[] = [];

  add(value: number): void {
    this.accumulate(Math.max(-NUMBER_MAX, Math.min(NUMBER_MAX, value)));
  }

  remove(value: number): void {
    this.accumulate(-Math.max(-NUMBER_MAX, Math.min(NUMBER_MAX, value)));
  }

  /** The exact sum, rounded once to the nearest double (ties to even). */
  get value(): number {
    const { partials } = this;
    let index = partials.length - 1;
    if (index < 0) return 0;
    let high = partials[index] as number;
    let low = 0;
    while (index > 0 && low === 0) {
      const before = high;
      const next = partials[--index] as number;
      high = before + next;
      low = next - (high - before);
    }
    // Half-way cases: what lies below decides the direction.
    const below = partials[index - 1] ?? 0;
    if ((low < 0 && below < 0) || (low > 0 && below > 0)) {
      const twice = low * 2;
      const moved = high + twice;
      if (twice === moved - high) high = moved;
    }
    return high;
  }

  private accumulate(value: number): void {
    const kept: number[] = [];
    let high = value;
    for (const partial of this.partials) {
      const [large, small] = Math.abs(high) < Math.abs(partial) ? [partial, high] : [high, partial];
      const sum = large + small;
      const rest = small - (sum - large);
      if (rest !== 0) kept.push(rest);
      high = sum;
    }
    if (high !== 0) kept.push(high);
    this.partials = kept;
  }
}
