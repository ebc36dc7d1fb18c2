import { describe, expect, it } from 'vitest';
import { healthOfAll } from './workers-app.ts';

const good = { ok: true, status: 'ok', checks: [{ name: 'kafka', ok: true, detail: 'up' }] } as const;
const bad = { ok: false, status: 'unavailable', checks: [{ name: 'kafka', ok: false, detail: 'down' }] } as const;
const NOW_MS = 1_000_000;

describe('health of several workers', () => {
  it('is good when all are, and names the worker of each check', () => {
    const states = [0, 1].map((index) => ({ index, state: { ready: good, live: good }, saidAtMs: NOW_MS }));
    expect(healthOfAll(states, 'ready', NOW_MS)).toEqual({
      ok: true,
      status: 'ok',
      checks: [
        { name: 'worker 0: kafka', ok: true, detail: 'up' },
        { name: 'worker 1: kafka', ok: true, detail: 'up' },
      ],
    });
  });

  it('one that is not ready makes all not ready', () => {
    const states = [good, bad].map((ready, index) => ({ index, state: { ready, live: good }, saidAtMs: NOW_MS }));
    expect(healthOfAll(states, 'ready', NOW_MS).ok).toBe(false);
    expect(healthOfAll(states, 'live', NOW_MS).ok).toBe(true);
  });

  it('one that starts is not ready but lives; one that is silent is neither', () => {
    const starting = [{ index: 0, state: null, saidAtMs: 0 }];
    expect(healthOfAll(starting, 'ready', NOW_MS).ok).toBe(false);
    expect(healthOfAll(starting, 'live', NOW_MS).ok).toBe(true);
    const silent = [{ index: 0, state: { ready: good, live: good }, saidAtMs: NOW_MS - 6_000 }];
    expect(healthOfAll(silent, 'ready', NOW_MS).ok).toBe(false);
    expect(healthOfAll(silent, 'live', NOW_MS)).toMatchObject({
      ok: false,
      checks: [{ name: 'worker 0', detail: 'silent for 6 s' }],
    });
  });
});
