/** Up to so many numbers a percentile is exact (research/correlation: linear interpolation, C = 1). */
export const PERCENTILE_EXACT_MAX = 1024;
/** Relative error of the sketch beyond. */
export const SKETCH_ERROR = 0.01;

const GAMMA = (1 + SKETCH_ERROR) / (1 - SKETCH_ERROR);
const LOG_GAMMA = Math.log(GAMMA);
const BLOCK = 64;

/**
 * Numbers of a sliding window by rank. Up to 1,024 the percentile is exact; beyond, it is that of a DDSketch (Masson,
 * Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch", VLDB 2019) with 1 % relative error. Which of the two
 * answers depends on the size alone, so the answer is a function of the window.
 */
export class NumberOrder {
  /** Sorted; null while the window is far above the exact size. */
  private exact: number[] | null = [];
  private readonly sketch = new SignedSketch();
  private count = 0;

  get size(): number {
    return this.count;
  }

  get isExact(): boolean {
    return this.count <= PERCENTILE_EXACT_MAX;
  }

  add(value: number): void {
    this.count++;
    this.sketch.change(value, 1);
    if (this.exact) this.exact.splice(lowerBound(this.exact, value), 0, value);
    // Kept up to twice the size, so that a window that sways about the limit is not sorted again and again.
    if (this.exact && this.exact.length > 2 * PERCENTILE_EXACT_MAX) this.exact = null;
  }

  remove(value: number): void {
    this.count--;
    this.sketch.change(value, -1);
    if (this.exact) this.exact.splice(lowerBound(this.exact, value), 1);
  }

  /** The number at the rank (0 to 100), undefined without numbers. `numbers` are the window's, asked for when needed. */
  percentile(rank: number, numbers: () => number[]): number | undefined {
    if (this.count === 0) return undefined;
    if (!this.isExact) return this.sketch.atRank((rank / 100) * (this.count - 1));
    this.exact ??= numbers().sort((a, b) => a - b);
    const position = (rank / 100) * (this.exact.length - 1);
    const below = Math.floor(position);
    const low = this.exact[below] as number;
    const high = this.exact[Math.min(below + 1, this.exact.length - 1)] as number;
    return low + (position - below) * (high - low);
  }
}

function lowerBound(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One sketch each for negative and positive numbers, and a count of zeros. */
class SignedSketch {
  private readonly negative = new LogHistogram();
  private readonly positive = new LogHistogram();
  private zeros = 0;

  change(value: number, by: 1 | -1): void {
    if (value === 0) this.zeros += by;
    else if (value < 0) this.negative.change(bucketOf(-value), by);
    else this.positive.change(bucketOf(value), by);
  }

  atRank(rank: number): number {
    const index = Math.floor(rank);
    const { negative, positive, zeros } = this;
    if (index < negative.total) return -middleOf(negative.bucketAt(negative.total - 1 - index));
    if (index < negative.total + zeros) return 0;
    return middleOf(positive.bucketAt(index - negative.total - zeros));
  }
}

function bucketOf(value: number): number {
  return Math.ceil(Math.log(value) / LOG_GAMMA);
}

function middleOf(bucket: number): number {
  return (2 * GAMMA ** bucket) / (GAMMA + 1);
}

/** Counts per bucket, in blocks of 64, so that a rank is found in some 10 steps for usual ranges of numbers. */
class LogHistogram {
  total = 0;
  private readonly blocks = new Map<number, { total: number; readonly counts: Float64Array }>();
  private order: number[] = [];

  change(bucket: number, by: 1 | -1): void {
    const key = Math.floor(bucket / BLOCK);
    let block = this.blocks.get(key);
    if (!block) {
      block = { total: 0, counts: new Float64Array(BLOCK) };
      this.blocks.set(key, block);
      this.order.splice(lowerBound(this.order, key), 0, key);
    }
    const slot = bucket - key * BLOCK;
    block.counts[slot] = (block.counts[slot] as number) + by;
    block.total += by;
    this.total += by;
    if (block.total > 0) return;
    this.blocks.delete(key);
    this.order.splice(lowerBound(this.order, key), 1);
  }

  bucketAt(index: number): number {
    let rest = index;
    for (const key of this.order) {
      const block = this.blocks.get(key);
      if (!block) continue;
      if (rest >= block.total) {
        rest -= block.total;
        continue;
      }
      for (let slot = 0; slot < BLOCK; slot++) {
        rest -= block.counts[slot] as number;
        if (rest < 0) return key * BLOCK + slot;
      }
    }
    return 0;
  }
}
