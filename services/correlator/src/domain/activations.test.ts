import { ACTIVATION_LIMITS } from '@tracehound/correlation';
import type { RuleActivation } from '@tracehound/event-model';
import { describe, expect, it } from 'vitest';
import { ACTIVATION_NOTICE_MS, Activations } from './activations.ts';

function activation(id: string, effectiveAt: number, more: Partial<RuleActivation> = {}): RuleActivation {
  return {
    schema_rev: 1,
    activation_id: id,
    ruleset_id: `set-${id}`,
    lateness_ms: 120_000,
    clock_allowance_ms: 1_000,
    sources_version: 1,
    sources: [],
    effective_at: effectiveAt,
    created_at: 0,
    principal: 'test',
    ...ACTIVATION_LIMITS,
    reason: null,
    breakers: [],
    based_on: null,
    matches_topic_id: null,
    matches_partitions: null,
    ...more,
  };
}

const idAt = (activations: Activations, at: number): string | undefined => activations.at(at)?.activation.activation_id;

describe('activations', () => {
  it('X7 the active set is a function of the append time', () => {
    const activations = new Activations();
    activations.add(activation('a', 0), 1_000);
    activations.add(activation('b', 20_000), 2_000);
    activations.add(activation('c', 15_000), 3_000);
    expect([0, 14_999, 15_000, 19_999, 20_000, 9e12].map((at) => idAt(activations, at))).toEqual([
      'a',
      'a',
      'c',
      'c',
      'b',
      'b',
    ]);
  });

  it('X7 of two with the same time the later in the log holds', () => {
    const activations = new Activations();
    activations.add(activation('a', 0), 1_000);
    activations.add(activation('b', 20_000), 2_000);
    activations.add(activation('c', 20_000), 3_000);
    expect(idAt(activations, 20_000)).toBe('c');
  });

  it('X7 the first one holds before every effective time, whatever its own', () => {
    const activations = new Activations();
    activations.add(activation('a', 50_000), 60_000);
    expect(idAt(activations, 10)).toBe('a');
  });

  it('X7 less than five seconds of notice never takes effect', () => {
    const activations = new Activations();
    activations.add(activation('a', 0), 1_000);
    expect(activations.add(activation('b', 10_000 + ACTIVATION_NOTICE_MS - 1), 10_000)).toBe('too_soon');
    expect(activations.add(activation('c', 10_000 + ACTIVATION_NOTICE_MS), 10_000)).toBe('accepted');
    expect(idAt(activations, 9e12)).toBe('c');
  });

  it('X7 a copy of an activation changes nothing', () => {
    const activations = new Activations();
    activations.add(activation('a', 0), 1_000);
    activations.add(activation('b', 20_000), 2_000);
    expect(activations.add(activation('b', 20_000), 30_000)).toBe('duplicate');
    expect(idAt(activations, 20_000)).toBe('b');
  });

  it('X7 one read covers what no unread activation can change, and not more', () => {
    const activations = new Activations();
    expect(activations.covers(0)).toBe(false);
    activations.add(activation('a', 0), 1_000);
    activations.covered(100_000, 7_000);
    // 5 s of notice, less 1 s of broker clocks and 2 s in which an append may not be visible yet.
    expect(activations.covers(101_999)).toBe(true);
    expect(activations.covers(102_000)).toBe(false);
    activations.covered(50_000, 6_000);
    expect(activations.covers(101_999)).toBe(true);
  });

  it('X7 one read is young for as long as an activation may be unread, whatever append times say', () => {
    const activations = new Activations();
    expect(activations.isFresh(0)).toBe(false);
    activations.add(activation('a', 0), 1_000);
    activations.covered(100_000, 7_000);
    expect([activations.isFresh(8_999), activations.isFresh(9_000)]).toEqual([true, false]);
  });

  it('X7 an activation whose time was processed while the clocks were ahead holds for what comes', () => {
    const activations = new Activations();
    activations.add(activation('a', 0), 1_000);
    activations.at(3_630_000);
    expect(activations.add(activation('b', 38_000), 30_000, 30_000)).toBe('accepted');
    expect(idAt(activations, 37_999)).toBe('a');
    expect(idAt(activations, 38_000)).toBe('b');
  });

  it('X7 an activation that became visible after its time was processed stops stage a', () => {
    const activations = new Activations();
    activations.add(activation('a', 0), 1_000);
    activations.at(30_000);
    expect(() => activations.add(activation('b', 30_000), 20_000)).toThrow(/visible after/);
  });

  it('X4 finds a source list by its version', () => {
    const sources = [{ topic: 't', topic_id: 'i', partition: 0, effective_at: 0 }];
    const activations = new Activations();
    activations.add(activation('a', 0, { sources, sources_version: 4 }), 1_000);
    expect(activations.sourcesOf(4)).toBe(sources);
    expect(activations.sourcesOf(5)).toBeUndefined();
  });
});
