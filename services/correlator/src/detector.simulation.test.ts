import { describe, expect, it } from 'vitest';
import { DetectorSimulation } from '../test/detector-simulation.fixture.ts';

/** More with `TRACEHOUND_SIMULATION_SEEDS=2000`, from another start with `TRACEHOUND_SIMULATION_FROM=…`. */
const SEEDS = Number(process.env['TRACEHOUND_SIMULATION_SEEDS'] ?? 40);
/** More say nothing new. */
const MANY = 10;
const FROM = Number(process.env['TRACEHOUND_SIMULATION_FROM'] ?? 0);

describe('stage a under crashes, zombies, lost answers and broker clocks that step', () => {
  it(`X3 X4 X5 E2 hold for ${SEEDS} seeds from ${FROM}`, { timeout: 600_000 }, async () => {
    const problems: string[] = [];
    const chaos: Record<string, number> = {};
    for (let seed = FROM; seed < FROM + SEEDS && problems.length < MANY; seed++) {
      const simulation = new DetectorSimulation({ seed });
      problems.push(...(await simulation.run()));
      for (const [kind, count] of Object.entries(simulation.chaos)) chaos[kind] = (chaos[kind] ?? 0) + count;
    }
    expect(problems).toEqual([]);
    for (const kind of ['takeover', 'append', 'commit', 'marker', 'fault_point']) {
      expect(chaos[kind] ?? 0, kind).toBeGreaterThan(0);
    }
  });

  for (const mutant of ['commit-before-acknowledged', 'watermark-without-allowance'] as const) {
    it(`mutant ${mutant}: some seed notices`, { timeout: 600_000 }, async () => {
      const problems: string[] = [];
      for (let seed = 0; seed < 200 && problems.length === 0; seed++) {
        problems.push(...(await new DetectorSimulation({ seed, mutant }).run()));
      }
      expect(problems.join()).toMatch(/X4|X5|E2/);
    });
  }
});
