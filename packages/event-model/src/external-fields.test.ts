import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  EXTERNAL_BYTES_MAX,
  EXTERNAL_DEPTH_MAX,
  EXTERNAL_FIELDS_MAX,
  type ExternalField,
  externalText,
  flattenExternal,
  NumberText,
  parseJsonExact,
  scalarOf,
} from './index.ts';

const FIXTURES = join(import.meta.dirname, '../../../schemas/fixtures');
const fixtures = readdirSync(FIXTURES)
  .filter((file) => file.endsWith('.ndjson'))
  .flatMap((file) =>
    readFileSync(join(FIXTURES, file), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line, index) => [`${file}:${index + 1}`, line] as const),
  );

function flattened(json: string): readonly ExternalField[] {
  return flattenExternal(parseJsonExact(json));
}

function shape(fields: readonly ExternalField[]): Record<string, unknown> {
  return Object.fromEntries(
    fields.map(({ name, is_list, values }) => {
      const scalars = values.map(scalarOf);
      if (is_list) return [name, scalars];
      return [name, scalars.length === 0 ? {} : scalars[0]];
    }),
  );
}

describe('flattening', () => {
  test('objects nest into dotted names, arrays add values to one name', () => {
    const json =
      '{"a":{"b":1,"c":{"d":"x"}},"list":["p","q"],"people":[{"id":1,"tags":["t"]},{"id":2}],"e":[],"o":{},"n":null,"t":true}';
    expect(shape(flattened(json))).toEqual({
      'a.b': 1,
      'a.c.d': 'x',
      list: ['p', 'q'],
      'people.id': [1, 2],
      'people.tags': ['t'],
      e: [],
      o: {},
      n: null,
      t: true,
    });
  });

  test('a list of one is not a scalar; a name met twice is a list', () => {
    expect(flattened('{"a":["x"],"b":"x"}').map((field) => field.is_list)).toEqual([true, false]);
    expect(shape(flattened('{"a":{"b":1},"a.b":2}'))).toEqual({ 'a.b': [1, 2] });
  });

  test('numbers keep every digit', () => {
    const texts = [
      '123456789012345678901',
      '-9007199254740993',
      '1.0',
      '1e400',
      '0.1000000000000000055511151231257827',
      '1E2',
      '-0',
      '0',
    ];
    const fields = flattened(`{${texts.map((text, index) => `"n${index}":${text}`).join(',')}}`);
    expect(fields.map((field) => field.values[0])).toEqual(texts.map((text) => ({ type: 'NUMBER', text })));
    expect(fields.map((field) => scalarOf(field.values[0] ?? { type: 'NULL', text: 'null' }))).toEqual([
      '123456789012345678901',
      '-9007199254740993',
      1,
      '1e400',
      0.1,
      100,
      -0,
      0,
    ]);
  });

  test('text that looks like something else stays text', () => {
    const fields = flattened('{"a":"null","b":"1","c":"true","d":""}');
    expect(fields.map((field) => field.values[0]?.type)).toEqual(['STRING', 'STRING', 'STRING', 'STRING']);
    expect(shape(fields)).toEqual({ a: 'null', b: '1', c: 'true', d: '' });
  });

  test('__proto__ and constructor are names like any other', () => {
    const fields = flattened('{"__proto__":{"admin":true},"constructor":"c"}');
    expect(fields.map((field) => field.name)).toEqual(['__proto__.admin', 'constructor']);
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
  });
});

describe('limits', () => {
  const codeOf = (action: () => unknown): unknown => {
    try {
      return action();
    } catch (error) {
      return (error as { code: unknown }).code;
    }
  };
  const wide = (count: number): unknown =>
    Object.fromEntries(Array.from({ length: count }, (_item, index) => [`f${index}`, index]));

  test('512 fields pass, 513 do not', () => {
    expect(flattenExternal(wide(EXTERNAL_FIELDS_MAX))).toHaveLength(512);
    expect(codeOf(() => flattenExternal(wide(EXTERNAL_FIELDS_MAX + 1)))).toBe('SEC_EVENT_FIELDS');
  });

  test('256 kB in UTF-8 pass, one byte more does not', () => {
    const text = (bytes: number): unknown => ({ ab: `ü${'x'.repeat(bytes - 4)}` });
    expect(flattenExternal(text(EXTERNAL_BYTES_MAX))).toHaveLength(1);
    expect(codeOf(() => flattenExternal(text(EXTERNAL_BYTES_MAX + 1)))).toBe('SEC_EVENT_BYTES');
    expect(codeOf(() => flattenExternal({ list: Array.from({ length: 300_000 }, () => 1) }))).toBe('SEC_EVENT_BYTES');
  });

  test('64 levels pass, 65 do not, and 100,000 do not end the process', () => {
    const nested = (levels: number): unknown => parseJsonExact(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`);
    expect(flattenExternal(nested(EXTERNAL_DEPTH_MAX))).toHaveLength(1);
    expect(codeOf(() => flattenExternal(nested(EXTERNAL_DEPTH_MAX + 1)))).toBe('SEC_EVENT_DEPTH');
    let deep: unknown = 1;
    for (let level = 0; level < 100_000; level += 1) deep = [deep];
    expect(codeOf(() => flattenExternal({ deep }))).toBe('SEC_EVENT_DEPTH');
  });

  test.each([[null], [[]], ['text'], [1], [new NumberText('1.0')], [undefined]])('%j is no record', (value) => {
    expect(codeOf(() => flattenExternal(value))).toBe('SEC_EVENT_NOT_OBJECT');
  });

  test.each([[Number.NaN], [Number.POSITIVE_INFINITY], [undefined], [() => 1], [Symbol('s')]])(
    '%s is not JSON',
    (value) => {
      expect(codeOf(() => flattenExternal({ value }))).toBe('SEC_EVENT_SCALAR');
    },
  );
});

describe('the way back', () => {
  test.each(fixtures)('%s: text gives the same fields', (_name, line) => {
    const fields = flattened(line);
    expect(fields.length).toBeGreaterThan(3);
    expect(flattened(externalText(fields))).toEqual(fields);
  });

  test('a name that is an array index behind another name comes back in its place', () => {
    const fields = flattened('{"0":[{"":0},0],"b":1,"7":2}');
    expect(fields.map(({ name }) => name)).toEqual(['0', '7', '0.', 'b']);
    expect(flattened(externalText(fields))).toEqual(fields);
  });

  test('any JSON object: fields come back, and every leaf is there once', () => {
    const names = fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.constantFrom('__proto__', 'a.b', 'constructor', '', '0', '7'),
    );
    const json = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.string(),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(names, tie('value'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(names, json.value, { maxKeys: 6 }), (record) => {
        const text = JSON.stringify(record);
        const fields = flattened(text);
        expect(flattened(externalText(fields))).toEqual(fields);
        expect(fields.reduce((sum, field) => sum + field.values.length, 0)).toBe(leafCount(JSON.parse(text)));
      }),
      { numRuns: 300 },
    );
  });
});

function leafCount(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, inner) => sum + leafCount(inner), 0);
}

test('exact parsing changes nothing that a double can hold', () => {
  const text = '{"a":[1,-2.5,"x",true,null,1e21],"b":{"c":0}}';
  expect(parseJsonExact('{"a":[1,-2.5,"x",true,null],"b":{"c":0}}')).toEqual({
    a: [1, -2.5, 'x', true, null],
    b: { c: 0 },
  });
  expect((parseJsonExact(text) as { a: unknown[] }).a[5]).toEqual(new NumberText('1e21'));
  expect(() => parseJsonExact('{')).toThrow(SyntaxError);
});
