import { NumberText } from '@tracehound/event-model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Json, JsonSyntaxError, jsonText, parseElements, parseJson } from './strict-json.ts';

/** The value as `JSON.parse` would give it. */
function plain(value: Json): unknown {
  if (value instanceof NumberText) return Number(value.text);
  if (Array.isArray(value)) return (value as readonly Json[]).map(plain);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
  }
  return value;
}

describe('parseJson', () => {
  test('agrees with JSON.parse on every document', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        expect(plain(parseJson(text))).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  test('refuses what JSON.parse refuses, whatever is broken, and never throws anything else', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.nat(), fc.string({ maxLength: 3 }), (text, at, junk) => {
        const cut = at % (text.length + 1);
        const broken = text.slice(0, cut) + junk + text.slice(cut + 1);
        let expected: unknown;
        let sound = true;
        try {
          expected = JSON.parse(broken);
        } catch {
          sound = false;
        }
        try {
          const value = plain(parseJson(broken));
          expect(sound).toBe(true);
          expect(value).toEqual(expected);
        } catch (error) {
          if (!(error instanceof JsonSyntaxError)) throw error;
          // Duplicate keys are the one thing that is stricter here.
          expect(sound && !error.duplicateKey).toBe(false);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ['{"a":1,"a":2}', 7],
    ['{"x":{"a":1,"\\u0061":2}}', 12],
    ['{"__proto__":1,"__proto__":2}', 15],
  ])('refuses a key that occurs twice: %s', (text, offset) => {
    expect(() => parseJson(text)).toThrow(expect.objectContaining({ duplicateKey: true, offset }));
  });

  test('__proto__ and constructor are keys like any other', () => {
    const value = parseJson('{"__proto__":{"admin":true},"constructor":1}');
    expect(Object.keys(value as object)).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
    expect(jsonText(value)).toBe('{"__proto__":{"admin":true},"constructor":1}');
  });

  test.each(['12345678901234567890', '1.0', '1e400', '-0', '0.1000', '1E2'])('keeps the digits of %s', (text) => {
    expect(parseJson(text)).toEqual(new NumberText(text));
    expect(jsonText(parseJson(`[${text}]`))).toBe(`[${text}]`);
  });

  test.each([
    '01',
    '+1',
    '.5',
    '1.',
    '1e',
    'NaN',
    '-',
    "'a'",
    '"\t"',
    '"\\x41"',
    '"\\u12g4"',
    '[1,]',
    '{,}',
    'nul',
    '',
  ])('refuses %s', (text) => {
    expect(() => parseJson(text)).toThrow(JsonSyntaxError);
  });

  test('bounds the depth', () => {
    expect(() => parseJson('['.repeat(100_000))).toThrow('nested too deeply');
    expect(() => parseJson('{"a":'.repeat(100_000))).toThrow('nested too deeply');
  });

  test('says where it broke', () => {
    expect(() => parseJson('{"a": tru}')).toThrow(expect.objectContaining({ offset: 6 }));
    expect(() => parseJson('{"a":1} x')).toThrow(expect.objectContaining({ offset: 8 }));
  });
});

test('parseElements gives the extent of each element', () => {
  const text = ' [ {"a":1} , 2,[3] ] ';
  const { elements } = parseElements(text);
  expect(elements?.map((element) => text.slice(element.from, element.to))).toEqual(['{"a":1}', '2', '[3]']);
  expect(parseElements('{"a":[1]}').elements).toBeNull();
  expect(parseElements('[]').elements).toEqual([]);
});
