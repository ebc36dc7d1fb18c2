import { createMatchStage } from '@tracehound/detect';
import { loadRuleSet } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { createEventStream } from './event-stream.ts';
import { createLineBlocks } from './line-blocks.ts';

const RULE = `title: Any
logsource: {product: x}
detection: {k: [evil], s: {a.b|contains: x}, condition: k or s}
`;
const match = createMatchStage(loadRuleSet([{ path: 'r.yml', content: RULE }]));

type Read = { readonly ids: string[]; readonly invalid: string[] };

function read(bytes: Buffer, sizes: () => number, lineBytesMax = 4_096): Read {
  const found: Read = { ids: [], invalid: [] };
  const stream = createEventStream({
    lineBytesMax,
    onEvent: (event) => {
      match(event);
      found.ids.push(event.id);
    },
    onInvalid: (line, reason) => found.invalid.push(`${line} ${reason}`),
  });
  for (let at = 0; at < bytes.length; ) {
    const size = Math.max(1, sizes());
    stream.push(bytes.subarray(at, at + size));
    at += size;
  }
  stream.end();
  return found;
}

/** Numbers from 0 to below `limit`; xorshift, seeded, so that a failure can be run again. */
function randomOf(seed: number): (limit: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

describe('createEventStream', () => {
  it('names lines that are no events, and counts on', () => {
    const text = '\ufeff{"id":"a"}\r\n\n  \nnope\n[1]\n"x"\n{"id":"b"}\n{"id":';
    expect(read(Buffer.from(text), () => 1_000)).toEqual({
      ids: ['a', 'b'],
      invalid: ['4 not valid JSON', '5 not a JSON object', '6 not a JSON object', '8 not valid JSON'],
    });
  });

  it('skips a line beyond the limit at its place, however the bytes come', () => {
    const bytes = Buffer.from(`{"id":"a"}\n{"id":"${'x'.repeat(5_000)}"}\n{"id":"b"}\n${'y'.repeat(9_000)}`);
    const expected = { ids: ['a', 'b'], invalid: ['2 longer than 4096 bytes', '4 longer than 4096 bytes'] };
    for (const size of [1, 7, 100, 4_096, 100_000]) expect(read(bytes, () => size)).toEqual(expected);
  });

  it('keeps the digits of numbers that a double cannot hold', () => {
    const values: unknown[] = [];
    const stream = createEventStream({
      onEvent: ({ view }) => values.push(view.values('n')?.[0], view.values('m')?.[0]),
      onInvalid: () => {},
    });
    stream.push(Buffer.from('{"n":12345678901234567890,"m":1234567890123456}\n'));
    expect(values).toEqual(['12345678901234567890', 1_234_567_890_123_456]);
  });

  it('survives nesting without end', () => {
    const deep = (open: string, close: string): string => `${open.repeat(50_000)}1${close.repeat(50_000)}`;
    const lines = [
      `{"a":${deep('[', ']')}}`,
      `{"a":${deep('{"a":', '}')}}`,
      `{"n":9999999999999999999,"a":${deep('[', ']')}}`,
      `{"event_type":"auth.logout","source":{"platform":"x"},"payload":{"p":${deep('[', ']')}}}`,
      `{"id":"after"}`,
    ];
    const found = read(Buffer.from(lines.join('\n')), () => 65_536, 10_000_000);
    expect(found.ids.at(-1)).toBe('after');
    expect(found.ids.length + found.invalid.length).toBe(lines.length);
  });

  it('takes any bytes in any pieces, and finds the same in all', () => {
    const shapes = [
      '{"id":"x","a":{"b":"x"}}',
      '{"a":[{"b":null},{"b":"\\ud800"}]}',
      '{"evil":"\u00e9vil"}',
      '[]',
      'null',
      '',
    ];
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomOf(seed);
      const parts = Array.from({ length: 1 + random(12) }, () => {
        const bytes = Buffer.from(shapes[random(shapes.length)] as string);
        // Some bytes turn into others, among them halves of UTF-8 characters; some lines end early.
        for (let n = random(4); n > 0 && bytes.length > 0; n--) bytes[random(bytes.length)] = random(256);
        return Buffer.concat([bytes.subarray(0, bytes.length - random(2)), Buffer.from('\n')]);
      });
      const bytes = Buffer.concat(parts);
      const whole = read(bytes, () => bytes.length);
      expect([seed, read(bytes, () => 1 + random(9))]).toEqual([seed, whole]);
    }
  });
});

describe('createLineBlocks', () => {
  it('gives every byte in whole lines, but what is beyond the limit of a line', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = randomOf(seed);
      const text = Array.from({ length: 1 + random(30) }, () => 'a'.repeat(random(20))).join('\n');
      const blocks = createLineBlocks(100);
      const found: Buffer[] = [];
      for (let at = 0; at < text.length; ) {
        const size = 1 + random(17);
        const block = blocks.push(Buffer.from(text.slice(at, at + size)));
        if (block) found.push(Buffer.from(block));
        at += size;
      }
      for (const block of found) expect(block.at(-1)).toBe(10);
      found.push(Buffer.from(blocks.end() ?? []));
      expect(Buffer.concat(found).toString()).toBe(text);
    }
  });

  it('cuts a line that is too long to one byte too many', () => {
    const blocks = createLineBlocks(10);
    for (let n = 0; n < 100; n++) expect(blocks.push(Buffer.from('x'.repeat(7)))).toBeNull();
    expect(Buffer.from(blocks.push(Buffer.from('x\ny')) ?? []).toString()).toBe(`${'x'.repeat(11)}\n`);
    expect(Buffer.from(blocks.end() ?? []).toString()).toBe('y');
  });
});
