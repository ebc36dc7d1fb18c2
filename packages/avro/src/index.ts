/**
 * Avro on the wire and the schema registry behind it. One codec per process encodes and decodes the records of
 * `@tracehound/event-model` in Confluent framing, with cached types, evolution to this build's reader schemas, and bounds
 * against hostile bytes. Nothing here registers a schema behind a service's back: `tracehound schemas apply` does that.
 */
export * from './codec.ts';
export * from './compatibility.ts';
export * from './confluent-registry.ts';
export * from './errors.ts';
export * from './memory-registry.ts';
export * from './register-records.ts';
export * from './schema-registry.ts';
export { assertSafeSchema, parseSafeSchema } from './schema-safety.ts';
