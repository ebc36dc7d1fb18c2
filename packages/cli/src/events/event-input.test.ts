import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { EventInputError, openEvents } from './event-input.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracehound-input-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function read(bytes: Uint8Array): Promise<string> {
  const path = join(folder, 'events');
  writeFileSync(path, bytes);
  const input = await openEvents(path);
  const chunks: Buffer[] = [];
  for await (const chunk of input.chunks()) chunks.push(chunk);
  expect(input.bytesRead()).toBe(bytes.length);
  return Buffer.concat(chunks).toString();
}

const text = Array.from({ length: 20_000 }, (_, n) => `{"n":${n * 7_919}}`).join('\n');
const [one, two] = [Buffer.from(text.slice(0, 100_000)), Buffer.from(text.slice(100_000))];
const checked = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
/** A frame that decoders skip, RFC 8878 section 3.1.2. */
const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]);

describe('openEvents', () => {
  it.each([
    ['plain', Buffer.from(text)],
    ['gzip', gzipSync(text)],
    ['gzip of two members', Buffer.concat([gzipSync(one), gzipSync(two)])],
    ['zstd', zstdCompressSync(text)],
    ['zstd of many frames', Buffer.concat([zstdCompressSync(one, checked), skippable, zstdCompressSync(two)])],
    ['zstd that begins with a frame to skip', Buffer.concat([skippable, zstdCompressSync(text, checked)])],
  ])('reads %s whole', async (_, bytes) => expect((await read(bytes)) === text).toBe(true));

  it('reads what is empty or shorter than a magic number', async () => {
    expect(await read(Buffer.alloc(0))).toBe('');
    expect(await read(Buffer.from('{}'))).toBe('{}');
  });

  it.each([
    ['gzip', gzipSync(text).subarray(0, 5_000)],
    ['zstd', zstdCompressSync(text).subarray(0, 5_000)],
    ['zstd after a whole frame', Buffer.concat([zstdCompressSync(one), Buffer.from([0x28, 0xb5])])],
    ['zstd with rubbish behind', Buffer.concat([zstdCompressSync(one), Buffer.from('rubbish')])],
  ])('says when %s ends early', async (_, bytes) => {
    await expect(read(bytes)).rejects.toThrow(EventInputError);
  });

  it('names a file that is not there, and a folder', async () => {
    await expect(openEvents(join(folder, 'none'))).rejects.toThrow(/cannot be read: ENOENT/);
    await expect(openEvents(folder)).rejects.toThrow(/is a folder/);
  });
});
