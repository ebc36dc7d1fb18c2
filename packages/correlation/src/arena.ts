/**
 * Bytes of groups that are not in use, out of the garbage collector's sight: pages of 1 MiB, blocks of whole units of 16
 * bytes, a free list per block size. A block is named by a small number. Pages are kept: the next groups take their blocks.
 */
const UNIT_BYTES = 16;
const PAGE_UNITS = 65_536;
/** Longest content of a block; longer states stay decoded. */
export const BLOCK_BYTES_MAX = 32_768;
const HEAD_BYTES = 2;

export class Arena {
  private readonly pages: Buffer[] = [];
  private readonly free = new Map<number, number[]>();
  private nextUnit = 0;
  private used = 0;

  /** Bytes in blocks that are in use. */
  get bytesUsed(): number {
    return this.used;
  }

  /** Bytes in freed blocks: a group that grows leaves one behind that may fit nobody. */
  get bytesFree(): number {
    return this.nextUnit * UNIT_BYTES - this.used;
  }

  /** Stores a copy; -1 when it is too long for a block. */
  put(content: Uint8Array): number {
    if (content.length > BLOCK_BYTES_MAX) return -1;
    const units = unitsOf(content.length);
    const place = this.free.get(units)?.pop() ?? this.fresh(units);
    const page = this.pages[place >>> 16] as Buffer;
    const at = (place & (PAGE_UNITS - 1)) * UNIT_BYTES;
    page.writeUInt16LE(content.length, at);
    page.set(content, at + HEAD_BYTES);
    this.used += units * UNIT_BYTES;
    return place;
  }

  /** The stored bytes, without a copy: valid until the block is released. */
  get(place: number): Buffer {
    const page = this.pages[place >>> 16] as Buffer;
    const at = (place & (PAGE_UNITS - 1)) * UNIT_BYTES;
    return page.subarray(at + HEAD_BYTES, at + HEAD_BYTES + page.readUInt16LE(at));
  }

  release(place: number): void {
    const units = unitsOf(this.get(place).length);
    const list = this.free.get(units);
    if (list) list.push(place);
    else this.free.set(units, [place]);
    this.used -= units * UNIT_BYTES;
  }

  private fresh(units: number): number {
    const left = PAGE_UNITS - (this.nextUnit & (PAGE_UNITS - 1));
    if (this.nextUnit === this.pages.length * PAGE_UNITS)
      this.pages.push(Buffer.allocUnsafeSlow(PAGE_UNITS * UNIT_BYTES));
    else if (left < units) {
      this.nextUnit += left;
      return this.fresh(units);
    }
    const place = this.nextUnit;
    this.nextUnit += units;
    return place;
  }
}

/** Exact up to 1 KiB, then in steps of an eighth: few sizes, so that freed blocks fit again. */
function unitsOf(bytes: number): number {
  const units = Math.ceil((bytes + HEAD_BYTES) / UNIT_BYTES);
  if (units <= 64) return units;
  const step = 2 ** (Math.floor(Math.log2(units)) - 3);
  return Math.ceil(units / step) * step;
}
