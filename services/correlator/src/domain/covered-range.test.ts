import { ACTIVATION_LIMITS } from '@tracehound/correlation';
import {
  END_OF_INPUT_WATERMARK_MS,
  type Match,
  markerHeaders,
  NO_WATERMARK_MS,
  type RuleActivation,
} from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packRange, type RoutedMatch, safeOffset, watermarkOf } from './covered-range.ts';
import { beginSource, coverBatch } from './source-progress.ts';

const ACTIVATION: RuleActivation = {
  schema_rev: 1,
  activation_id: 'a1',
  ruleset_id: 'r1',
  lateness_ms: 10_000,
  clock_allowance_ms: 1_000,
  sources_version: 1,
  sources: [],
  effective_at: 0,
  created_at: 0,
  principal: 'test',
  ...ACTIVATION_LIMITS,
  reason: null,
  breakers: [],
  based_on: null,
  matches_topic_id: null,
  matches_partitions: null,
};
const SOURCE = { topic: 'security.events', topicId: 't1', partition: 3 };

function match(offset: number, text = ''): Match {
  return {
    rule: 0,
    organization_id: 'acme',
    group_key: '[]',
    event_id: `e${offset}${text}`,
    event_time: 0,
    step: 0,
    value: null,
    number: null,
    source_offset: offset,
    source_instance: null,
    source_seq: null,
    flags: 0,
  };
}

function record(offset: number, appendTimeMs: number, marker?: 'idle' | 'end_of_input'): KafkaRecord {
  const headers = marker === undefined ? {} : markerHeaders(marker, SOURCE.topic);
  return {
    topic: SOURCE.topic,
    partition: SOURCE.partition,
    offset: BigInt(offset),
    appendTimeMs,
    key: null,
    value: null,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)])),
  };
}

describe('watermark', () => {
  const before = NO_WATERMARK_MS;
  it('X4 is the highest append time minus lateness minus clock allowance', () => {
    expect(watermarkOf(ACTIVATION, { highestAppendTimeMs: 50_000, beforeMs: before, endOfInput: false })).toBe(39_000);
  });
  it('X4 never goes back, and an empty range claims nothing', () => {
    expect(watermarkOf(ACTIVATION, { highestAppendTimeMs: 50_000, beforeMs: 45_000, endOfInput: false })).toBe(45_000);
    const nothing = { highestAppendTimeMs: Number.NEGATIVE_INFINITY, beforeMs: before, endOfInput: false };
    expect(watermarkOf(ACTIVATION, nothing)).toBe(before);
  });
  it('X4 is the largest one after the end of input', () => {
    const ended = { highestAppendTimeMs: 50_000, beforeMs: before, endOfInput: true };
    expect(watermarkOf(ACTIVATION, ended)).toBe(END_OF_INPUT_WATERMARK_MS);
  });
});

describe('covering a batch', () => {
  it('X4 X7 cuts where the activation changes; every range has its own watermark', () => {
    const second = { ...ACTIVATION, activation_id: 'a2', lateness_ms: 2_000 };
    const records = [
      record(10, 100_000),
      record(11, 100_500, 'idle'),
      record(12, 100_600),
      record(15, 100_700, 'end_of_input'),
    ];
    const [a, b, c] = [10, 10, 12].map((offset, n) => ({ target: 0, match: match(offset, `-${n}`) })) as [
      RoutedMatch,
      RoutedMatch,
      RoutedMatch,
    ];
    const { ranges, after } = coverBatch(beginSource(SOURCE, 9n), {
      records,
      matched: [
        { offset: 10n, matches: [a, b] },
        { offset: 12n, matches: [c] },
      ],
      activationAt: (appendTimeMs) => (appendTimeMs < 100_600 ? ACTIVATION : second),
    });
    expect(ranges.map(({ matches }) => matches)).toEqual([[a, b], [c]]);
    expect(ranges.map(({ from, to, watermarkMs }) => [from, to, watermarkMs])).toEqual([
      [9n, 12n, 89_500],
      [12n, 16n, END_OF_INPUT_WATERMARK_MS],
    ]);
    expect(ranges[1]?.endOfInput).toBe(true);
    expect(after).toEqual({ source: SOURCE, next: 16n, watermarkMs: END_OF_INPUT_WATERMARK_MS });
  });

  it('a match that is of no record of the batch stops it', () => {
    const matched = [{ offset: 11n, matches: [] }];
    const activationAt = () => ACTIVATION;
    expect(() => coverBatch(beginSource(SOURCE, 9n), { records: [record(10, 1)], matched, activationAt })).toThrow(
      /of no record/,
    );
  });
});

describe('packing a range', () => {
  const range = (matches: readonly RoutedMatch[], to: bigint) => ({
    source: SOURCE,
    depth: 0,
    activation: ACTIVATION,
    from: 0n,
    to,
    watermarkBeforeMs: 5,
    watermarkMs: 9,
    endOfInput: true,
    matches,
  });

  it('X4 gives every matches partition a record, an empty one is the tick', () => {
    const packed = packRange(range([{ target: 1, match: match(0) }], 4n), { targets: 3, clusterId: 'c' });
    expect(packed.map((batches) => batches.map((batch) => batch.matches.length))).toEqual([[0], [1], [0]]);
    for (const [batch] of packed) {
      expect(batch).toMatchObject({ from: 0, to: 4, prev_to: 0, watermark: 9, end_of_input: true, src_topic_id: 't1' });
    }
  });

  it('X5 any cut for size is contiguous, keeps order and offsets whole, and only its last record carries time', () => {
    const offsets = fc.array(fc.nat(60), { maxLength: 60 }).map((list) => list.toSorted((a, b) => a - b));
    fc.assert(
      fc.property(offsets, fc.integer({ min: 1, max: 2_000 }), (list, bytesMax) => {
        const matches = list.map((offset, index) => ({ target: 0, match: match(offset, `-${index}`) }));
        const [batches = []] = packRange(range(matches, 61n), { targets: 1, clusterId: 'c', bytesMax });
        expect(batches[0]?.prev_to).toBe(0);
        expect(batches.at(-1)?.to).toBe(61);
        for (const [index, batch] of batches.entries()) {
          expect(batch.prev_to).toBe(batch.from);
          if (index > 0) expect(batch.from).toBe(batches[index - 1]?.to);
          for (const one of batch.matches) {
            expect(one.source_offset).toBeGreaterThanOrEqual(batch.from);
            expect(one.source_offset).toBeLessThan(batch.to);
          }
          const isLast = index === batches.length - 1;
          expect([batch.watermark, batch.end_of_input]).toEqual(isLast ? [9, true] : [5, false]);
        }
        expect(batches.flatMap((batch) => batch.matches)).toEqual(matches.map((routed) => routed.match));
      }),
    );
  });

  it('refuses offsets beyond the exact range of numbers', () => {
    expect(safeOffset(9_007_199_254_740_991n)).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => safeOffset(9_007_199_254_740_992n)).toThrow(/exact range/);
  });
});
