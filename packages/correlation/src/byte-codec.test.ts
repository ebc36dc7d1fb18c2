import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteReader, ByteWriter } from './byte-codec.ts';

const UUID = '0190a6b2-7c3d-7e4f-8a1b-0c2d3e4f5a6b';

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter(1);
  write(writer);
  return Buffer.from(writer.finish());
}

describe('ByteWriter', () => {
  test('a text is its length and its UTF-8, however it was written', () => {
    const lengths = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.string({ maxLength: 60 }));
    fc.assert(
      fc.property(lengths, (text) => {
        const plain = Buffer.from(text);
        const bytes = written((writer) => writer.text(text));
        const length = written((writer) => writer.integer(plain.length));
        expect(bytes).toEqual(Buffer.concat([length, plain]));
        expect(new ByteReader(bytes).text()).toBe(text);
      }),
    );
  });

  test('a UUID takes 16 bytes', () => {
    const bytes = written((writer) => expect(writer.uuid(UUID)).toBe(true));
    expect(bytes.toString('hex')).toBe(UUID.replaceAll('-', ''));
    expect(new ByteReader(bytes).uuid()).toBe(UUID);
  });

  test('no other text of its length is one, and nothing is written of it', () => {
    for (let index = 0; index < UUID.length; index++) {
      for (const other of ['A', 'g', '/', ':', '`', ' ', '-', '1', 'é', '\u0130', '\uff10']) {
        const text = UUID.slice(0, index) + other + UUID.slice(index + 1);
        const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
        const bytes = written((writer) => expect(writer.uuid(text)).toBe(isUuid));
        expect(bytes.length).toBe(isUuid ? 16 : 0);
      }
    }
  });
});
