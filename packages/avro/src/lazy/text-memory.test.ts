import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TextMemory } from './text-memory.ts';

/** Few letters and equal lengths, so that texts meet in one place; bytes that are no UTF-8, and texts that are too long to keep. */
const bytes = fc.oneof(
  fc.array(fc.constantFrom(0x61, 0x62), { minLength: 12, maxLength: 12 }),
  fc.uint8Array({ maxLength: 6 }).map((found) => [...found]),
  fc
    .constantFrom('ä', '€', '😀', '\ufffd', 'a'.repeat(63), 'a'.repeat(64), 'a'.repeat(65))
    .map((text) => [...Buffer.from(text)]),
);

test('a text is that of its bytes, whatever came before', () => {
  fc.assert(
    fc.property(fc.array(bytes, { minLength: 40, maxLength: 60 }), fc.integer({ min: 0, max: 9 }), (texts, start) => {
      const memory = new TextMemory();
      for (const one of [...texts, ...texts]) {
        const buffer = Buffer.concat([Buffer.alloc(start, 0x61), Buffer.from(one), Buffer.from('behind')]);
        expect(memory.text(buffer, start, one.length)).toBe(Buffer.from(one).toString('utf8'));
      }
    }),
    { numRuns: 60 },
  );
});
