/**
 * Simple case folding (Unicode, CaseFolding.txt, statuses C and S): one code point stays one code point, whatever the
 * language and the neighbours. It is what strings, wildcards and case-blind regular expressions of rules compare by.
 * The dotted `İ` and the dotless `ı` have no simple folding and stay as they are.
 */

/** Two-byte letters whose folding is not their lower case, or whose lower case depends on neighbours. */
const SPECIAL =
  /[\u0345\u0130\u017f\u0390\u03a3\u03b0\u03c2\u03d0\u03d1\u03d5\u03d6\u03f0\u03f1\u03f5\u1c80-\u1c88\u1e9b\u1fbe\u1fd3\u1fe3\ufb05\ufb06]/;

/** Pairs that fold together although neither has a one-letter capital. */
const TWINS: ReadonlyMap<number, number> = new Map([
  [0x1fd3, 0x390],
  [0x1fe3, 0x3b0],
  [0xfb05, 0xfb06],
]);

/** Where letters with case live; a test walks all of Unicode to prove that none is missing. */
const CASED_BLOCKS: readonly (readonly [number, number])[] = [
  [0x41, 0x587],
  [0x10a0, 0x10ff],
  [0x13a0, 0x13ff],
  [0x1c80, 0x1cbf],
  [0x1d79, 0x1d8e],
  [0x1e00, 0x1fff],
  [0x2126, 0x2132],
  [0x214e, 0x2188],
  [0x24b6, 0x24e9],
  [0x2c00, 0x2d2d],
  [0xa640, 0xa7ff],
  [0xab53, 0xabbf],
  [0xfb05, 0xfb06],
  [0xff21, 0xff5a],
  [0x10400, 0x105bc],
  [0x10c80, 0x10cf2],
  [0x10d50, 0x10d85],
  [0x118a0, 0x118df],
  [0x16e40, 0x16ed3],
  [0x1e900, 0x1e943],
];

/** Folds a text. Costs one native lower-casing unless it holds one of a few Greek, Cherokee or long-s letters. */
export function foldCase(text: string): string {
  // A search for a two-byte letter in a one-byte string is over at once; `µ` is the one special one-byte letter.
  if (!text.includes('\u00b5') && !SPECIAL.test(text)) return text.toLowerCase();
  let folded = '';
  for (const char of text) folded += String.fromCodePoint(foldPoint(char.codePointAt(0) ?? 0));
  return folded;
}

/** Folds one code point: capital, then small letter, each only where it is a single code point. */
export function foldPoint(point: number): number {
  if (point < 0x80) return point >= 0x41 && point <= 0x5a ? point + 0x20 : point;
  if (point === 0x130 || point === 0x131) return point;
  const twin = TWINS.get(point);
  if (twin !== undefined) return twin;
  return single(single(point, 'toUpperCase'), 'toLowerCase');
}

function single(point: number, change: 'toUpperCase' | 'toLowerCase'): number {
  const changed = String.fromCodePoint(point)[change]();
  const first = changed.codePointAt(0) ?? point;
  return changed.length === (first > 0xffff ? 2 : 1) ? first : point;
}

let orbits: ReadonlyMap<number, readonly number[]> | undefined;

/** For each code point that shares its folding with another: all that share it, itself included. Built once. */
export function foldOrbits(): ReadonlyMap<number, readonly number[]> {
  orbits ??= buildOrbits();
  return orbits;
}

function buildOrbits(): ReadonlyMap<number, readonly number[]> {
  const byFolding = new Map<number, number[]>();
  for (const [first, last] of CASED_BLOCKS) {
    for (let point = first; point <= last; point++) {
      const folded = foldPoint(point);
      const known = byFolding.get(folded);
      if (known) known.push(point);
      else byFolding.set(folded, [point]);
    }
  }
  const built = new Map<number, readonly number[]>();
  for (const members of byFolding.values()) {
    if (members.length > 1) for (const member of members) built.set(member, members);
  }
  return built;
}
