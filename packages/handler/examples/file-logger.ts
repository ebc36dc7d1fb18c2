/**
 * Every alert and finding as one line of JSON in a file, for a log shipper or a SIEM that tails files.
 *
 *   FILE_LOGGER_PATH=/var/log/tracehound/alerts.ndjson tracehound handler run packages/handler/examples/file-logger.ts
 *
 * Lines are on disk (fsync) before their offsets are committed, so a crash loses none. A line that was cut by one is removed at
 * the next start, and records whose lines are already there are passed over: they are known by their place in the log. With
 * several processes give each a file of its own. At FILE_LOGGER_BYTES_MAX (default 256 MiB) the file becomes `<path>.1`.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { defineHandler } from '@tracehound/handler';

/** As much of the end of the file as is read at the start: the last batches, many times over. */
const TAIL_BYTES = 8 * 2 ** 20;
const BYTES_MAX_DEFAULT = 256 * 2 ** 20;

let path = '';
let bytesMax = BYTES_MAX_DEFAULT;
let file = -1;
let size = 0;
let lines: string[] = [];
/** Last offset on disk per partition, from the end of the file. */
const written = new Map<string, bigint>();

export default defineHandler({
  name: 'file-logger',
  topics: ['security.alerts', 'security.findings'],

  open({ env }) {
    path = env['FILE_LOGGER_PATH'] ?? '';
    if (path === '') throw new Error('set FILE_LOGGER_PATH to the file to write');
    bytesMax = Number(env['FILE_LOGGER_BYTES_MAX'] ?? BYTES_MAX_DEFAULT);
    openFile();
  },

  handle({ topic, partition, offset, appendTimeMs, name, value, idempotencyKey }) {
    const place = `${topic}/${partition}`;
    if ((written.get(place) ?? -1n) >= offset) return;
    const at = new Date(appendTimeMs).toISOString();
    const line = {
      at,
      place,
      offset: String(offset),
      key: idempotencyKey,
      type: name.split('.').at(-1),
      record: value,
    };
    lines.push(JSON.stringify(line));
  },

  settle() {
    if (lines.length === 0) return;
    const text = Buffer.from(`${lines.join('\n')}\n`);
    for (let from = 0; from < text.length; ) from += writeSync(file, text, from);
    fsyncSync(file);
    remember(lines);
    lines = [];
    size += text.length;
    if (size >= bytesMax) rotate();
  },

  close() {
    closeSync(file);
  },
});

function openFile(): void {
  file = openSync(path, existsSync(path) ? 'r+' : 'w+');
  size = fstatSync(file).size;
  const from = Math.max(0, size - TAIL_BYTES);
  const tail = Buffer.alloc(size - from);
  readSync(file, tail, 0, tail.length, from);
  const whole = tail.lastIndexOf(10) + 1;
  // What follows the last line feed was cut by a crash; its record comes again.
  size = from + whole;
  ftruncateSync(file, size);
  remember(
    tail
      .subarray(0, whole)
      .toString()
      .split('\n')
      .slice(from > 0 ? 1 : 0),
  );
  closeSync(file);
  file = openSync(path, 'a');
}

function remember(some: readonly string[]): void {
  for (const line of some) {
    if (line === '') continue;
    const { place, offset } = JSON.parse(line) as { readonly place: string; readonly offset: string };
    written.set(place, BigInt(offset));
  }
}

function rotate(): void {
  closeSync(file);
  renameSync(path, `${path}.1`);
  file = openSync(path, 'a');
  size = 0;
}
