import { describe, expect, it } from 'vitest';
import { estimateOf } from './estimate.ts';
import { memoryLog } from './memory-log.fixture.ts';

const TO_MS = Number.POSITIVE_INFINITY;

/** 1,000 records of 100 bytes. */
const log = () =>
  memoryLog(
    2,
    Array.from({ length: 1_000 }, (_, index) => [index % 2, index, 100] as const),
  );

/** An engine that takes so long for a record, on a clock of its own. */
function engine(msOf: (index: number) => number) {
  let nowMs = 5_000;
  let taken = 0;
  return {
    clock: () => nowMs,
    taken: () => taken,
    take: async () => {
      nowMs += msOf(taken++);
    },
  };
}

describe('the estimate of a run over the log', () => {
  it('reads so many records and no more, and multiplies', async () => {
    const { kafka, parts } = await log();
    const { take, clock, taken } = engine(() => 2);
    const limits = { recordsMax: 256, msMax: 60_000 };
    const estimate = await estimateOf({ take }, { kafka, parts, toMs: TO_MS, limits, clock });
    expect(taken()).toBe(256);
    expect(estimate).toMatchObject({ recordsMax: 1_000, bytesMax: 100_000, expectedMs: 2_000 });
    expect(estimate.sample).toEqual({
      records: 256,
      bytes: 25_600,
      recordsPerSecond: 500,
      elapsedMs: 512,
      isAll: false,
    });
  });

  it('ends by the clock too', async () => {
    const { kafka, parts } = await log();
    const { take, clock, taken } = engine(() => 10);
    const limits = { recordsMax: 1_000_000, msMax: 1_000 };
    const { sample } = await estimateOf({ take }, { kafka, parts, toMs: TO_MS, limits, clock });
    expect(taken()).toBe(128);
    expect(sample).toMatchObject({ recordsPerSecond: 100, isAll: false });
  });

  it('takes the rate of the second half: the first one compiles', async () => {
    const { kafka, parts } = await log();
    const { take, clock } = engine((index) => (index < 128 ? 4 : 1));
    const limits = { recordsMax: 640, msMax: 60_000 };
    const { sample } = await estimateOf({ take }, { kafka, parts, toMs: TO_MS, limits, clock });
    expect(sample).toMatchObject({ records: 640, elapsedMs: 1_024, recordsPerSecond: 1_000 });
  });

  it('is no estimate where the sample is the whole range', async () => {
    const { kafka, parts } = await log();
    const { take, clock } = engine(() => 1);
    const limits = { recordsMax: 5_000, msMax: 60_000 };
    const estimate = await estimateOf({ take }, { kafka, parts, toMs: TO_MS, limits, clock });
    expect(estimate).toMatchObject({ expectedMs: 1_000, bytesMax: 100_000, sample: { isAll: true } });
  });

  it('of an empty range is nothing', async () => {
    const { kafka, parts } = await memoryLog(1, []);
    const { take, clock } = engine(() => 1);
    expect(await estimateOf({ take }, { kafka, parts, toMs: TO_MS, clock })).toMatchObject({
      recordsMax: 0,
      bytesMax: 0,
      expectedMs: 0,
      sample: { records: 0, recordsPerSecond: null },
    });
  });
});
