import { type Cursor, IRREGULAR, readLength } from './cursor.ts';
import { isSame, type TextMemory } from './text-memory.ts';

/** Names kept over all orders of fields; more are some sender's invention, and then all are forgotten. */
const NAMES_MAX = 100_000;

/** The names of the fields of an event, in order. */
export class FieldShape {
  readonly name: string;
  /** The name in UTF-8. */
  readonly bytes: Uint8Array;
  readonly before: FieldShape | null;
  readonly count: number;
  /** Shapes with one more name, and the one that came last. */
  readonly longer: Map<string, FieldShape> = new Map();
  likely: FieldShape | null = null;
  /** Where a name stands, in the order of their first places; the last place of a name that comes twice. */
  places: ReadonlyMap<string, number> | null = null;

  constructor(before: FieldShape | null, name: string) {
    this.before = before;
    this.name = name;
    this.bytes = Uint8Array.from(Buffer.from(name));
    this.count = before === null ? 0 : before.count + 1;
  }
}

/**
 * Sources send the same names in the same order, so names are known again one by one by their bytes, and what stands where is
 * worked out once per order.
 */
export class FieldShapes {
  private readonly memory: TextMemory;
  private root = new FieldShape(null, '');
  private names = 0;

  constructor(memory: TextMemory) {
    this.memory = memory;
  }

  /** Before the first name. */
  begin(): FieldShape {
    if (this.names > NAMES_MAX) {
      this.root = new FieldShape(null, '');
      this.names = 0;
    }
    return this.root;
  }

  /** The shape with one more name, which is read; null when its bytes are irregular. */
  next(shape: FieldShape, cursor: Cursor): FieldShape | null {
    const length = readLength(cursor);
    const start = cursor.pos;
    if (length === IRREGULAR || start + length > cursor.buf.length) return null;
    cursor.pos = start + length;
    const { likely } = shape;
    if (likely !== null && likely.bytes.length === length) {
      if (isSame({ bytes: likely.bytes, from: 0, length }, cursor.buf, start)) return likely;
    }
    const name = this.memory.text(cursor.buf, start, length);
    let longer = shape.longer.get(name);
    if (longer === undefined) {
      longer = new FieldShape(shape, name);
      shape.longer.set(name, longer);
      this.names++;
    }
    shape.likely = longer;
    return longer;
  }

  /** @see FieldShape.places */
  placesOf(shape: FieldShape): ReadonlyMap<string, number> {
    if (shape.places !== null) return shape.places;
    const names: string[] = [];
    for (let part = shape; part.before !== null; part = part.before) names.push(part.name);
    shape.places = new Map(names.reverse().map((name, place) => [name, place]));
    this.names += shape.count;
    return shape.places;
  }
}
