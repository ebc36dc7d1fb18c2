import { describe, expect, test } from 'vitest';
import type { SchemaRegistry } from '../src/schema-registry.ts';

export function recordSchema(fields: readonly unknown[], name = 'Contract'): string {
  return JSON.stringify({ type: 'record', name, namespace: 'tracehound.test', doc: 'Contract test.', fields });
}

const ID = { name: 'id', type: 'string', doc: 'Id.' };
const NOTE = { name: 'note', type: ['null', 'string'], doc: 'Note.', default: null };
const PLANTED = { name: 'planted', type: 'string', doc: 'A new field without a default: old data cannot be read.' };

/** What both adapters promise. `subject` gives a name nobody else uses. */
export function describeRegistryContract(
  adapter: string,
  open: () => Promise<{ registry: SchemaRegistry; subject: () => string }>,
): void {
  describe(`registry contract: ${adapter}`, () => {
    test('a registered schema is found by id, by lookup and as latest', async () => {
      const { registry, subject } = await open();
      const name = subject();
      const id = await registry.register(name, recordSchema([ID]));
      expect(JSON.parse(await registry.schemaById(id))).toMatchObject({ name: 'Contract', fields: [{ name: 'id' }] });
      expect(await registry.lookup(name, recordSchema([ID]))).toBe(id);
      expect(await registry.latest(name)).toMatchObject({ id, version: 1 });
      expect(await registry.subjects()).toContain(name);
    });

    test('registering twice gives the same id and no second version', async () => {
      const { registry, subject } = await open();
      const name = subject();
      const first = await registry.register(name, recordSchema([ID]));
      expect(await registry.register(name, recordSchema([ID]))).toBe(first);
      expect((await registry.latest(name))?.version).toBe(1);
    });

    test('a compatible change becomes version 2 with an id of its own', async () => {
      const { registry, subject } = await open();
      const name = subject();
      const first = await registry.register(name, recordSchema([ID]));
      expect(await registry.checkCompatibility(name, recordSchema([ID, NOTE]))).toMatchObject({ compatible: true });
      const second = await registry.register(name, recordSchema([ID, NOTE]));
      expect(second).not.toBe(first);
      expect(await registry.latest(name)).toMatchObject({ id: second, version: 2 });
    });

    test('an incompatible change is refused, dry run and for good, from the second version of a subject on', async () => {
      const { registry, subject } = await open();
      const name = subject();
      await registry.register(name, recordSchema([ID]));
      const answer = await registry.checkCompatibility(name, recordSchema([ID, PLANTED]));
      expect(answer.compatible).toBe(false);
      expect(answer.messages.join(' ')).toMatch(/planted/i);
      await expect(registry.register(name, recordSchema([ID, PLANTED]))).rejects.toMatchObject({
        code: 'SEC_AVRO_INCOMPATIBLE',
        retriable: false,
      });
      expect((await registry.latest(name))?.version).toBe(1);
    });

    test('compatibility is transitive: a change that fits the latest version but not an older one is refused', async () => {
      const { registry, subject } = await open();
      const name = subject();
      const defaulted = { ...ID, name: 'kind', type: 'string', default: 'a' };
      await registry.register(name, recordSchema([ID, defaulted]));
      await registry.register(name, recordSchema([ID]));
      // `kind` as int fits version 2, which has no such field, but not version 1.
      const clash = recordSchema([ID, { ...defaulted, type: 'int', default: 0 }]);
      expect((await registry.checkCompatibility(name, clash)).compatible).toBe(false);
      await expect(registry.register(name, clash)).rejects.toMatchObject({ code: 'SEC_AVRO_INCOMPATIBLE' });
    });

    test('what is not there is said to be missing, as a permanent or as a retriable error', async () => {
      const { registry, subject } = await open();
      const name = subject();
      await expect(registry.schemaById(0x7fff_fff0)).rejects.toMatchObject({
        code: 'SEC_AVRO_UNKNOWN_SCHEMA',
        retriable: false,
      });
      const missing = { code: 'SEC_AVRO_SUBJECT_MISSING', retriable: true };
      await expect(registry.lookup(name, recordSchema([ID]))).rejects.toMatchObject(missing);
      await registry.register(name, recordSchema([ID]));
      await expect(registry.lookup(name, recordSchema([ID, NOTE]))).rejects.toMatchObject(missing);
      expect(await registry.latest(`${name}.nobody`)).toBeNull();
      expect(await registry.checkCompatibility(`${name}.nobody`, recordSchema([ID]))).toEqual({
        compatible: true,
        messages: [],
      });
    });
  });
}
