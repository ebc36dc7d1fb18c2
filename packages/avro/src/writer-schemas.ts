import { RECORD_SCHEMAS, type RecordName } from '@tracehound/event-model';
import type { Type } from 'avsc';
import { AvroLookupLimitError, AvroUnknownRecordError, AvroUnknownSchemaError } from './errors.ts';
import { guardedType } from './guarded-types.ts';
import type { SchemaRegistry } from './schema-registry.ts';
import { parseSafeSchema } from './schema-safety.ts';

/** Schema a datum was written with, ready to resolve. */
export type WriterSchema = { readonly id: number; readonly name: RecordName; readonly type: Type };

export type WriterSchemasOptions = {
  readonly registry: SchemaRegistry;
  /** Milliseconds; for the two bounds below only. */
  readonly now: () => number;
  /** How long a 404 or an unusable schema is believed, in milliseconds. */
  readonly negativeTtlMs: number;
  /** Bound on registry calls for ids not seen before. */
  readonly lookupsPerSecondMax: number;
};

/** Ids asked for in vain are remembered up to this count: 1,024 entries of some 100 bytes. */
const NEGATIVE_MAX = 1_024;

/**
 * Writer schemas by wire id. An id is asked for once; concurrent askers share the call. A registry that is away rejects
 * with a retriable error and is asked again; an id it does not know is a permanent error, believed for a while.
 */
export function createWriterSchemas(options: WriterSchemasOptions): {
  /** Synchronous for known ids. */
  get(id: number): WriterSchema | Promise<WriterSchema>;
  /** What is known of an id without asking: our own schemas, found by `prepare`. */
  prime(writer: WriterSchema): void;
} {
  const known = new Map<number, WriterSchema>();
  const pending = new Map<number, Promise<WriterSchema>>();
  const refused = new Map<number, { readonly error: unknown; readonly untilMs: number }>();
  const bucket = { tokens: options.lookupsPerSecondMax, atMs: options.now() };

  function takeToken(): boolean {
    const nowMs = options.now();
    const refill = ((nowMs - bucket.atMs) / 1_000) * options.lookupsPerSecondMax;
    bucket.tokens = Math.min(options.lookupsPerSecondMax, bucket.tokens + refill);
    bucket.atMs = nowMs;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  async function load(id: number): Promise<WriterSchema> {
    try {
      const schema = parseSafeSchema(await options.registry.schemaById(id));
      const name = recordNameOf(schema);
      if (name === undefined) throw new AvroUnknownRecordError(id);
      const writer = { id, name, type: guardedType(schema) };
      known.set(id, writer);
      return writer;
    } catch (error) {
      if (isPermanent(error)) remember(id, error);
      throw error;
    } finally {
      pending.delete(id);
    }
  }

  function remember(id: number, error: unknown): void {
    const oldest = refused.keys().next();
    if (refused.size >= NEGATIVE_MAX && !oldest.done) refused.delete(oldest.value);
    refused.set(id, { error, untilMs: options.now() + options.negativeTtlMs });
  }

  return {
    prime(writer) {
      known.set(writer.id, writer);
      refused.delete(writer.id);
    },
    get(id) {
      const writer = known.get(id) ?? pending.get(id);
      if (writer !== undefined) return writer;
      const refusal = refused.get(id);
      if (refusal !== undefined) {
        if (refusal.untilMs > options.now()) return Promise.reject(refusal.error);
        refused.delete(id);
      }
      if (!takeToken()) return Promise.reject(new AvroLookupLimitError(id));
      const promise = load(id);
      pending.set(id, promise);
      return promise;
    },
  };
}

function isPermanent(error: unknown): boolean {
  if (error instanceof AvroUnknownSchemaError || error instanceof AvroUnknownRecordError) return true;
  // Everything the registry port throws says whether it may pass; what avsc throws about a schema never does.
  return (error as { retriable?: unknown }).retriable !== true;
}

function recordNameOf(schema: unknown): RecordName | undefined {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return undefined;
  const { type, name, namespace } = schema as Readonly<Record<string, unknown>>;
  if (type !== 'record' || typeof name !== 'string') return undefined;
  const fullName = name.includes('.') || typeof namespace !== 'string' ? name : `${namespace}.${name}`;
  return Object.hasOwn(RECORD_SCHEMAS, fullName) ? (fullName as RecordName) : undefined;
}
