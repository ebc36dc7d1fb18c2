import { constants, createReadStream } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { pipeline, Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { UsageError } from '../usage-error.ts';
import { createZstdFrames } from './zstd-frames.ts';

/** Bytes of one read; 1 MiB is some 3,000 events, so the cost of a read does not count. */
const READ_BYTES = 1_048_576;

/** An open file of events, or standard input. */
export type EventInput = {
  readonly name: string;
  /** As the file has them, packed or not; null where there is no size to know (a pipe). */
  readonly bytesTotal: number | null;
  /** How many of these have been read. */
  bytesRead(): number;
  /** Unpacked, in order. @throws EventInputError when the packed data is broken or ends early. */
  chunks(): AsyncIterable<Buffer>;
  /** Ends the reading now, also while it waits for bytes that do not come. */
  stop(): void;
};

/** Packed data that cannot be unpacked; what came before it was delivered. */
export class EventInputError extends Error {
  constructor(name: string, cause: unknown) {
    super(`${name} cannot be read to its end: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'EventInputError';
  }
}

/**
 * Opens `path`, or standard input for `-`. gzip and zstd are known by their first bytes (RFC 1952 section 2.3.1, RFC
 * 8878 section 3.1.1), so that a name does not have to be right and a pipe may be packed too.
 * @throws UsageError when the file is not there or not a file.
 */
export async function openEvents(path: string): Promise<EventInput> {
  const bytesTotal = path === '-' ? null : await sizeOf(path);
  const source: Readable = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: READ_BYTES });
  const name = path === '-' ? 'standard input' : path;
  let bytesRead = 0;
  let isStopped = false;
  return {
    name,
    bytesTotal,
    bytesRead: () => bytesRead,
    chunks: () =>
      unpacked(
        name,
        counted(source, {
          count: (bytes) => {
            bytesRead += bytes;
          },
          isStopped: () => isStopped,
        }),
      ),
    stop: () => {
      isStopped = true;
      source.destroy();
    },
  };
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    await access(path, constants.R_OK);
    const found = await stat(path);
    if (found.isDirectory()) throw new UsageError(`${path} is a folder: name a file with one JSON object per line`);
    return found.isFile() ? found.size : null;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}

async function* counted(
  source: Readable,
  { count, isStopped }: { count(bytes: number): void; isStopped(): boolean },
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of source) {
      const bytes: Buffer = chunk;
      count(bytes.length);
      yield bytes;
    }
  } catch (error) {
    // A source that was ended on purpose says it was closed too early.
    if (!isStopped()) throw error;
  }
}

async function* unpacked(name: string, source: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const head = await firstBytes(source, 4);
  const all = prefixed(head, source);
  const form = formOf(head);
  if (form === 'plain') {
    yield* all;
    return;
  }
  try {
    yield* form === 'gzip' ? through(all, createGunzip({ chunkSize: READ_BYTES })) : unpackZstd(all);
  } catch (error) {
    throw new EventInputError(name, error);
  }
}

/** Enough bytes to know the form by; fewer only when there are no more. */
async function firstBytes(source: AsyncGenerator<Buffer>, count: number): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < count) {
    const { done, value } = await source.next();
    if (done === true) break;
    head = head.length === 0 ? value : Buffer.concat([head, value]);
  }
  return head;
}

async function* prefixed(head: Buffer, rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  yield* rest;
}

function formOf(head: Buffer): 'plain' | 'gzip' | 'zstd' {
  if (head.length >= 2 && head.readUInt16BE(0) === 0x1f8b) return 'gzip';
  if (head.length >= 4 && (head.readUInt32LE(0) === 0xfd2fb528 || head.readUInt32LE(0) >>> 4 === 0x184d2a5))
    return 'zstd';
  return 'plain';
}

async function* through(source: AsyncIterable<Buffer>, unpack: Transform): AsyncGenerator<Buffer> {
  // The error reaches the loop below, because `pipeline` destroys what it leads to.
  pipeline(Readable.from(source), unpack, () => {});
  for await (const chunk of unpack) yield chunk;
}

async function* unpackZstd(source: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const frames = createZstdFrames();
  let waiting: { readonly bytes: Buffer; readonly ends: boolean }[] = [];
  async function* oneFrame(): AsyncGenerator<Buffer> {
    for (;;) {
      const piece = waiting.shift();
      if (piece) {
        yield piece.bytes;
        if (piece.ends) return;
        continue;
      }
      const { done, value } = await source.next();
      if (done === true) {
        if (!frames.isComplete) throw new RangeError('unexpected end of file');
        return;
      }
      waiting = [...frames.feed(value)];
    }
  }
  for (;;) {
    const frame = oneFrame();
    const first = await frame.next();
    if (first.done === true) return;
    yield* through(prefixed(first.value, frame), createZstdDecompress({ chunkSize: READ_BYTES }));
  }
}
