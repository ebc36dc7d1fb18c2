const SEED = 0x9747b28c;
const M = 0x5bd1e995;

/**
 * Kafka's murmur2 of a key: 32 bits, signed (Apache Kafka `Utils.murmur2`, seed 0x9747b28c). kafkajs computes the same
 * over 64-bit objects; this one stays in 32-bit integers. O(length).
 */
export function murmur2(key: Buffer): number {
  const length = key.length;
  let h = (SEED ^ length) | 0;
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k = key.readInt32LE(i);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    k = Math.imul(k, M);
    h = Math.imul(h, M) ^ k;
  }
  switch (length - whole) {
    case 3:
      h ^= ((key[whole + 2] ?? 0) << 16) | ((key[whole + 1] ?? 0) << 8) | (key[whole] ?? 0);
      h = Math.imul(h, M);
      break;
    case 2:
      h ^= ((key[whole + 1] ?? 0) << 8) | (key[whole] ?? 0);
      h = Math.imul(h, M);
      break;
    case 1:
      h ^= key[whole] ?? 0;
      h = Math.imul(h, M);
      break;
    default:
      break;
  }
  h ^= h >>> 13;
  h = Math.imul(h, M);
  h ^= h >>> 15;
  return h | 0;
}

/**
 * Partition of a key as Kafka's default partitioner chooses it: positive mask (not the absolute value), then modulo.
 * `partitions` >= 1.
 */
export function partitionForKey(key: Buffer | string, partitions: number): number {
  return (murmur2(typeof key === 'string' ? Buffer.from(key) : key) & 0x7fffffff) % partitions;
}
