import { rebuildFromMs } from '@tracehound/correlation';
import { describe, expect, it } from 'vitest';
import { leadFromMs, rangeOf } from './plan.ts';

const HOUR_MS = 3_600_000;
const WATERMARK_MS = 1_000 * 24 * HOUR_MS;

describe('the lead of a replay', () => {
  it('is what the longest rule needs', () => {
    const alone = (spanMs: number) => ({ depth: 0, feeds: [], definition: { spanMs } });
    expect(leadFromMs({ correlations: [alone(60_000), alone(HOUR_MS)] }, WATERMARK_MS)).toBe(
      rebuildFromMs(WATERMARK_MS, HOUR_MS),
    );
    expect(leadFromMs({ correlations: [] }, WATERMARK_MS)).toBe(WATERMARK_MS);
    expect(leadFromMs({ correlations: [alone(HOUR_MS)] }, Number.NEGATIVE_INFINITY)).toBe(Number.NEGATIVE_INFINITY);
  });

  it('X11 adds up along a chain: what a chain stands on must be whole where it begins', () => {
    const inner = { depth: 0, feeds: [{ correlation: 1, step: 0 }], definition: { spanMs: HOUR_MS } };
    const outer = { depth: 1, feeds: [], definition: { spanMs: 24 * HOUR_MS } };
    const outerFromMs = rebuildFromMs(WATERMARK_MS, 24 * HOUR_MS);
    expect(leadFromMs({ correlations: [inner, outer] }, WATERMARK_MS)).toBe(rebuildFromMs(outerFromMs, HOUR_MS));
  });
});

describe('a range', () => {
  it('must not be empty', () => {
    expect(() => rangeOf({ from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' })).toThrow('before --to');
    expect(rangeOf({})).toEqual({ fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY });
  });
});
