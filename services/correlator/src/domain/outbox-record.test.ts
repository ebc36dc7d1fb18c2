import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeOutboxRecord, encodeOutboxRecord } from './outbox-record.ts';

describe('outbox record', () => {
  it('X8 gives back lane, key and value byte for byte', () => {
    const records = fc.record({
      lane: fc.constantFrom('alerts' as const, 'late' as const),
      key: fc.string({ unit: 'grapheme', maxLength: 200 }),
      value: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    });
    fc.assert(
      fc.property(records, (record) => {
        expect(decodeOutboxRecord(encodeOutboxRecord(record))).toEqual(record);
      }),
    );
  });

  it('X8 refuses a version it does not know, an unknown lane and a cut entry', () => {
    const bytes = encodeOutboxRecord({ lane: 'alerts', key: 'acme|1', value: Buffer.from('v') });
    expect(() => decodeOutboxRecord(Buffer.from([2, ...bytes.subarray(1)]))).toThrow(/version/);
    expect(() => decodeOutboxRecord(Buffer.from([1, 9, ...bytes.subarray(2)]))).toThrow(/lane/);
    expect(() => decodeOutboxRecord(bytes.subarray(0, 6))).toThrow(/short/);
  });
});
