import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createResultWriter } from './result-writer.ts';

const RESULT = {
  kind: 'detection',
  rule_id: 'r',
  rule_title: 't',
  level: 'low',
  author: null,
  at: '2026-01-01T00:00:00.000Z',
  group: null,
  event_ids: ['x'.repeat(1_000)],
  count: 1,
} as const;

describe('createResultWriter', () => {
  it('waits for a slow reader with one listener, however much is written before it reads', async () => {
    const taken: (() => void)[] = [];
    let bytes = 0;
    const slow = new Writable({
      highWaterMark: 10,
      write: (chunk: Buffer, _encoding, done) => {
        bytes += chunk.length;
        taken.push(done);
      },
    });
    const writer = createResultWriter(slow, 'ndjson');
    for (let index = 0; index < 2_000; index++) writer.add(RESULT);
    expect(slow.listenerCount('drain')).toBe(1);
    let flushed = false;
    const flush = writer.flush().then(() => {
      flushed = true;
    });
    await new Promise(setImmediate);
    expect(flushed).toBe(false);
    while (!flushed) {
      taken.shift()?.();
      await new Promise(setImmediate);
    }
    await flush;
    expect(bytes).toBe(2_000 * `${JSON.stringify(RESULT)}\n`.length);
    for (let index = 0; index < 200; index++) writer.add(RESULT);
    expect(slow.listenerCount('drain')).toBe(1);
  });
});
