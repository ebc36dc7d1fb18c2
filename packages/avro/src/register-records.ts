import { RECORD_NAMES, RECORD_SCHEMAS, type RecordName } from '@tracehound/event-model';
import type { SchemaRegistry } from './schema-registry.ts';

/** Where one subject stands after `registerRecords`. */
export type RegisteredRecord = {
  readonly name: RecordName;
  readonly id: number;
  readonly action: 'registered' | 'unchanged';
};

/**
 * Registers the schemas of this build under their subjects (RecordNameStrategy), FULL_TRANSITIVE. Idempotent. For
 * `tracehound schemas apply`, local stacks and tests; services only look up.
 */
export async function registerRecords(
  registry: SchemaRegistry,
  names: readonly RecordName[] = RECORD_NAMES,
): Promise<readonly RegisteredRecord[]> {
  const results: RegisteredRecord[] = [];
  for (const name of names) {
    const schema = JSON.stringify(RECORD_SCHEMAS[name]);
    const before = await registry.latest(name);
    const id = await registry.register(name, schema);
    results.push({ name, id, action: before?.id === id ? 'unchanged' : 'registered' });
  }
  return results;
}
