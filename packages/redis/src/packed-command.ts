import { Command, type Redis } from 'ioredis';

/** A word of a command; texts go as UTF-8, numbers in decimal. */
export type Word = string | Buffer | number;

/** Sign, up to 17 digits, CR LF, and the CR LF behind a word. */
const HEAD_BYTES = 24;
const BULK = 36;
const ARRAY = 42;
const CR = 13;
const LF = 10;

/**
 * A command as it goes to the server: an array of bulk strings (RESP2), in one buffer. ioredis makes three pieces of every word
 * and joins them; a flush has thousands of words.
 */
export function packWords(words: readonly Word[]): Buffer {
  let bytesMax = HEAD_BYTES;
  for (const word of words) bytesMax += HEAD_BYTES + (Buffer.isBuffer(word) ? word.length : 3 * String(word).length);
  const packed = Buffer.allocUnsafe(bytesMax);
  let at = writeHead(packed, 0, ARRAY, words.length);
  for (const word of words) {
    at = Buffer.isBuffer(word) ? writeBytes(packed, at, word) : writeText(packed, at, String(word));
    packed[at++] = CR;
    packed[at++] = LF;
  }
  return packed.subarray(0, at);
}

function writeBytes(packed: Buffer, start: number, bytes: Buffer): number {
  const at = writeHead(packed, start, BULK, bytes.length);
  packed.set(bytes, at);
  return at + bytes.length;
}

function writeText(packed: Buffer, start: number, text: string): number {
  const length = Buffer.byteLength(text);
  const at = writeHead(packed, start, BULK, length);
  return at + packed.write(text, at, length === text.length ? 'latin1' : 'utf8');
}

function writeHead(packed: Buffer, start: number, sign: number, count: number): number {
  packed[start] = sign;
  let digits = 1;
  for (let rest = count; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  let rest = count;
  for (let place = start + digits; place > start; place--) {
    packed[place] = 48 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  packed[start + digits + 1] = CR;
  packed[start + digits + 2] = LF;
  return start + digits + 3;
}

class PackedCommand extends Command {
  private readonly packed: Buffer;

  constructor(name: string, packed: Buffer) {
    super(name, [], { replyEncoding: null });
    this.packed = packed;
  }

  override toWritable(): Buffer {
    return this.packed;
  }
}

/** Sends the words as they are, without a key prefix; the answer comes in buffers, as from `callBuffer`. */
export function sendPacked(redis: Redis, name: string, words: readonly Word[]): Promise<unknown> {
  return redis.sendCommand(new PackedCommand(name, packWords([name, ...words]))) as Promise<unknown>;
}
