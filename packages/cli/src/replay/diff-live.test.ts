import type { CorrelationAlert } from '@tracehound/event-model';
import { describe, expect, it } from 'vitest';
import { diffLive, type ReplayedFinal } from './diff-live.ts';

const SPAN_MS = 1_000;
const ALL = { afterMs: Number.NEGATIVE_INFINITY, uptoMs: Number.POSITIVE_INFINITY };

function final(group: string, lastAtMs: number): ReplayedFinal {
  const projection = {
    organization: 'acme',
    rule: 'r',
    group,
    first_at: lastAtMs - 100,
    last_at: lastAtMs,
    event_ids: ['e1'],
  };
  return { projection, dueMs: lastAtMs + SPAN_MS };
}

/** What `project` looks at, and the kind. */
function alert(of: ReplayedFinal, change: Partial<CorrelationAlert> = {}): CorrelationAlert {
  const { organization, rule, group, ...rest } = of.projection;
  return {
    kind: 'FINAL',
    organization_id: organization,
    rule: { rule_id: rule, timespan_ms: SPAN_MS },
    group: [{ field: 'ip', value: group }],
    timer_due: null,
    ...rest,
    ...change,
  } as CorrelationAlert;
}

describe('diffLive', () => {
  it('finds no difference between the same finals, however often and with whatever else they were said', () => {
    const finals = [final('a', 10_000), final('b', 20_000)];
    const [a, b] = finals as [ReplayedFinal, ReplayedFinal];
    const log = [alert(a, { kind: 'OPEN' }), alert(b), alert(a), alert(a), alert(a, { kind: 'END' })];
    expect(diffLive(finals, log, ALL)).toEqual({ same: 2, missing: [], extra: [], degraded: 0 });
  });

  it('names what only one side has', () => {
    const [a, b, c] = [final('a', 10_000), final('b', 20_000), final('c', 30_000)];
    const diff = diffLive([a, b], [alert(b), alert(c)], ALL);
    expect(diff).toMatchObject({ same: 1, missing: [a.projection], extra: [c.projection] });
    const evidence = diffLive([a], [alert(a, { event_ids: ['e2'] })], ALL);
    expect([evidence.missing.length, evidence.extra.length]).toEqual([1, 1]);
  });

  it('leaves out what was decided before the range, or could only be decided after it', () => {
    const [before, after] = [final('a', 10_000), final('b', 20_000)];
    const range = { afterMs: 11_000, uptoMs: 21_000 };
    expect(diffLive([before], [alert(after)], range)).toMatchObject({ missing: [], extra: [] });
    expect(diffLive([], [alert(before)], range)).toMatchObject({ extra: [] });
    // Decided before the range by the start of the next episode: the replay says it too, it is no extra.
    const early = { ...before, dueMs: 10_500 };
    expect(diffLive([early], [alert(before)], { afterMs: 10_900, uptoMs: 30_000 })).toMatchObject({ extra: [] });
  });

  it('leaves out degraded ranges, of a group or of a whole rule, and counts them', () => {
    const [a, b] = [final('a', 10_000), final('b', 20_000)];
    const dropped = alert(a, { kind: 'DEGRADED', first_at: 9_000, last_at: 9_950 });
    expect(diffLive([a, b], [dropped], ALL)).toMatchObject({ degraded: 1, missing: [b.projection] });
    const all = alert(a, { kind: 'DEGRADED', group: [], first_at: 0, last_at: 30_000 });
    expect(diffLive([a], [all, alert(b)], ALL)).toMatchObject({ degraded: 2, missing: [], extra: [] });
    expect(diffLive([a], [alert(a, { kind: 'DEGRADED', first_at: 10_001, last_at: 10_100 })], ALL).degraded).toBe(0);
  });
});
