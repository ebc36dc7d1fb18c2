import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import { type Admission, refuse } from '../domain/intake-request.ts';

export type BodyBounds = {
  readonly bodyBytesMax: number;
  readonly plainBytesMax: number;
  readonly ratioMax: number;
  readonly timeoutMs: number;
};

export type BodyBytes = { readonly plain: Buffer; readonly wireBytes: number };

/** Small bodies compress extremely well without being bombs: the ratio counts above this (64 KiB). */
const RATIO_FREE_BYTES = 65_536;

/**
 * Reads a body to its end, decompressing as it arrives, and stops at the first bound that breaks, so that a bomb costs
 * no more memory than the bound. Never rejects: trouble with a body is the sender's.
 */
export async function readBody(
  body: Readable,
  encoding: string | undefined,
  bounds: BodyBounds,
): Promise<Admission<BodyBytes>> {
  const decompress = decompressorOf(encoding);
  if (decompress === null) return refuse('unsupported_encoding', { field: 'content-encoding' });
  const chunks: Buffer[] = [];
  let wireBytes = 0;
  let plainBytes = 0;
  let broken: Admission<never> | null = null;

  return new Promise((resolve) => {
    const timer = setTimeout(
      () => end(refuse('body_aborted', { detail: 'the body took too long to arrive' })),
      bounds.timeoutMs,
    );

    function end(answer: Admission<BodyBytes>): void {
      if (broken) return;
      clearTimeout(timer);
      if (!answer.ok) {
        broken = answer;
        body.unpipe();
        decompress?.destroy();
        body.resume();
      }
      resolve(answer);
    }

    function keep(chunk: Buffer): void {
      if (broken) return;
      plainBytes += chunk.length;
      if (plainBytes > bounds.plainBytesMax) {
        end(
          refuse('body_too_large', { detail: `at most ${bounds.plainBytesMax} bytes are allowed after decompression` }),
        );
      } else if (decompress && plainBytes > Math.max(RATIO_FREE_BYTES, wireBytes * bounds.ratioMax)) {
        end(refuse('compression_ratio'));
      } else {
        chunks.push(chunk);
      }
    }

    const finish = (): void => end({ ok: true, value: { plain: Buffer.concat(chunks, plainBytes), wireBytes } });

    body.on('data', (chunk: Buffer) => {
      wireBytes += chunk.length;
      if (broken) return;
      if (wireBytes > bounds.bodyBytesMax) {
        end(refuse('body_too_large', { detail: `at most ${bounds.bodyBytesMax} bytes are allowed` }));
      } else if (!decompress) {
        keep(chunk);
      }
    });
    body.on('error', () => end(refuse('body_aborted')));
    body.on('close', () => {
      if (!body.readableEnded) end(refuse('body_aborted'));
    });
    if (decompress) {
      decompress.on('data', keep);
      decompress.on('end', finish);
      decompress.on('error', () => end(refuse('corrupt_encoding', { field: 'content-encoding' })));
      body.pipe(decompress);
    } else {
      body.on('end', finish);
    }
  });
}

/** Undefined: the body is plain. Null: an encoding we do not take, or several of them. */
function decompressorOf(encoding: string | undefined): ReturnType<typeof createGunzip> | undefined | null {
  switch (encoding?.trim().toLowerCase() ?? 'identity') {
    case 'identity':
    case '':
      return undefined;
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'br':
      return createBrotliDecompress();
    case 'zstd':
      return createZstdDecompress();
    default:
      return null;
  }
}
