import { describe, expect, it } from 'vitest';
import { checkRegex, compileRegex } from './index.ts';

/** A pattern known to stop backtracking engines, and what its worst text is built of. */
type Attack = { readonly pattern: string; readonly unit: string; readonly end: string };

const LENGTH = 10_240;
const CPU_MS_MAX = 10;

/** Families of patterns on which backtracking takes exponential or polynomial time. All are written for this test. */
function attacks(): readonly Attack[] {
  const list: Attack[] = [];
  const add = (pattern: string, unit: string, end = '!'): void => void list.push({ pattern, unit, end });
  const atoms: readonly (readonly [string, string])[] = [
    ['a', 'a'],
    ['.', 'a'],
    ['\\w', 'a'],
    ['\\d', '1'],
    ['\\s', ' '],
    ['[a-z]', 'q'],
    ['[^,]', 'a'],
    ['(?:ab)', 'ab'],
    ['[a-zA-Z0-9._%+-]', 'a.'],
    ['\\S', '\u00e9'],
  ];
  for (const [atom, unit] of atoms) {
    for (const [inner, outer] of ['++', '+*', '*+', '**', '?+', '+{1,9}', '{1,9}+', '{2,}+', '+?+', '*?*'].map(
      splitCounts,
    )) {
      add(`^(${atom}${inner})${outer}$`, unit);
      add(`(${atom}${inner})${outer}\\x00`, unit);
    }
    for (const other of ['a', '.', '\\w', '[^!]']) {
      add(`^(${atom}|${other})*$`, unit);
      add(`(${atom}|${other}|${atom}${other})+\\x00`, unit);
      add(`^(${atom}+|${other}+)*\\x00$`, unit);
    }
    for (let times = 2; times <= 9; times++) {
      add(`${`${atom}*`.repeat(times)}\\x00`, unit);
      add(`^${`${atom}*`.repeat(times)}$`, unit);
      add(`${`${atom}+,?`.repeat(times)}\\x00`, unit);
    }
    for (const count of [10, 30, 100, 300, 900]) {
      add(`(${atom}{1,${count}}){1,${count}}\\x00`, unit);
      add(`${atom}{${count}}\\x00`, unit);
      add(`(${atom}?){${count}}${atom}{${count}}\\x00`, unit);
      add(`a.{${count}}\\x00`, 'a');
      add(`(a|b)*a(a|b){${count}}\\x00`, 'aab');
    }
    add(`^((${atom}*)*)*$`, unit);
    add(`((${atom}+)+)+\\x00`, unit);
    add(`(${atom}*)*(${atom}*)*\\x00`, unit);
  }
  // Texts without a period make ever new states.
  for (const count of [50, 200, 390]) add(`a.{${count}}\\x00`, irregular());
  for (const count of [50, 200, 390]) add(`(a|b)*a(a|b){${count}}\\x00`, irregular());
  add('^(([a-z])+.)+[A-Z]([a-z])+$', 'a', '');
  add(
    '^([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$',
    'a',
  );
  add('(x+x+)+y', 'x');
  add('(.*)*x', 'y');
  add('^(\\s+|\\s*,\\s*)*$', ' ');
  add('<(?:[^>"\']|"[^"]*"|\'[^\']*\')*>', '<"');
  add('(?i)^(?:[a-z]+\\s?)+$', 'Ab');
  add('\\b(\\w+\\s*)+\\x00\\b', 'ab ');
  add('(?m)^(.+)+:$', 'a\n');
  return list;
}

/** A's and b's in an order that does not repeat: the upper bits of a linear congruential generator. */
function irregular(): string {
  let text = '';
  for (let state = 1; text.length < LENGTH; state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) {
    text += state >>> 31 === 0 ? 'a' : 'b';
  }
  return text;
}

function splitCounts(pair: string): readonly [string, string] {
  const [, inner = '', outer = ''] = /^(\*\?|\+\?|[*+?]|\{[^}]*\})(.*)$/.exec(pair) ?? [];
  return [inner, outer];
}

/** Least of three runs: other work on the machine must not make the measure. */
function cpuMsOf(run: () => void): number {
  const measured = [1, 2, 3].map(() => {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  });
  return Math.min(...measured);
}

describe('patterns that stop backtracking engines', () => {
  const all = attacks();

  it('are more than 500', () => {
    expect(new Set(all.map(({ pattern }) => pattern)).size).toBeGreaterThan(500);
  });

  it(`each is refused, or costs less than ${CPU_MS_MAX} ms of CPU on 10 KB of its worst text`, () => {
    const slow: string[] = [];
    let refused = 0;
    for (const { pattern, unit, end } of all) {
      if (checkRegex(pattern, '') !== null) {
        refused++;
        continue;
      }
      const text = unit.repeat(LENGTH / unit.length) + end;
      const ms = cpuMsOf(() => compileRegex(pattern, '')(text));
      if (ms >= CPU_MS_MAX) slow.push(`${pattern}: ${ms.toFixed(1)} ms`);
    }
    expect(slow).toEqual([]);
    // Almost all are matched, not refused: an author's pattern may be clumsy without being an attack.
    expect(refused).toBeLessThan(all.length / 5);
  }, 60_000);
});
