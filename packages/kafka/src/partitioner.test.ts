import fc from 'fast-check';
import kafkajs from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { murmur2, partitionForKey } from './partitioner.ts';

/** Vectors of Apache Kafka's own test (`UtilsTest.testMurmur2`). */
const VECTORS: readonly [string, number][] = [
  ['21', -973_932_308],
  ['foobar', -790_332_482],
  ['a-little-bit-long-string', -985_981_536],
  ['a-little-bit-longer-string', -1_486_304_829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
  ['abc', 479_470_107],
];

describe('murmur2', () => {
  it.each(VECTORS)('hashes %s as Kafka does', (key, hash) => {
    expect(murmur2(Buffer.from(key))).toBe(hash);
  });

  it('agrees with the default partitioner of kafkajs on any key and partition count', () => {
    const theirs = kafkajs.Partitioners.DefaultPartitioner();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.integer({ min: 1, max: 200 }), (bytes, count) => {
        const key = Buffer.from(bytes);
        const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
          partitionId,
          leader: 1,
          replicas: [],
          isr: [],
          partitionErrorCode: 0,
        }));
        const message = { key, value: null };
        expect(partitionForKey(key, count)).toBe(theirs({ topic: 't', partitionMetadata, message }));
      }),
    );
  });

  it('takes strings as UTF-8', () => {
    expect(partitionForKey('ä|1', 12)).toBe(partitionForKey(Buffer.from('ä|1'), 12));
  });
});
