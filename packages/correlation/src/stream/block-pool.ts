/**
 * Rings of (time, id) for many groups in a few large arrays: a group that keeps four hits costs four slots and no object
 * of its own, so the garbage collector has nothing to walk. Blocks of one pool have one length.
 */
export class BlockPool {
  readonly length: number;
  times: Float64Array;
  readonly ids: (string | undefined)[] = [];
  private readonly free: number[] = [];
  private used = 0;

  constructor(length: number) {
    this.length = length;
    this.times = new Float64Array(length * BLOCKS_MIN);
  }

  /** Index of the first slot of a block. */
  take(): number {
    const known = this.free.pop();
    if (known !== undefined) return known;
    const at = this.used;
    this.used += this.length;
    if (this.used > this.times.length) this.grow();
    return at;
  }

  /** The block's ids are let go. */
  release(at: number): void {
    for (let index = at; index < at + this.length; index++) this.ids[index] = undefined;
    this.free.push(at);
  }

  private grow(): void {
    // By an eighth: doubling would hold twice the memory of a flood of groups for its last few.
    const times = new Float64Array(Math.ceil((this.times.length * 9) / 8 / this.length) * this.length);
    times.set(this.times);
    this.times = times;
  }
}

const BLOCKS_MIN = 64;
