import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createWorld } from '../oracle/world.ts';
import { ColdGroups } from './cold-groups.ts';
import { createInstance } from './instance.ts';
import { type Family, GroupRef } from './live-group.ts';

const [rule] = createWorld(1).ruleSet.correlations;

function familyOf(organization: string): Family {
  if (!rule) throw new Error('the world has no rule');
  const instance = createInstance(rule, 'k');
  const tenant = { organization, families: new Set<Family>(), groups: 0, bytes: 0 };
  return { instance, organization, tenant, groups: new Map(), size: 0, bytes: 0, firstAtMs: 0, lastAtMs: 0 };
}

function refOf(family: Family, groupKey: string, dueMs: number): GroupRef {
  const ref = new GroupRef(family, groupKey);
  ref.dueMs = dueMs;
  ref.ageMs = dueMs % 1_000;
  ref.weight = 240 + (dueMs % 7);
  ref.steps = dueMs % 5;
  return ref;
}

const facts = (ref: GroupRef | undefined): unknown =>
  ref && [ref.family.organization, ref.groupKey, ref.dueMs, ref.ageMs, ref.weight, ref.steps];

describe('cold groups', () => {
  it('are found, taken, listed and over as a plain map says, whatever the order', () => {
    const step = fc.record({
      what: fc.constantFrom('add', 'add', 'add', 'take', 'due', 'list'),
      family: fc.integer({ min: 0, max: 3 }),
      key: fc.oneof(fc.integer({ min: 0, max: 40 }).map(String), fc.string({ maxLength: 40, unit: 'grapheme' })),
      timeMs: fc.integer({ min: 0, max: 5_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const families = ['a', 'b', 'c', 'd'].map(familyOf);
        const cold = new ColdGroups();
        const model = new Map<string, GroupRef>();
        for (const { what, family: index, key, timeMs } of steps) {
          const family = families[index] as Family;
          const id = `${index}|${key}`;
          if (what === 'add' && !model.has(id)) {
            const ref = refOf(family, key, timeMs);
            expect(cold.add(ref)).toBe(true);
            model.set(id, ref);
          } else if (what === 'take') {
            expect(facts(cold.take(family, key))).toEqual(facts(model.get(id)));
            model.delete(id);
          } else if (what === 'due') {
            const wanted = [...model].filter(([, ref]) => ref.dueMs <= timeMs);
            for (const [gone] of wanted) model.delete(gone);
            const due = cold.takeDue(family.instance.depth, timeMs).map((ref) => facts(ref));
            expect(sorted(due)).toEqual(sorted(wanted.map(([, ref]) => facts(ref))));
          } else if (what === 'list') {
            const wanted = [...model.values()].filter((ref) => ref.family === family);
            expect(sorted([...cold.of(family)].map(facts))).toEqual(sorted(wanted.map(facts)));
          }
          expect(cold.has(family, key)).toBe(model.has(id));
          expect(cold.size).toBe(model.size);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('stay findable over growth, and leave nothing behind', () => {
    const family = familyOf('acme');
    const cold = new ColdGroups();
    const count = 20_000;
    for (let index = 0; index < count; index++) cold.add(refOf(family, `["10.0.${index >> 8}.${index & 255}"]`, index));
    expect(cold.size).toBe(count);
    for (let index = 0; index < count; index += 2) cold.take(family, `["10.0.${index >> 8}.${index & 255}"]`);
    expect(cold.has(family, '["10.0.0.1"]')).toBe(true);
    expect(cold.has(family, '["10.0.0.2"]')).toBe(false);
    expect(cold.takeDue(family.instance.depth, count / 2)).toHaveLength(count / 4);
    expect(cold.takeDue(family.instance.depth, count)).toHaveLength(count / 4);
    expect([cold.size, [...cold.of(family)].length]).toEqual([0, 0]);
  });

  it('are not taken with a key too long to be kept', () => {
    const cold = new ColdGroups();
    expect(cold.add(refOf(familyOf('acme'), 'x'.repeat(40_000), 1))).toBe(false);
    expect(cold.size).toBe(0);
  });
});

function sorted(lines: readonly unknown[]): readonly string[] {
  return lines.map((line) => JSON.stringify(line)).sort();
}
