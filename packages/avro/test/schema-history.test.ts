import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RECORD_NAMES, RECORD_SCHEMAS } from '@tracehound/event-model';
import { testStack } from '@tracehound/testkit';
import { describe, expect, test } from 'vitest';
import { createRegistry } from '../src/index.ts';

const HISTORY = join(import.meta.dirname, '../../../schemas/history');

function frozenVersions(fullName: string): readonly string[] {
  const folder = join(HISTORY, fullName);
  const versions = readdirSync(folder).map((file) => Number(file.replace('.avsc', '')));
  return versions.sort((a, b) => a - b).map((version) => readFileSync(join(folder, `${version}.avsc`), 'utf8'));
}

type Schema = { readonly fields: readonly { readonly name: string }[] };
const PLANTED = { name: 'planted', type: 'string', doc: 'A field without a default.' };

/** A real registry judges our schemas; `resolutionProblem` is our own opinion (see tools/codegen/schemas.test.ts). */
describe('dry run on the real registry', () => {
  test.each(RECORD_NAMES)('%s: follows its frozen versions; a planted change is refused', async (fullName) => {
    const stack = await testStack();
    const registry = createRegistry({ url: stack.registryUrl });
    const subject = `${stack.namespace()}.${fullName}`;
    for (const version of frozenVersions(fullName)) await registry.register(subject, version);
    const current = JSON.stringify(RECORD_SCHEMAS[fullName]);
    expect(await registry.checkCompatibility(subject, current)).toMatchObject({ compatible: true });
    await registry.register(subject, current);

    const schema = JSON.parse(current) as Schema;
    const planted = JSON.stringify({ ...schema, fields: [...schema.fields, PLANTED] });
    const answer = await registry.checkCompatibility(subject, planted);
    expect(answer.compatible).toBe(false);
    expect(answer.messages.join(' ')).toMatch(/planted/i);
    await expect(registry.register(subject, planted)).rejects.toMatchObject({ code: 'SEC_AVRO_INCOMPATIBLE' });
  });
});
