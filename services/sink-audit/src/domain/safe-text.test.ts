import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PROJECTION_FLAGS } from './audit-row.ts';
import { INDEXED_TEXT_BYTES_MAX, indexedText, safeJson, safeText, safeTime } from './safe-text.ts';

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.constantFrom('\u0000', '\ud800', '\udc00', '\\', 'u0000', '\\ud800', 'ä', '😀', 'a'))
    .map((parts) => parts.join('')),
);

describe('safe text', () => {
  it('replaces NUL by its picture and lone surrogates by U+FFFD, and says so', () => {
    const notes = { flags: 0 };
    expect(safeText('a\u0000b', notes)).toBe('a␀b');
    expect(notes.flags).toBe(PROJECTION_FLAGS.nulReplaced);
    expect(safeText('a\ud800b', notes)).toBe('a\ufffdb');
    expect(notes.flags).toBe(PROJECTION_FLAGS.nulReplaced | PROJECTION_FLAGS.surrogateReplaced);
  });

  it('leaves other text alone', () => {
    const notes = { flags: 0 };
    expect(safeText('naïve 😀 \\u0000', notes)).toBe('naïve 😀 \\u0000');
    expect(notes.flags).toBe(0);
  });

  it('any text survives UTF-8 unchanged afterwards and holds no NUL', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const safe = safeText(text, { flags: 0 });
        expect(safe).not.toContain('\u0000');
        expect(Buffer.from(safe).toString()).toBe(safe);
      }),
    );
  });

  it('indexed text stays within its bytes, and different texts stay different', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 100, maxLength: 900 }), (text) => {
        const notes = { flags: 0 };
        const cut = indexedText(text, notes);
        expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(INDEXED_TEXT_BYTES_MAX);
        expect(cut.isWellFormed()).toBe(true);
        expect(cut === safeText(text, { flags: 0 })).toBe((notes.flags & PROJECTION_FLAGS.textCut) === 0);
        expect(indexedText(`${text}x`, { flags: 0 })).not.toBe(cut);
      }),
    );
  });

  it('does not split a character when it cuts', () => {
    for (let shift = 0; shift < 4; shift++) {
      const cut = indexedText('x'.repeat(shift) + '😀'.repeat(300), { flags: 0 });
      expect(cut).toMatch(/^x*(😀)+#[0-9a-f]{32}$/u);
    }
  });

  it('JSON text holds no escape that jsonb refuses, and equals the value where nothing had to change', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          anyText,
          fc.oneof(anyText, fc.array(anyText), fc.double({ noNaN: true, noDefaultInfinity: true })),
        ),
        (value) => {
          const notes = { flags: 0 };
          const text = safeJson(value, notes);
          const strings = JSON.stringify(value) === text;
          expect(strings).toBe(notes.flags === 0);
          expect(text.replaceAll('\\\\', '')).not.toMatch(/\\u0000|\\ud[89a-f]/);
        },
      ),
    );
  });

  it('moves instants that timestamptz cannot hold to the edge', () => {
    const notes = { flags: 0 };
    expect(safeTime(1_700_000_000_000, notes)).toBe(1_700_000_000_000);
    expect(notes.flags).toBe(0);
    expect(safeTime(Number.MAX_SAFE_INTEGER, notes)).toBe(8_640_000_000_000_000);
    expect(safeTime(Number.MIN_SAFE_INTEGER, { flags: 0 })).toBeGreaterThan(-210_866_803_200_000);
    expect(notes.flags).toBe(PROJECTION_FLAGS.timeClamped);
  });
});
