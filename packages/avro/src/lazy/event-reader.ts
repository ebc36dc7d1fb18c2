import type { Type } from 'avsc';
import { type Cursor, readLength } from './cursor.ts';
import { FieldsReader, scalarSymbolsOf } from './lazy-fields.ts';
import { type Skip, skipOf } from './skip.ts';
import { isSame, TextMemory } from './text-memory.ts';

type Part = Readonly<Record<string, unknown>>;
type Field = { readonly name: string; readonly type: unknown };
type RecordFields = { readonly fields: readonly { readonly name: string; readonly type: Type }[] };

/** Reads an event from behind its frame; null where only the whole decoder is to judge. */
export type EventReader = (buffer: Buffer, start: number) => object | null;

/** Takes one field of the event: its value, or `REFUSED`. */
type Take = (cursor: Cursor) => unknown;
const REFUSED = Symbol('refused');

/**
 * A reader of the events of a schema, as written: all bytes are looked over, but of the envelope and of the fields of an external
 * event only what is asked for is ever made. Null for a record that is no event.
 */
export function createEventReader(schema: Part, type: Type): EventReader | null {
  const fields = schema['fields'] as readonly Field[];
  if (!fields.some(({ name }) => name === 'envelope')) return null;
  const named = new Map<string, Part>();
  const memory = new TextMemory();
  const parts = (type as unknown as RecordFields).fields;
  const isExternal = fields.some(({ name }) => name === 'log_source');
  const takes = fields.map((field, index): Take => {
    const part = parts[index]?.type as Type;
    const skip = skipOf(field.type, named);
    if (field.name === 'envelope')
      return takeLazily(named.get(String(field.type)) ?? (field.type as Part), part, { named, memory });
    const symbols = isExternal && field.name === 'fields' ? scalarSymbolsOf(field.type, named) : null;
    if (symbols !== null) {
      const reader = new FieldsReader(memory, symbols);
      return (cursor) => reader.take(cursor) ?? REFUSED;
    }
    return isExternal && field.name === 'log_source' ? takeRemembered(skip, part) : takeWhole(skip, part);
  });
  const names = fields.map(({ name }) => name);
  const cursor: Cursor = { buf: Buffer.alloc(0), pos: 0 };
  return function readEvent(buffer, start) {
    cursor.buf = buffer;
    cursor.pos = start;
    const event: Record<string, unknown> = {};
    for (let i = 0; i < takes.length; i++) {
      const value = (takes[i] as Take)(cursor);
      if (value === REFUSED) return null;
      event[names[i] as string] = value;
    }
    return cursor.pos === buffer.length ? event : null;
  };
}

function takeWhole(skip: Skip, type: Type): Take {
  return (cursor) => {
    const { buf, pos } = cursor;
    return skip(cursor) ? type.decode(buf, pos).value : REFUSED;
  };
}

/** A value that is mostly that of the event before: found equal by its bytes, it is the same object. */
function takeRemembered(skip: Skip, type: Type): Take {
  let bytes = Buffer.alloc(0);
  let value: unknown = REFUSED;
  return (cursor) => {
    const { buf, pos } = cursor;
    if (!skip(cursor)) return REFUSED;
    const { length } = bytes;
    if (value === REFUSED || length !== cursor.pos - pos || !isSame({ bytes, from: 0, length }, buf, pos)) {
      bytes = Buffer.from(buf.subarray(pos, cursor.pos));
      value = type.decode(buf, pos).value;
    }
    return value;
  };
}

/** A record with a getter per field, which reads it anew at each look. */
function takeLazily(
  schema: Part,
  type: Type,
  { named, memory }: { readonly named: Map<string, Part>; readonly memory: TextMemory },
): Take {
  const fields = schema['fields'] as readonly Field[];
  const skips = fields.map((field) => skipOf(field.type, named));
  class LazyRecord {
    readonly #buf: Buffer;
    readonly #starts: readonly number[];

    constructor(buf: Buffer, starts: readonly number[]) {
      this.#buf = buf;
      this.#starts = starts;
    }

    static {
      for (const [index, { name, type: part }] of (type as unknown as RecordFields).fields.entries()) {
        const read = readOf((fields[index] as Field).type, part, memory);
        Object.defineProperty(LazyRecord.prototype, name, {
          enumerable: true,
          get(this: LazyRecord) {
            return read(this.#buf, this.#starts[index] as number);
          },
        });
      }
    }
  }
  return (cursor) => {
    const starts: number[] = new Array(skips.length);
    for (let i = 0; i < skips.length; i++) {
      starts[i] = cursor.pos;
      if (!(skips[i] as Skip)(cursor)) return REFUSED;
    }
    return new LazyRecord(cursor.buf, starts);
  };
}

/** Reads a value that has been skipped before. */
function readOf(schema: unknown, type: Type, memory: TextMemory): (buf: Buffer, start: number) => unknown {
  const cursor: Cursor = { buf: Buffer.alloc(0), pos: 0 };
  const text = (buf: Buffer, start: number): string => {
    cursor.buf = buf;
    cursor.pos = start;
    const length = readLength(cursor);
    return memory.text(buf, cursor.pos, length);
  };
  if (schema === 'string') return text;
  if (Array.isArray(schema) && schema.length === 2 && schema[0] === 'null' && schema[1] === 'string') {
    // The index of the branch takes one byte, or its bytes were irregular.
    return (buf, start) => (buf[start] === 0 ? null : text(buf, start + 1));
  }
  return (buf, start) => type.decode(buf, start).value;
}
