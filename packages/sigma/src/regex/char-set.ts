import { foldOrbits } from '../case-fold.ts';

/** A set of code points: `[low, high, low, high, ...]`, sorted, inclusive, neither touching nor overlapping. */
export type CharSet = readonly number[];

export const POINT_MAX = 0x10ffff;
export const NEWLINE = 0x0a;

export const DIGITS: CharSet = [0x30, 0x39];
export const WORDS: CharSet = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
export const SPACES: CharSet = [0x09, 0x0d, 0x20, 0x20];
export const ANY: CharSet = [0, POINT_MAX];
export const NOT_NEWLINE: CharSet = [0, NEWLINE - 1, NEWLINE + 1, POINT_MAX];

/** Sorts and joins ranges given in any order. */
export function normalize(ranges: readonly number[]): CharSet {
  const pairs: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i] as number, ranges[i + 1] as number]);
  pairs.sort((a, b) => a[0] - b[0]);
  const joined: number[] = [];
  for (const [low, high] of pairs) {
    const last = joined.length - 1;
    if (last > 0 && low <= (joined[last] as number) + 1) joined[last] = Math.max(joined[last] as number, high);
    else joined.push(low, high);
  }
  return joined;
}

export function negate(set: CharSet): CharSet {
  const rest: number[] = [];
  let next = 0;
  for (let i = 0; i < set.length; i += 2) {
    if ((set[i] as number) > next) rest.push(next, (set[i] as number) - 1);
    next = (set[i + 1] as number) + 1;
  }
  if (next <= POINT_MAX) rest.push(next, POINT_MAX);
  return rest;
}

export function contains(set: CharSet, point: number): boolean {
  for (let i = 0; i < set.length; i += 2) {
    if (point < (set[i] as number)) return false;
    if (point <= (set[i + 1] as number)) return true;
  }
  return false;
}

/** Adds every code point that differs from a member by case only. */
export function closeUnderCase(set: CharSet): CharSet {
  const orbits = foldOrbits();
  const added = [...set];
  if (set.length === 2 && (set[1] as number) - (set[0] as number) < 256) {
    for (let point = set[0] as number; point <= (set[1] as number); point++) {
      for (const member of orbits.get(point) ?? []) added.push(member, member);
    }
    return normalize(added);
  }
  for (const [point, members] of orbits) {
    if (contains(set, point)) for (const member of members) added.push(member, member);
  }
  return normalize(added);
}
