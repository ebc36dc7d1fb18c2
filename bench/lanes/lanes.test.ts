import { describe, expect, it } from 'vitest';
import { expectedEpisodes } from '../workload/expected.ts';
import { recordedLines, sshAndCloudLines, sshAndCloudPass } from '../workload/recorded.ts';
import { detectionChecks, workloadRules } from '../workload/rules.ts';
import { runCorrelateLane } from './correlate.ts';
import { runDetectLane } from './detect.ts';

/** The lanes with tiny inputs, so that they cannot rot; no speed is looked at. */
describe('lanes', () => {
  it('detect: checks its sample and measures each size', () => {
    const told: string[] = [];
    const { cells, steps } = runDetectLane({ sizes: [12], events: 2_000, runs: 1, onLine: (line) => told.push(line) });
    expect(cells.map(({ kind, rules, checkedEvents }) => [kind, rules, checkedEvents])).toEqual([
      ['synthetic', 12, 2_000],
      ['public', 12, 2_000],
    ]);
    expect(cells.every(({ lines, parsed }) => lines.median > 0 && parsed.median >= lines.median)).toBe(true);
    expect(steps).toEqual([]);
    expect(told).toHaveLength(2);
  }, 60_000);

  it('correlate: compares with SQL before it reports', async () => {
    const { loads, groups } = await runCorrelateLane({
      events: 6_000,
      runs: 1,
      groups: 500,
      loads: ['hot'],
      onLine: () => undefined,
    });
    expect(loads.map(({ load, events, checkedBy }) => [load, events, checkedBy])).toEqual([['hot', 6_000, 'sql']]);
    expect(loads[0]?.correlations['c01']).toBeGreaterThan(0);
    expect(loads[0]?.whole?.median).toBeGreaterThan(0);
    expect(groups.groups).toBe(500);
  }, 60_000);
});

describe('workloads', () => {
  it('episodes by SQL: a count, its end, and the next one', () => {
    const line = (seconds: number): string =>
      JSON.stringify({
        event_id: `e${seconds}`,
        event_type: 'login_failed',
        src_ip: '10.0.0.1',
        user: 'u',
        trace_id: `${seconds}`,
        platform: 'web',
        timestamp: new Date(Date.UTC(2026, 0, 5) + seconds * 1_000).toISOString(),
      });
    const five = [0, 1, 2, 3, 4];
    expect(expectedEpisodes(five.slice(1).map(line))['c01']).toBe(0);
    expect(expectedEpisodes(five.map(line))['c01']).toBe(1);
    // True until 900 s: one that begins at 1,800 s still joins, one that begins later does not.
    expect(expectedEpisodes([...five, 1_796, 1_797, 1_798, 1_799, 1_800].map(line))['c01']).toBe(1);
    expect(expectedEpisodes([...five, 1_797, 1_798, 1_799, 1_800, 1_801].map(line))['c01']).toBe(2);
  });

  it('as many rules as wanted, each with its check', () => {
    expect(workloadRules(3_000, true).match(/^title: /gm)).toHaveLength(3_010);
    expect(detectionChecks(3_000)).toHaveLength(3_000);
  });

  it('recorded events are repeated, the correlated ones with new ids and times', () => {
    expect([...recordedLines(3_000)]).toHaveLength(3_000);
    const pass = sshAndCloudPass();
    const lines = [...sshAndCloudLines(2 * pass)].map((line) => JSON.parse(line) as Record<string, unknown>);
    const [first, again] = [lines[0], lines[pass]];
    expect(first?.['message']).toBe(again?.['message']);
    expect(first?.['id']).not.toBe(again?.['id']);
    expect(Date.parse(String(again?.['time'])) - Date.parse(String(first?.['time']))).toBe(60 * 86_400_000);
  });
});
