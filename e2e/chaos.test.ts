import { expect, it } from 'vitest';
import { runSoak } from '../services/correlator/chaos/soak.ts';

/** Two minutes of the soak that `npm run chaos` runs for as long as one likes, on servers of its own. */
const SEED = 20_261_126;

it('E1 E2 E3 hold over two minutes of kills, pauses, rebalances, network faults and a Redis that forgets', async () => {
  const lines: string[] = [];
  const report = await runSoak({
    seed: SEED,
    minutes: 2,
    brokers: 1,
    eventsPerSecond: 120,
    onProgress: (line) => lines.push(line),
  });
  expect(report.problems, lines.join('\n')).toEqual([]);
  expect(report.history.degraded).toBe(0);
  expect(report.history.finals).toBeGreaterThan(500);
  // The faults must really have hurt.
  expect(new Set(report.faults.map(({ name }) => name)).size).toBeGreaterThan(8);
  expect(report.fleet.fenced).toBeGreaterThan(0);
  expect(report.fleet.rebuilds).toBeGreaterThan(0);
  expect(report.fleet.died).toBeGreaterThan(0);
}, 420_000);
