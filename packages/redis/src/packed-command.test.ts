import { Command } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { packWords, type Word } from './packed-command.ts';

/** What ioredis writes of the same words. */
function asIoredis(words: readonly Word[]): Buffer {
  const [name, ...args] = words;
  const command = new Command(String(name), args);
  command['stringifyArguments']();
  const written = command.toWritable(null as never);
  return Buffer.isBuffer(written) ? written : Buffer.from(written);
}

describe('packWords', () => {
  test.each([
    ['a name alone', ['PING']],
    ['texts, numbers and an empty text', ['FCALL', 'f', 2, '{k}', '', 0, 10, 99, 100, -1, 12_345_678]],
    ['bytes, none among them', ['FCALL', Buffer.of(0, 13, 10, 255), Buffer.alloc(0), Buffer.alloc(1_000, 7)]],
    ['text beyond ASCII', ['FCALL', 'Grüße', '日本語', '😀', '\ud800']],
    ['more words than the stack has room for', ['FCALL', ...Array.from({ length: 200_000 }, (_, index) => index)]],
  ] as [string, Word[]][])('%s: the bytes of ioredis', (_, words) => {
    expect(packWords(words).equals(asIoredis(words))).toBe(true);
  });
});
