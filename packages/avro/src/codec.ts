import {
  type LazyExternalEvent,
  RECORD_SCHEMAS,
  type RecordByName,
  type RecordInputByName,
  type RecordName,
  TracehoundError,
} from '@tracehound/event-model';
import type { Resolver, Type } from 'avsc';
import {
  AvroDecodeError,
  AvroIncompatibleError,
  AvroNotPreparedError,
  AvroTooLargeError,
  AvroValueError,
  type ValueIssue,
} from './errors.ts';
import { FRAME_BYTES, frameSchemaId, writeFrame } from './framing.ts';
import { guardedType } from './guarded-types.ts';
import { createEventReader, type EventReader } from './lazy/event-reader.ts';
import { projectSchema } from './projection.ts';
import type { SchemaRegistry } from './schema-registry.ts';
import { findValueIssues } from './value-check.ts';
import { createWriterSchemas, type WriterSchema } from './writer-schemas.ts';

/** A decoded record, discriminated by the full name of its schema; maps have no prototype. */
export type DecodedRecord = { [N in RecordName]: { readonly name: N; readonly value: RecordByName[N] } }[RecordName];

/** A record as `decodeEvent` gives it. */
export type DecodedEvent = DecodedRecord | { readonly name: ExternalName; readonly value: LazyExternalEvent };
type ExternalName = 'tracehound.events.v1.ExternalEvent';

/** What a projected decoder yields: only the asked-for fields are there. */
export type Projected<T> = T extends readonly unknown[] | Buffer
  ? T
  : T extends object
    ? { readonly [K in keyof T]?: Projected<T[K]> }
    : T;

export type ProjectedDecoder<N extends RecordName> = {
  /** As `AvroCodec.decode`. Bytes behind the last asked-for field are not looked at. */
  decode(buffer: Buffer): Projected<RecordByName[N]> | Promise<Projected<RecordByName[N]>>;
};

export type AvroCodec = {
  /**
   * Looks up the wire ids of records, once: needed to write them, and what is prepared is read without asking the registry
   * again. A service is not ready before. Never registers anything.
   * Rejects with `AvroSubjectMissingError` (retriable: `tracehound schemas apply` has not run) or
   * `AvroRegistryUnavailableError` (retriable). Idempotent.
   */
  prepare(names: readonly RecordName[]): Promise<void>;
  /** Wire id found by `prepare`; undefined before. */
  schemaId(name: RecordName): number | undefined;
  /**
   * Framed datum in a buffer of its own. Equal values give equal bytes: map keys are sorted. Throws `AvroValueError`
   * (undeclared fields are issues too), `AvroTooLargeError`, `AvroNotPreparedError`.
   */
  encode<N extends RecordName>(name: N, value: RecordInputByName[N]): Buffer;
  /** Where `value` does not fit; empty = `encode` takes it. Never repeats values. */
  validate(name: RecordName, value: unknown): readonly ValueIssue[];
  /**
   * The record as our reader schema sees it, evolved from whatever version it was written with. Synchronous once its
   * schema id is known, so `await` is free to be left out in hot loops that check for a promise. Throws or rejects with
   * a `TracehoundError`: `retriable` says whether to pause (registry away) or to dead-letter.
   */
  decode(buffer: Buffer): DecodedRecord | Promise<DecodedRecord>;
  /**
   * As `decode`, with the same answers and the same refusals. Of events in the version of this build the envelope is read field by field
   * when asked, and so are the fields of external events (`FieldTable`): the buffer must not change while the event is in use.
   */
  decodeEvent(buffer: Buffer): DecodedEvent | Promise<DecodedEvent>;
  /**
   * A decoder that builds only some fields, `['event_id', 'network.ip_hash']` from the record's root, for any of the
   * given records. Throws when a path does not exist in one of them.
   */
  projectedDecoder<N extends RecordName>(names: readonly N[], paths: readonly string[]): ProjectedDecoder<N>;
};

export type AvroCodecOptions = {
  readonly registry: SchemaRegistry;
  /** Milliseconds; only for how long a refusal is believed. Default `performance.now`, which never steps. */
  readonly now?: () => number;
  /** How long an unknown schema id is believed to be unknown; default 60,000 ms. */
  readonly negativeTtlMs?: number;
  /** Bound on registry calls for ids not seen before; default 20. */
  readonly lookupsPerSecondMax?: number;
  /** Largest encoded record; default 16 MiB (a rule set). */
  readonly recordBytesMax?: number;
};

/** Keeps a typical record and grows to this; larger ones get a buffer of their own. */
const SCRATCH_BYTES = 64 * 1_024;
const SCRATCH_BYTES_MAX = 1_024 * 1_024;
const RECORD_BYTES_MAX = 16 * 1_024 * 1_024;

/** Codec over the records of this build. Cheap to make; share one per process for its caches. */
export function createAvroCodec(options: AvroCodecOptions): AvroCodec {
  const recordBytesMax = options.recordBytesMax ?? RECORD_BYTES_MAX;
  const writers = createWriterSchemas({
    registry: options.registry,
    now: options.now ?? (() => performance.now()),
    negativeTtlMs: options.negativeTtlMs ?? 60_000,
    lookupsPerSecondMax: options.lookupsPerSecondMax ?? 20,
  });
  const readers = new Map<RecordName, Type>();
  const resolvers = new Map<number, Resolver | undefined>();
  const eventReaders = new Map<number, EventReader | null>();
  const ids = new Map<RecordName, number>();
  let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

  function readerType(name: RecordName): Type {
    const built = readers.get(name);
    if (built) return built;
    const type = guardedType(RECORD_SCHEMAS[name]);
    readers.set(name, type);
    return type;
  }

  function validate(name: RecordName, value: unknown): readonly ValueIssue[] {
    try {
      if (readerType(name).isValid(value, { noUndeclaredFields: true })) return [];
    } catch {
      // avsc coerces while it checks, and `{ toString: [] }` cannot be coerced: that value is invalid, as the walk says.
    }
    return findValueIssues(RECORD_SCHEMAS[name], value);
  }

  function decodeWith(writer: WriterSchema, buffer: Buffer): DecodedRecord {
    const type = readerType(writer.name);
    if (!resolvers.has(writer.id)) resolvers.set(writer.id, resolverBetween(type, writer));
    // The reader of `name` builds `RecordByName[name]`; the compiler cannot follow the generated code.
    return { name: writer.name, value: decodeDatum(type, buffer, resolvers.get(writer.id)) } as DecodedRecord;
  }

  function decodeEventWith(writer: WriterSchema, buffer: Buffer): DecodedEvent {
    let reader = eventReaders.get(writer.id);
    if (reader === undefined) {
      const type = readerType(writer.name);
      reader = type.equals(writer.type) ? createEventReader(RECORD_SCHEMAS[writer.name], type) : null;
      eventReaders.set(writer.id, reader);
    }
    const value = reader === null ? null : reader(buffer, FRAME_BYTES);
    // The reader of `name` builds an event of that name.
    return value === null ? decodeWith(writer, buffer) : ({ name: writer.name, value } as DecodedEvent);
  }

  return {
    async prepare(names) {
      await Promise.all(
        names
          .filter((name) => !ids.has(name))
          .map(async (name) => {
            const type = readerType(name);
            const id = await options.registry.lookup(name, JSON.stringify(RECORD_SCHEMAS[name]));
            ids.set(name, id);
            writers.prime({ id, name, type });
          }),
      );
    },
    schemaId: (name) => ids.get(name),
    encode(name, value) {
      const id = ids.get(name);
      if (id === undefined) throw new AvroNotPreparedError(name);
      const issues = validate(name, value);
      if (issues.length > 0) throw new AvroValueError(name, issues);
      const type = readerType(name);
      let target = scratch;
      let end = type.encode(value, target, FRAME_BYTES);
      if (end < 0) {
        // A negative answer is the count of missing bytes.
        const needed = target.length - end;
        if (needed > recordBytesMax) throw new AvroTooLargeError(name, recordBytesMax);
        target = Buffer.allocUnsafeSlow(needed);
        if (needed <= SCRATCH_BYTES_MAX) scratch = target;
        end = type.encode(value, target, FRAME_BYTES);
      }
      if (end > recordBytesMax) throw new AvroTooLargeError(name, recordBytesMax);
      writeFrame(target, id);
      return Buffer.from(target.subarray(0, end));
    },
    validate,
    decode(buffer) {
      const writer = writers.get(frameSchemaId(buffer));
      if (writer instanceof Promise) return writer.then((found) => decodeWith(found, buffer));
      return decodeWith(writer, buffer);
    },
    decodeEvent(buffer) {
      const writer = writers.get(frameSchemaId(buffer));
      if (writer instanceof Promise) return writer.then((found) => decodeEventWith(found, buffer));
      return decodeEventWith(writer, buffer);
    },
    projectedDecoder(names, paths) {
      const types = new Map<RecordName, Type>(
        names.map((name) => [name, guardedType(projectSchema(RECORD_SCHEMAS[name], paths))]),
      );
      const projections = new Map<number, Resolver | undefined>();

      function decodeProjected(writer: WriterSchema, buffer: Buffer): Projected<RecordByName[(typeof names)[number]]> {
        const type = types.get(writer.name);
        if (!type) throw new AvroIncompatibleError({ schemaId: writer.id, record: writer.name });
        if (!projections.has(writer.id)) projections.set(writer.id, resolverBetween(type, writer));
        return decodeDatum(type, buffer, projections.get(writer.id), true) as Projected<
          RecordByName[(typeof names)[number]]
        >;
      }

      return {
        decode(buffer) {
          const writer = writers.get(frameSchemaId(buffer));
          if (writer instanceof Promise) return writer.then((found) => decodeProjected(found, buffer));
          return decodeProjected(writer, buffer);
        },
      };
    },
  };
}

/** Undefined when both are the same type: then the reader's own generated code is faster. */
function resolverBetween(reader: Type, writer: WriterSchema): Resolver | undefined {
  if (reader.equals(writer.type)) return undefined;
  try {
    return reader.createResolver(writer.type);
  } catch (error) {
    throw new AvroIncompatibleError({ schemaId: writer.id, record: writer.name }, error);
  }
}

function decodeDatum(type: Type, buffer: Buffer, resolver: Resolver | undefined, partial = false): unknown {
  try {
    if (partial) return type.fromBuffer(buffer.subarray(FRAME_BYTES), resolver, true);
    const { value, offset } = type.decode(buffer, FRAME_BYTES, resolver);
    if (offset < 0) throw new AvroDecodeError('Avro data ends early', 'SEC_AVRO_TRUNCATED');
    if (offset < buffer.length) throw new AvroDecodeError('bytes after the Avro data', 'SEC_AVRO_TRAILING');
    return value;
  } catch (error) {
    if (error instanceof TracehoundError) throw error;
    if (error instanceof Error && error.message === 'truncated buffer') {
      throw new AvroDecodeError('Avro data ends early', 'SEC_AVRO_TRUNCATED');
    }
    throw new AvroDecodeError('Avro data is malformed', 'SEC_AVRO_MALFORMED', undefined, error);
  }
}
