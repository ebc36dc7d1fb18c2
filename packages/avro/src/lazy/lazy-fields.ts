import { type FieldScalar, type FieldTable, type ScalarValue, scalarOf } from '@tracehound/event-model';
import { type Cursor, IRREGULAR, readLength } from './cursor.ts';
import { type FieldShape, FieldShapes } from './field-shapes.ts';
import { type Skip, skipItems, skipText } from './skip.ts';
import type { TextMemory } from './text-memory.ts';

/** Fields of an external event where they lie: only what is asked for is read. */
class LazyFields implements FieldTable {
  private readonly reader: FieldsReader;
  private readonly buf: Buffer;
  private readonly shape: FieldShape;
  /** Where the values of each field begin. */
  private readonly starts: readonly number[];

  constructor(reader: FieldsReader, buf: Buffer, fields: { shape: FieldShape; starts: readonly number[] }) {
    this.reader = reader;
    this.buf = buf;
    this.shape = fields.shape;
    this.starts = fields.starts;
  }

  lookup(name: string): FieldScalar | readonly FieldScalar[] | undefined {
    const place = this.reader.shapes.placesOf(this.shape).get(name);
    return place === undefined ? undefined : this.reader.valuesAt(this.buf, this.starts[place] as number);
  }

  names(): Iterable<string> {
    return this.reader.shapes.placesOf(this.shape).keys();
  }
}

type Part = { readonly name: string; readonly type: unknown };

/** Reads an Avro array of `ExternalField`. */
export class FieldsReader {
  readonly shapes: FieldShapes;
  private readonly memory: TextMemory;
  private readonly types: readonly ScalarValue['type'][];
  private readonly skipValues: Skip;
  private readonly cursor: Cursor = { buf: Buffer.alloc(0), pos: 0 };

  /** @param symbols of `ScalarType`, in the order of the schema. */
  constructor(memory: TextMemory, symbols: readonly ScalarValue['type'][]) {
    this.memory = memory;
    this.shapes = new FieldShapes(memory);
    this.types = symbols;
    this.skipValues = skipItems((cursor) => {
      const type = readLength(cursor);
      return type !== IRREGULAR && type < symbols.length && skipText(cursor);
    });
  }

  /** Moves behind the array; null as `Skip` says false. */
  take(cursor: Cursor): FieldTable | null {
    const starts: number[] = [];
    let shape = this.shapes.begin();
    for (;;) {
      const count = readLength(cursor);
      if (count === 0) return new LazyFields(this, cursor.buf, { shape, starts });
      if (count === IRREGULAR || count > cursor.buf.length - cursor.pos) return null;
      for (let left = count; left > 0; left--) {
        const longer = this.shapes.next(shape, cursor);
        if (longer === null) return null;
        shape = longer;
        // `is_list` tells rules nothing: it is passed over.
        cursor.pos++;
        starts.push(cursor.pos);
        if (!this.skipValues(cursor)) return null;
      }
    }
  }

  /** The values of a field that `take` has passed: bare when there is one. */
  valuesAt(buf: Buffer, start: number): FieldScalar | readonly FieldScalar[] {
    const { cursor } = this;
    cursor.buf = buf;
    cursor.pos = start;
    const values: FieldScalar[] = [];
    for (let count = readLength(cursor); count > 0; count = readLength(cursor)) {
      for (let left = count; left > 0; left--) {
        const value = this.readValue(cursor);
        if (left === 1 && values.length === 0 && buf[cursor.pos] === 0) return value;
        values.push(value);
      }
    }
    return values;
  }

  private readValue(cursor: Cursor): FieldScalar {
    const type = this.types[readLength(cursor)] as ScalarValue['type'];
    const length = readLength(cursor);
    const text = this.memory.text(cursor.buf, cursor.pos, length);
    cursor.pos += length;
    return type === 'STRING' ? text : scalarOf({ type, text });
  }
}

/** Symbols of the scalar type when the schema is one `FieldsReader` knows; otherwise null. */
export function scalarSymbolsOf(schema: unknown, named: ReadonlyMap<string, unknown>): ScalarValue['type'][] | null {
  const field = itemsOf(schema, named);
  const value = itemsOf(typeOf(field, 2), named);
  const type = resolved(typeOf(value, 0), named) as { readonly symbols?: ScalarValue['type'][] } | undefined;
  const isKnown =
    isRecordOf(field, ['name', 'is_list', 'values']) &&
    typeOf(field, 0) === 'string' &&
    typeOf(field, 1) === 'boolean' &&
    isRecordOf(value, ['type', 'text']) &&
    typeOf(value, 1) === 'string';
  return isKnown ? (type?.symbols ?? null) : null;
}

function itemsOf(schema: unknown, named: ReadonlyMap<string, unknown>): unknown {
  const array = schema as { readonly type?: unknown; readonly items?: unknown } | undefined;
  return array?.type === 'array' ? resolved(array.items, named) : undefined;
}

function resolved(schema: unknown, named: ReadonlyMap<string, unknown>): unknown {
  return typeof schema === 'string' ? named.get(schema) : schema;
}

function typeOf(record: unknown, at: number): unknown {
  return (record as { readonly fields?: readonly Part[] } | undefined)?.fields?.[at]?.type;
}

function isRecordOf(record: unknown, names: readonly string[]): boolean {
  const fields = (record as { readonly fields?: readonly Part[] } | undefined)?.fields;
  return fields?.map(({ name }) => name).join() === names.join();
}
