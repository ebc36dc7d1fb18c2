import { NO_WATERMARK_MS } from '@tracehound/event-model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogReach } from './log-reach.ts';

const DAY_MS = 86_400_000;

describe('how far a log has reached', () => {
  it('X12 before a mark nothing reaches its time, whatever came and was forgotten', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 3 * DAY_MS }), { minLength: 1, maxLength: 400 }),
        fc.integer({ min: 0, max: 3 * DAY_MS }),
        fc.integer({ min: 0, max: 3 * DAY_MS }),
        (times, askedMs, forgottenMs) => {
          const reach = new LogReach();
          for (const [offset, timeMs] of times.entries()) {
            if (reach.note(offset, timeMs)) reach.forgetBefore(Math.min(askedMs, forgottenMs));
          }
          const mark = reach.markBefore(askedMs);
          expect(mark).not.toBeNull();
          expect(times.slice(0, mark?.offset).filter((timeMs) => timeMs >= askedMs)).toEqual([]);
          expect(LogReach.read(reach.written())).toEqual(reach);
        },
      ),
    );
  });

  it('keeps few marks over weeks, close enough to any time that is asked for', () => {
    const reach = new LogReach();
    const everyMs = 10_000;
    let worst = 0;
    for (let offset = 0; offset * everyMs < 35 * DAY_MS; offset++) {
      if (reach.note(offset, offset * everyMs)) reach.forgetBefore(offset * everyMs - 2 * DAY_MS);
      if (offset * everyMs < 3 * DAY_MS || offset % 1_000 !== 0) continue;
      const neededMs = offset * everyMs - 2 * DAY_MS;
      worst = Math.max(worst, neededMs - (reach.markBefore(neededMs)?.offset ?? 0) * everyMs);
    }
    expect(reach.written().marks.length).toBeLessThanOrEqual(64);
    expect(worst).toBeLessThan((2 * DAY_MS) / 10);
  });

  it('begins with what is said of the log before it', () => {
    const reach = LogReach.from({ offset: 70, reachMs: DAY_MS });
    expect(reach.markBefore(DAY_MS - 1)).toBeNull();
    expect(reach.markBefore(DAY_MS)).toEqual({ offset: 70, reachMs: DAY_MS });
    expect(reach.note(71, DAY_MS / 2)).toBe(false);
  });

  it('is not moved by what has no time', () => {
    const reach = new LogReach();
    expect(reach.note(0, NO_WATERMARK_MS)).toBe(false);
    expect(reach.markBefore(DAY_MS)).toBeNull();
  });
});
