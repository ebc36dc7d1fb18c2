import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { InvariantError } from '@tracehound/event-model';
import type { PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { classifyPostgresError } from './postgres-error.ts';

export type BinaryColumnType =
  | 'uuid'
  | 'text'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'float8'
  | 'bool'
  /** Milliseconds UTC. */
  | 'timestamptz'
  /** JSON text, or a value that is serialised here. */
  | 'jsonb'
  | 'bytea'
  | 'text[]';

export type BinaryColumn = { readonly name: string; readonly type: BinaryColumnType };

export type BinaryValue =
  | string
  | number
  | bigint
  | boolean
  | Buffer
  | Date
  | readonly (string | null)[]
  | object
  | null;

/** One value per column, in the order of the columns. */
export type BinaryRow = readonly BinaryValue[];

/** PGCOPY signature, flags 0, header extension length 0 (PostgreSQL documentation, COPY, "Binary Format"). */
const HEADER = Buffer.from('5047434f50590aff0d0a000000000000000000', 'hex');
const TRAILER = Buffer.from('ffff', 'hex');
const NULL_FIELD = Buffer.from('ffffffff', 'hex');
/** PostgreSQL counts microseconds from 2000-01-01, Unix milliseconds from 1970-01-01. */
const POSTGRES_EPOCH_MS = 946_684_800_000;
/** Rows are joined up to this size before they go to the socket: fewer, larger writes. */
const CHUNK_BYTES = 65_536;
const TEXT_OID = 25;

/**
 * Writes rows by `COPY … FROM STDIN (FORMAT binary)`, inside the client's transaction if it is in one. Returns the
 * number of rows the server took. A value that does not fit its column throws `InvariantError` before anything of the
 * chunk is sent: bad input must have been found at the edge. NUL characters, which PostgreSQL text cannot hold, throw too.
 */
export async function copyBinary(
  client: PoolClient,
  table: string,
  columns: readonly BinaryColumn[],
  rows: Iterable<BinaryRow>,
): Promise<number> {
  const target = table.split('.').map(quoteIdentifier).join('.');
  const names = columns.map((column) => quoteIdentifier(column.name)).join(', ');
  const stream = client.query(copyFrom(`COPY ${target} (${names}) FROM STDIN (FORMAT binary)`));
  try {
    await pipeline(binaryCopyStream(columns, rows), stream);
  } catch (error) {
    throw error instanceof InvariantError ? error : classifyPostgresError(error);
  }
  return stream.rowCount;
}

/** The bytes of the COPY stream, lazily: memory stays at one chunk. */
export function binaryCopyStream(columns: readonly BinaryColumn[], rows: Iterable<BinaryRow>): Readable {
  return Readable.from(chunks(columns, rows), { objectMode: false });
}

function* chunks(columns: readonly BinaryColumn[], rows: Iterable<BinaryRow>): Generator<Buffer> {
  let parts: Buffer[] = [HEADER];
  let size = HEADER.length;
  const count = Buffer.alloc(2);
  count.writeInt16BE(columns.length);
  for (const row of rows) {
    if (row.length !== columns.length) {
      throw new InvariantError('a row has another number of values than columns', {
        columns: columns.length,
        values: row.length,
      });
    }
    parts.push(count);
    size += count.length;
    for (let i = 0; i < columns.length; i++) {
      const field = encodeField(columns[i] as BinaryColumn, row[i] as BinaryValue);
      parts.push(field);
      size += field.length;
    }
    if (size >= CHUNK_BYTES) {
      yield Buffer.concat(parts, size);
      parts = [];
      size = 0;
    }
  }
  parts.push(TRAILER);
  yield Buffer.concat(parts);
}

/** Length (int32) and bytes of one value; -1 and nothing for null. */
function encodeField(column: BinaryColumn, value: BinaryValue): Buffer {
  if (value === null) return NULL_FIELD;
  switch (column.type) {
    case 'text':
      return sized(Buffer.from(expectText(column, value), 'utf8'));
    case 'uuid':
      return sized(uuidBytes(column, value));
    case 'int2':
      return fixed(2, (out) => out.writeInt16BE(expectInteger(column, value, 0x7fff), 4));
    case 'int4':
      return fixed(4, (out) => out.writeInt32BE(expectInteger(column, value, 0x7fff_ffff), 4));
    case 'int8':
      return fixed(8, (out) => out.writeBigInt64BE(expectBigInt(column, value), 4));
    case 'float8':
      return fixed(8, (out) => out.writeDoubleBE(expectNumber(column, value), 4));
    case 'bool':
      if (typeof value !== 'boolean') throw misfit(column);
      return fixed(1, (out) => out.writeUInt8(value ? 1 : 0, 4));
    case 'timestamptz': {
      const ms = value instanceof Date ? value.getTime() : value;
      const micros = (expectBigInt(column, ms) - BigInt(POSTGRES_EPOCH_MS)) * 1_000n;
      return fixed(8, (out) => out.writeBigInt64BE(micros, 4));
    }
    case 'jsonb': {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      // Version 1 of the jsonb wire form is the JSON text.
      return sized(Buffer.concat([Buffer.of(1), Buffer.from(expectText(column, text), 'utf8')]));
    }
    case 'bytea':
      if (!Buffer.isBuffer(value)) throw misfit(column);
      return sized(value);
    case 'text[]':
      if (!Array.isArray(value)) throw misfit(column);
      return sized(textArrayBytes(column, value as readonly (string | null)[]));
  }
}

/** One dimension, lower bound 1 (PostgreSQL source, `array_recv`). */
function textArrayBytes(column: BinaryColumn, values: readonly (string | null)[]): Buffer {
  const hasNull = values.includes(null) ? 1 : 0;
  const head = int32s(values.length === 0 ? [0, 0, TEXT_OID] : [1, hasNull, TEXT_OID, values.length, 1]);
  const items = values.map((value) =>
    value === null ? NULL_FIELD : sized(Buffer.from(expectText(column, value), 'utf8')),
  );
  return Buffer.concat([head, ...items]);
}

function int32s(values: readonly number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    out.writeInt32BE(value, index * 4);
  });
  return out;
}

function uuidBytes(column: BinaryColumn, value: BinaryValue): Buffer {
  const hex = typeof value === 'string' ? value.replaceAll('-', '') : '';
  if (!/^[0-9a-fA-F]{32}$/.test(hex)) throw misfit(column);
  return Buffer.from(hex, 'hex');
}

function expectText(column: BinaryColumn, value: unknown): string {
  if (typeof value !== 'string' || value.includes('\u0000')) throw misfit(column);
  return value;
}

function expectInteger(column: BinaryColumn, value: BinaryValue, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value > max || value < -max - 1) throw misfit(column);
  return value;
}

function expectNumber(column: BinaryColumn, value: BinaryValue): number {
  if (typeof value !== 'number') throw misfit(column);
  return value;
}

function expectBigInt(column: BinaryColumn, value: BinaryValue): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  throw misfit(column);
}

function misfit(column: BinaryColumn): InvariantError {
  return new InvariantError('a value does not fit its column', { column: column.name, type: column.type });
}

function sized(bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(bytes.length + 4);
  out.writeInt32BE(bytes.length, 0);
  bytes.copy(out, 4);
  return out;
}

function fixed(length: number, write: (out: Buffer) => void): Buffer {
  const out = Buffer.allocUnsafe(length + 4);
  out.writeInt32BE(length, 0);
  write(out);
  return out;
}

function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
