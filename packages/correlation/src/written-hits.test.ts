import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteWriter } from './byte-codec.ts';
import { compareHits, type Hit } from './hit.ts';
import { writeHits } from './hit-codec.ts';
import { STATE_VERSION } from './state-version.ts';
import { WrittenHits } from './written-hits.ts';

const INSTANCE = '0190a6b2-7c3d-7e4f-8a1b-0c2d3e4f5a6b';

/** Few times, values and instances, so that hits share them with their neighbours. */
const hits: fc.Arbitrary<Hit> = fc.record({
  timeMs: fc.nat(40).map((step) => step * 70),
  id: fc.oneof(
    fc.uuid(),
    fc.nat(9).map((n) => `event-${n}`),
  ),
  step: fc.nat(2),
  value: fc.option(fc.constantFrom('a', 'b', 'é')),
  number: fc.option(fc.double({ noNaN: true })),
  source: fc.nat(2),
  sourceOffset: fc.nat(100_000),
  matchesOffset: fc.nat(100_000),
  instance: fc.option(fc.constantFrom(INSTANCE, 'host-1')),
  sequence: fc.option(fc.nat(1000)),
});

/** What a flush later has changed: some are gone, from the front or anywhere, and others have come anywhere or at the end. */
const changes = fc.record({
  prunes: fc.nat(30),
  gone: fc.array(fc.nat(200), { maxLength: 6 }),
  comes: fc.array(hits, { maxLength: 20 }),
  baseMs: fc.nat(3_000),
});

test('copies what has not changed, and writes what writeHits writes', () => {
  fc.assert(
    fc.property(fc.array(hits, { maxLength: 80 }), fc.array(changes, { maxLength: 8 }), (first, rest) => {
      const written = new WrittenHits();
      let list: Hit[] = [];
      for (const { prunes, gone, comes, baseMs } of [{ prunes: 0, gone: [], comes: first, baseMs: 0 }, ...rest]) {
        list = list.slice(prunes).filter((_, index) => !gone.includes(index));
        list = [...list, ...comes].sort(compareHits);
        const writer = new ByteWriter();
        writer.text('head');
        written.write(writer, list, baseMs);
        const expected = new ByteWriter();
        expected.text('head');
        writeHits(expected, list, baseMs, STATE_VERSION);
        expect(Buffer.compare(writer.finish(), expected.finish())).toBe(0);
      }
    }),
  );
});
