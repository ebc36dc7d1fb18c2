import { describe, expect, it } from 'vitest';
import { estimateJson, renderEstimate, spanText } from './estimate.ts';
import { replayProgressText } from './replay-progress.ts';

const estimate = {
  parts: [{ topic: 't', partition: 0, from: 5n, until: 2_000_005n, endsAtTop: true }],
  recordsMax: 2_000_000,
  bytesMax: 800_000_000,
  expectedMs: 80_000,
  sample: { records: 20_000, bytes: 8_000_000, recordsPerSecond: 25_000, elapsedMs: 1_000, isAll: false },
};

describe('an estimate', () => {
  it('says what there is at most, and how that is known', () => {
    expect(renderEstimate(estimate).split('\n')).toEqual([
      'TOPIC  PARTITION  FROM  UNTIL    RECORDS <=',
      't      0          5     2000005  2,000,000',
      'at most 2,000,000 records, 800.0 MB, 1 min 20 s; this was only an estimate',
      'measured on the first 20,000 records, 1 s: 25,000 records/s through the engine (second half of it), 400 bytes a record unpacked',
      'offsets count markers, transaction control and what was deleted too: there may be fewer records',
    ]);
  });

  it('of a range that is no longer than the sample is a measurement', () => {
    const sample = { records: 40, bytes: 4_000, recordsPerSecond: null, elapsedMs: 12, isAll: true };
    const lines = renderEstimate({ ...estimate, recordsMax: 40, bytesMax: 4_000, expectedMs: 12, sample }).split('\n');
    expect(lines.slice(2, 4)).toEqual([
      'at most 40 records, 4,000 bytes, less than 1 s; this was only an estimate',
      'measured: all of it, 40 records in less than 1 s; 100 bytes a record unpacked',
    ]);
  });

  it('is one line for machines', () => {
    expect(JSON.parse(estimateJson(estimate))).toMatchObject({
      kind: 'estimate',
      parts: [{ from: '5', until: '2000005' }],
      records_max: 2_000_000,
      bytes_max: 800_000_000,
      expected_ms: 80_000,
      sample: { records_per_second: 25_000, is_all: false },
    });
  });

  it('spans are rounded up', () => {
    expect([0, 1_000, 59_001, 61_000, 3_600_000, 7_500_000].map(spanText)).toEqual([
      'less than 1 s',
      '1 s',
      '1 min',
      '1 min 1 s',
      '1 h',
      '2 h 5 min',
    ]);
  });
});

it('progress tells rate and time left, by the share of offsets', () => {
  const state = { records: 40_000, offsetsDone: 50_000, offsetsTotal: 200_000 };
  expect(replayProgressText(state, 2_000)).toBe('40,000 records (25 %), 20,000 records/s, 6 s left');
});
