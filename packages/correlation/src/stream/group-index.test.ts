import { describe, expect, it } from 'vitest';
import { createRandom } from '../../oracle/random.ts';
import { GroupIndex } from './group-index.ts';

type Group = { readonly line: object; readonly key: string; sibling: Group | null };

describe('GroupIndex', () => {
  it('finds of each rule its own group of a key, whatever was added and removed before', () => {
    const random = createRandom(5);
    const lines = Array.from({ length: 3 }, () => ({}));
    const index = new GroupIndex<Group>();
    const known = new Map<string, Group>();
    for (let step = 0; step < 5_000; step++) {
      const at = random.below(lines.length);
      const line = lines[at] as object;
      const key = `k${random.below(6)}`;
      const name = `${at} ${key}`;
      const group = index.find(line, key);
      expect(group).toBe(known.get(name));
      if (group === undefined) {
        const added = { line, key, sibling: null };
        index.add(added);
        known.set(name, added);
      } else if (random.chance(0.6)) {
        index.remove(group);
        known.delete(name);
      }
    }
    const seen = new Set<Group>();
    index.forEach((group) => {
      seen.add(group);
      index.remove(group);
    });
    expect(seen).toEqual(new Set(known.values()));
    expect(lines.some((line) => index.find(line, 'k0') !== undefined)).toBe(false);
  });
});
