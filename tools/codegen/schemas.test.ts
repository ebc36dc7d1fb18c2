import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assertSafeSchema, fullTransitiveProblems, resolutionProblem } from '@tracehound/avro';
import { afterEach, describe, expect, test } from 'vitest';
import { bundle, type NamedType, readNamedTypes } from './avro-source.ts';
import { bundlesOf, drift, generate } from './generate.ts';
import { freeze, readHistory } from './history.ts';
import { lintSchemas } from './lint-schemas.ts';

const ROOT = join(import.meta.dirname, '../..');
const named = readNamedTypes(join(ROOT, 'schemas/avro'));
const bundles = bundlesOf(ROOT, named);
const history = readHistory(join(ROOT, 'schemas/history'));

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tracehound-codegen-'));
  folders.push(folder);
  return folder;
}

describe('drift', () => {
  test('what is generated is what is committed', () => {
    expect(drift(ROOT)).toEqual([]);
  });

  test('a changed source is seen', () => {
    const copy = temporaryFolder();
    for (const path of [
      'schemas',
      'deploy/topics.yaml',
      'testdata/attack',
      'packages/event-model/src/generated',
      'packages/lint/src/generated',
      'docs/reference',
    ]) {
      cpSync(join(ROOT, path), join(copy, path), { recursive: true });
    }
    expect(drift(copy)).toEqual([]);
    const type = named.get('tracehound.events.v1.FieldChange') as NamedType;
    const changed = { ...type, doc: 'Another doc.' };
    writeFileSync(join(copy, 'schemas/avro/tracehound/events/v1/FieldChange.avsc'), JSON.stringify(changed));
    expect(drift(copy)).toEqual([
      'packages/event-model/src/generated/records.ts',
      'packages/event-model/src/generated/schemas.ts',
    ]);
    expect(generate(copy).get('packages/event-model/src/generated/records.ts')).toContain('Another doc.');
  });
});

describe('lint', () => {
  test('all our schemas pass', () => {
    expect(named.size).toBeGreaterThan(40);
    expect(lintSchemas(named)).toEqual([]);
    for (const schema of bundles.values()) assertSafeSchema(schema);
  });

  const record = (field: Record<string, unknown>): NamedType => ({
    type: 'record',
    name: 'Planted',
    namespace: 'n',
    doc: 'Planted.',
    fields: [{ name: 'f', type: 'string', doc: 'Field.', ...field } as never],
  });
  test.each([
    ['no doc', { doc: undefined }, 'no doc'],
    ['camel case', { name: 'camelCase' }, 'snake_case'],
    ['nullable without default', { type: ['null', 'string'] }, 'nullable without default null'],
    ['null last', { type: ['string', 'null'], default: null }, 'union other than'],
    ['union of two', { type: ['null', 'string', 'long'], default: null }, 'union other than'],
    ['null default alone', { default: null }, 'default null without'],
    ['double as time', { name: 'seen_at', type: 'double' }, 'time or money'],
    ['nullable double as money', { name: 'amount', type: ['null', 'double'], default: null }, 'time or money'],
    ['float', { type: 'float' }, 'float'],
    ['items without bytes', { type: { type: 'array', items: 'null' } }, 'items without bytes'],
    ['unknown type', { type: 'n.Nobody' }, 'unknown type'],
    ['type in place', { type: { type: 'record', name: 'Inner', fields: [] } }, 'file of its own'],
  ])('planted: %s', (_name, field, problem) => {
    expect(lintSchemas(new Map([['n.Planted', record(field)]]))).toEqual([expect.stringContaining(problem)]);
  });

  test('planted: an enum with a default on the field only', () => {
    const type = { type: 'enum', name: 'E', namespace: 'n', doc: 'E.', symbols: ['A'] } as NamedType;
    expect(lintSchemas(new Map([['n.E', type]]))).toEqual(['n.E: no type-level default']);
  });

  test('planted: recursion is refused by the bundler', () => {
    const type = record({ type: ['null', 'n.Planted'], default: null });
    expect(() => bundle('n.Planted', new Map([['n.Planted', type]]))).toThrow('recursive type: n.Planted > n.Planted');
  });

  test('a bundle is self-contained and defines each type once', () => {
    for (const [name, schema] of bundles) {
      const text = JSON.stringify(schema);
      for (const type of named.values()) {
        expect(text.split(`"name":"${type.name}","namespace"`).length, `${type.name} in ${name}`).toBeLessThanOrEqual(
          2,
        );
      }
      expect(resolutionProblem(schema, schema)).toBeNull();
    }
  });
});

describe('compatibility with every frozen version', () => {
  test('every subject is frozen', () => {
    expect(new Set(history.map((frozen) => frozen.fullName))).toEqual(new Set(bundles.keys()));
  });

  test.each([...bundles.keys()])('%s', (fullName) => {
    const versions = history.filter((frozen) => frozen.fullName === fullName);
    expect(versions.map((frozen) => frozen.version)).toEqual(versions.map((_frozen, index) => index + 1));
    expect(
      fullTransitiveProblems(
        bundles.get(fullName),
        versions.map((frozen) => frozen.schema),
      ),
    ).toEqual([]);
  });

  const current = bundles.get('tracehound.events.v1.SecurityEventDetected') as { fields: readonly unknown[] };
  const changed = (fields: readonly unknown[]): unknown => ({ ...current, fields });
  test.each([
    ['a field without default', changed([...current.fields, { name: 'planted', type: 'string', doc: 'x' }])],
    ['a removed field without default', changed(current.fields.slice(1))],
    ['a narrowed type', changed([{ name: 'event_id', type: 'long', doc: 'x' }, ...current.fields.slice(1)])],
    ['a renamed field', changed([{ name: 'id', type: 'string', doc: 'x' }, ...current.fields.slice(1)])],
  ])('planted: %s is refused', (_name, planted) => {
    expect(fullTransitiveProblems(planted, [current]).length).toBeGreaterThan(0);
  });

  test('a new nullable field and a new enum symbol are fine', () => {
    const wider = changed([...current.fields, { name: 'planted', type: ['null', 'string'], default: null, doc: 'x' }]);
    expect(fullTransitiveProblems(wider, [current])).toEqual([]);
    const alert = bundles.get('tracehound.pipeline.v1.CorrelationAlert');
    const symbol = JSON.parse(JSON.stringify(alert).replace('"DEGRADED"]', '"DEGRADED","NOVEL"]')) as unknown;
    expect(JSON.stringify(symbol)).toContain('NOVEL');
    expect(fullTransitiveProblems(symbol, [alert])).toEqual([]);
  });
});

test('freezing adds a version only when something changed, and never overwrites', () => {
  const folder = temporaryFolder();
  const first = new Map([['n.A', { type: 'record', name: 'A' }]]);
  expect(freeze(folder, first)).toEqual(['n.A/1.avsc']);
  expect(freeze(folder, first)).toEqual([]);
  expect(freeze(folder, new Map([['n.A', { type: 'record', name: 'A', doc: 'new' }]]))).toEqual(['n.A/2.avsc']);
  expect(readHistory(folder).map((frozen) => frozen.version)).toEqual([1, 2]);
});
