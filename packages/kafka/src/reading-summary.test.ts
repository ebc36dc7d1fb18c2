import { describe, expect, it } from 'vitest';
import type { KafkaRefusal } from './port.ts';
import { readingSummary } from './reading-summary.ts';

const consumerWith = (held: number, refusals: readonly KafkaRefusal[]) => ({
  assignment: () => Array.from({ length: held }, (_, partition) => ({ topic: 't', partition })),
  refusals: () => refusals,
});
const CODE = 'SEC_KAFKA_UNAUTHORIZED';
const refused = (partition: number): KafkaRefusal => ({ partition: { topic: 't', partition }, code: CODE });

describe('readingSummary', () => {
  it('counts the partitions of all consumers', () => {
    expect(readingSummary([consumerWith(2, []), consumerWith(3, [])])).toBe('5 partitions are read');
  });

  it.each([
    ['a partition', [refused(1)], `t/1 may not be read (${CODE})`],
    ['several', [refused(1), refused(2), refused(3)], `t/1 may not be read (${CODE}), and 2 more`],
    ['the group', [{ partition: null, code: CODE }], `the consumer group may not be joined (${CODE})`],
  ] as const)('throws when %s is refused to any of them', (_, refusals, message) => {
    expect(() => readingSummary([consumerWith(2, []), consumerWith(0, refusals)])).toThrow(new Error(message));
  });
});
