import { PassThrough, Readable } from 'node:stream';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readBody } from './request-body.ts';

const bounds = { bodyBytesMax: 10_000, plainBytesMax: 1_000_000, ratioMax: 100, timeoutMs: 5_000 };
const text = JSON.stringify({ words: 'some text '.repeat(50) });

describe('readBody', () => {
  test.each([
    ['plain', undefined, Buffer.from(text)],
    ['identity', 'identity', Buffer.from(text)],
    ['gzip', 'gzip', gzipSync(text)],
    ['br', 'br', brotliCompressSync(text)],
    ['zstd', 'ZSTD', zstdCompressSync(text)],
  ])('%s', async (_name, encoding, bytes) => {
    const answer = await readBody(Readable.from([bytes.subarray(0, 5), bytes.subarray(5)]), encoding, bounds);
    expect(answer).toMatchObject({ ok: true, value: { wireBytes: bytes.length } });
    expect(answer.ok && answer.value.plain.toString()).toBe(text);
  });

  test.each([
    ['an unknown encoding', 'deflate64', Buffer.from(text), 'unsupported_encoding'],
    ['two encodings', 'gzip, br', gzipSync(text), 'unsupported_encoding'],
    ['bytes that are not gzip', 'gzip', Buffer.from(text), 'corrupt_encoding'],
    ['gzip that ends early', 'gzip', gzipSync(text).subarray(0, 20), 'corrupt_encoding'],
    ['zstd that ends early', 'zstd', zstdCompressSync(text).subarray(0, 20), 'corrupt_encoding'],
    ['too many bytes', undefined, Buffer.alloc(10_001), 'body_too_large'],
    ['too many compressed bytes', 'gzip', Buffer.alloc(10_001, gzipSync(text)), 'body_too_large'],
    ['a bomb', 'gzip', gzipSync(Buffer.alloc(900_000)), 'compression_ratio'],
    ['a larger bomb', 'zstd', zstdCompressSync(Buffer.alloc(50_000_000)), 'compression_ratio'],
    ['a bomb within the ratio', 'gzip', gzipSync(Buffer.alloc(5_000_000)), 'body_too_large', 10_000],
  ])('refuses %s', async (_name, encoding, bytes, reason, ratioMax = 100) => {
    expect(await readBody(Readable.from([bytes]), encoding, { ...bounds, ratioMax })).toMatchObject({
      ok: false,
      reason,
    });
  });

  test('a body that does not arrive is given up', async () => {
    const body = new PassThrough();
    body.write('{');
    expect(await readBody(body, undefined, { ...bounds, timeoutMs: 20 })).toMatchObject({ reason: 'body_aborted' });
  });

  test('a connection that breaks is no body', async () => {
    const body = new PassThrough();
    const answer = readBody(body, undefined, bounds);
    body.write('{');
    body.destroy();
    expect(await answer).toMatchObject({ ok: false, reason: 'body_aborted' });
  });
});
