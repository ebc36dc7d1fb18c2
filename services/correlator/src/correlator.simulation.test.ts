import { describe, expect, it } from 'vitest';
import { OwnerSimulation } from '../test/owner-simulation.fixture.ts';

/** More with `TRACEHOUND_SIMULATION_SEEDS=2000`, from another start with `TRACEHOUND_SIMULATION_FROM=…`. */
const SEEDS = Number(process.env['TRACEHOUND_SIMULATION_SEEDS'] ?? 120);
const CHAINED = SEEDS;
/** More say nothing new. */
const MANY = 10;
const FROM = Number(process.env['TRACEHOUND_SIMULATION_FROM'] ?? 0);

describe('stage b under crashes, zombies, lost answers and a store that forgets', () => {
  it(`E1 E2 E3 hold for ${SEEDS} seeds from ${FROM}`, { timeout: 600_000 }, async () => {
    const problems: string[] = [];
    const chaos: Record<string, number> = {};
    for (let seed = FROM; seed < FROM + SEEDS && problems.length < MANY; seed++) {
      const result = await new OwnerSimulation({ seed }).run();
      problems.push(...result.problems);
      for (const [kind, count] of Object.entries(result.chaos)) chaos[kind] = (chaos[kind] ?? 0) + count;
    }
    expect(problems).toEqual([]);
    // The disturbances must really have happened, each of them.
    for (const kind of [
      'takeover',
      'flushall',
      'rebuilt_from_the_middle',
      'rollback',
      'partial',
      'flush_ghost',
      'flush_answer_lost',
      'read',
      'read_lost',
      'read_killed_after',
      'emit_killed_after',
    ]) {
      expect(chaos[kind] ?? 0, kind).toBeGreaterThan(0);
    }
    for (const point of ['b:after-apply', 'b:before-flush', 'b:after-flush', 'b:after-emit', 'b:before-commit']) {
      expect(chaos[`killed_at_${point}`] ?? 0, point).toBeGreaterThan(0);
    }
  });

  it(`X11 E1 E2 E3 hold for ${CHAINED} seeds of chains and expected groups over partitions`, {
    timeout: 600_000,
  }, async () => {
    const problems: string[] = [];
    const chaos: Record<string, number> = {};
    for (let seed = FROM; seed < FROM + CHAINED && problems.length < MANY; seed++) {
      const result = await new OwnerSimulation({ seed, chained: true }).run();
      problems.push(...result.problems);
      for (const [kind, count] of Object.entries(result.chaos)) chaos[kind] = (chaos[kind] ?? 0) + count;
    }
    expect(problems).toEqual([]);
    for (const kind of [
      'chained',
      'takeover',
      'flushall',
      'rebuilt_from_the_middle',
      'rollback',
      'emit_answer_lost',
      'emit_killed_after',
    ]) {
      expect(chaos[kind] ?? 0, kind).toBeGreaterThan(0);
    }
  });

  it('X8 mutant: without the fence some seed breaks E1', { timeout: 600_000 }, async () => {
    const problems: string[] = [];
    for (let seed = 0; seed < SEEDS && !problems.join().includes('E1'); seed++) {
      problems.push(...(await new OwnerSimulation({ seed, withoutFence: true }).run()).problems);
    }
    expect(problems.join()).toContain('E1');
  });
});
