import { deadLetter, drop, InvariantError, ok, redirect, retry, type Verdict } from '@tracehound/event-model';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Pipeline } from './pipeline.ts';
import { RetryRequested, settle, type VerdictCounter } from './settle.ts';

type Plan = { readonly id: number; readonly at: number; readonly kind: Verdict<unknown>['kind'] };

function mapCounter(): VerdictCounter & { total: number; verdicts: Map<string, number> } {
  const counter = {
    total: 0,
    verdicts: new Map<string, number>(),
    consumed(count: number) {
      counter.total += count;
    },
    verdict(stage: string, kind: string, reason: string, count: number) {
      const key = `${stage}/${kind}/${reason}`;
      counter.verdicts.set(key, (counter.verdicts.get(key) ?? 0) + count);
    },
  };
  return counter;
}

function verdictOf(plan: Plan, stage: number): Verdict<Plan> {
  if (plan.at !== stage) return ok(plan);
  switch (plan.kind) {
    case 'ok':
      return ok(plan);
    case 'drop':
      return drop('duplicate');
    case 'deadLetter':
      return deadLetter('corrupt', `item ${plan.id}`);
    case 'redirect':
      return redirect('late', 'late', plan);
    case 'retry':
      return retry('unavailable', new Error('later'));
  }
}

/** Three stops, the second on whole batches: each item is decided where its plan says. */
function planned(): Pipeline<Plan, Plan> {
  return Pipeline.from<Plan>('planned')
    .each(function decode(plan: Plan) {
      return verdictOf(plan, 0);
    })
    .batch(async function copy(plans: readonly Plan[]) {
      return plans.map((plan) => verdictOf(plan, 1));
    })
    .each(async function emit(plan: Plan) {
      return verdictOf(plan, 2);
    });
}

function plans(kinds: readonly Plan['kind'][]): fc.Arbitrary<readonly Plan[]> {
  return fc
    .array(fc.record({ at: fc.integer({ min: 0, max: 2 }), kind: fc.constantFrom(...kinds) }), { maxLength: 40 })
    .map((list) => list.map((entry, id) => ({ id, ...entry })));
}

const STAGES = ['decode', 'copy', 'emit'];

describe('Pipeline', () => {
  test('names its stops in order', () => {
    expect(planned().stops).toEqual(STAGES);
  });

  test('gives one outcome per item, in order, decided at the planned stop', async () => {
    await fc.assert(
      fc.asyncProperty(plans(['ok', 'drop', 'deadLetter', 'redirect', 'retry']), async (items) => {
        const outcomes = await planned().run(items);
        expect(outcomes.map((outcome) => outcome.item)).toEqual(items);
        for (const { item, stage, verdict } of outcomes) {
          expect(verdict.kind).toBe(item.kind);
          expect(stage).toBe(item.kind === 'ok' ? 'emit' : STAGES[item.at]);
        }
      }),
    );
  });

  test('a batch stage sees survivors only and is not called without any', async () => {
    const seen: number[] = [];
    const pipeline = Pipeline.from<number>('p')
      .each(function consume(n: number) {
        return n < 0 ? drop('marker') : ok(n);
      })
      .batch(async function gather(items: readonly number[]) {
        seen.push(items.length);
        return items.map((item) => ok(item * 2));
      });
    expect((await pipeline.run([1, -1, 2])).map((outcome) => outcome.verdict.kind)).toEqual(['ok', 'drop', 'ok']);
    await pipeline.run([-1]);
    await pipeline.run([]);
    expect(seen).toEqual([2]);
  });

  test('a stage that loses an item is an invariant, never a silent loss', async () => {
    const pipeline = Pipeline.from<number>('p').batch(async function lossy(items: readonly number[]) {
      return items.slice(1).map((item) => ok(item));
    });
    await expect(pipeline.run([1, 2])).rejects.toThrow(InvariantError);
  });

  test('an exception in a stage rejects the whole run', async () => {
    const pipeline = Pipeline.from<number>('p').each(function fails(): Verdict<number> {
      throw new Error('bug');
    });
    await expect(pipeline.run([1])).rejects.toThrow('bug');
  });

  test('a stage without a name is refused', () => {
    const anonymous = (
      () => (n: number) =>
        ok(n)
    )();
    expect(() => Pipeline.from<number>('p').each(anonymous)).toThrow(InvariantError);
  });
});

describe('settle', () => {
  test('consumed equals the sum of verdicts, and every verdict had its effect', async () => {
    await fc.assert(
      fc.asyncProperty(plans(['ok', 'drop', 'deadLetter', 'redirect']), async (items) => {
        const counter = mapCounter();
        const dead: number[] = [];
        const late: number[] = [];
        const values = await settle(await planned().run(items), {
          counter,
          deadLetter: async (entries) => void dead.push(...entries.map((entry) => entry.item.id)),
          lanes: { late: async (entries) => void late.push(...entries.map((entry) => entry.item.id)) },
        });
        const idsOf = (kind: string): number[] => items.filter((item) => item.kind === kind).map((item) => item.id);
        expect(counter.total).toBe(items.length);
        expect([...counter.verdicts.values()].reduce((a, b) => a + b, 0)).toBe(items.length);
        expect(values.map((value) => value.id)).toEqual(idsOf('ok'));
        expect(dead).toEqual(idsOf('deadLetter'));
        expect(late).toEqual(idsOf('redirect'));
      }),
    );
  });

  test('a retry settles nothing: no effect, nothing counted as consumed', async () => {
    const counter = mapCounter();
    const effects: string[] = [];
    const items: Plan[] = [
      { id: 0, at: 0, kind: 'deadLetter' },
      { id: 1, at: 1, kind: 'retry' },
    ];
    const settling = settle(await planned().run(items), {
      counter,
      deadLetter: async () => void effects.push('dead'),
    });
    await expect(settling).rejects.toThrow(RetryRequested);
    await expect(settling).rejects.toMatchObject({ stage: 'copy', reason: 'unavailable' });
    expect(effects).toEqual([]);
    expect(counter.total).toBe(0);
    expect([...counter.verdicts]).toEqual([['copy/retry/unavailable', 1]]);
  });

  test('a dead letter that cannot be written stops everything', async () => {
    const counter = mapCounter();
    const outcomes = await planned().run([{ id: 0, at: 0, kind: 'deadLetter' }]);
    const settling = settle(outcomes, { counter, deadLetter: () => Promise.reject(new Error('no broker')) });
    await expect(settling).rejects.toThrow('no broker');
    expect(counter.total).toBe(0);
  });

  test('an unknown lane is an invariant', async () => {
    const outcomes = await planned().run([{ id: 0, at: 0, kind: 'redirect' }]);
    await expect(settle(outcomes, { counter: mapCounter(), deadLetter: async () => undefined })).rejects.toThrow(
      InvariantError,
    );
  });
});
