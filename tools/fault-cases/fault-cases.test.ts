import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../gates/gate.ts';
import { readFaultCases, standsIn } from './fault-cases.ts';

/**
 * `docs/fault-cases.md` cannot rot: every case stands in it once, every test it names is there, and every gap is one of
 * `GAPS`. Whoever closes or opens a gap changes the page and this list.
 */
const cases = readFaultCases(readFileSync(join(ROOT, 'docs/fault-cases.md'), 'utf8'));

const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
const EXPECTED = [...range(1, 36), ...range(46, 54), ...range(1, 11).map((row) => `F${row}`)];

/** Cases of which something is shown by no test. */
const GAPS: readonly string[] = [];

describe('docs/fault-cases.md', () => {
  it('has every case once, in order', () => {
    expect(cases.map(({ id }) => id)).toEqual(EXPECTED);
  });

  it.each(cases.map((one) => [one.id, one.name, one] as const))('%s %s names tests that are there', (_, __, one) => {
    expect(one.evidence.length + one.gaps.length).toBeGreaterThan(0);
    expect(one.unread).toEqual([]);
    for (const { file, test } of one.evidence) {
      expect(existsSync(join(ROOT, file)), `${file} is not there`).toBe(true);
      expect(standsIn(readFileSync(join(ROOT, file), 'utf8'), test), `${file} has no test or fault "${test}"`).toBe(
        true,
      );
    }
  });

  it('says of every gap what is missing, and has no other gaps than those known', () => {
    for (const { gaps } of cases) for (const gap of gaps) expect(gap.length).toBeGreaterThan(10);
    expect(cases.filter(({ gaps }) => gaps.length > 0).map(({ id, name }) => `${id} ${name}`)).toEqual(GAPS);
  });
});

describe('planted', () => {
  it('a row with words that are neither evidence nor a gap is seen', () => {
    const [one] = readFaultCases('| `1` | `a` | b | `x.test.ts` › `t`<br>see the soak<br>not covered: no time |');
    expect(one).toMatchObject({ evidence: [{ file: 'x.test.ts', test: 't' }], unread: ['see the soak'] });
    expect(one?.gaps).toEqual(['no time']);
  });

  it.each([
    ["it('whole name', () => {})", 'whole', true],
    ["it(\n  'whole name',", 'whole name', true],
    ['it.each(LIST)(\n  `$' + '{point}: holds`,', '$' + '{point}: holds', true],
    ["async 'kill-9'({ fleet }) {", 'kill-9', true],
    ['async zombie({ fleet }) {', 'zombie', true],
    ["it('another name', () => {})", 'name', false],
    ['// whole name', 'whole name', false],
    [`it.${'skip'}('whole name', () => {})`, 'whole', false],
    [`it.${'todo'}('whole name')`, 'whole', false],
    ['async zombies({ fleet }) {', 'zombie', false],
  ])('%j with %j: %s', (source, test, found) => {
    expect(standsIn(source, test)).toBe(found);
  });
});
