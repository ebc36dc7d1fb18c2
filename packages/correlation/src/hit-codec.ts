import type { ByteReader, ByteWriter } from './byte-codec.ts';
import type { Hit } from './hit.ts';
import { STATE_VERSION_BEFORE, type StateVersion } from './state-version.ts';

/** Bits of the byte that says which parts of a hit follow. */
const UUID = 1;
const VALUE = 2;
/** Followed by a text, or by 16 bytes with `INSTANCE_UUID`; `INSTANCE_UUID` without it: that of the hit before. */
const INSTANCE = 4;
const SEQUENCE = 8;
const NUMBER = 16;
const STEP = 32;
const INSTANCE_UUID = 64;
const SOURCE = 128;

/** The hit before, which the next is written against. One object for a whole list: hits are written too often for one each. */
export class Before {
  timeMs: number;
  sourceOffset = 0;
  matchesOffset = 0;
  instance: string | null = null;
  sequence = 0;
  private readonly isOnlyTime: boolean;

  constructor(baseMs: number, version: StateVersion) {
    this.timeMs = baseMs;
    this.isOnlyTime = version === STATE_VERSION_BEFORE;
  }

  follow(hit: Hit): void {
    this.timeMs = hit.timeMs;
    if (this.isOnlyTime) return;
    this.sourceOffset = hit.sourceOffset;
    this.matchesOffset = hit.matchesOffset;
    this.instance = hit.instance;
    this.sequence = hit.sequence ?? 0;
  }
}

/**
 * Times, offsets and sequence numbers are written as distances to the hit before, times to the base first; a source instance only
 * where it changes; UUIDs as 16 bytes; what is absent not at all. In version 2 nothing but the time refers to the hit before.
 */
export function writeHits(writer: ByteWriter, hits: readonly Hit[], baseMs: number, version: StateVersion): void {
  writer.integer(hits.length);
  const before = new Before(baseMs, version);
  for (const hit of hits) {
    writeHit(writer, hit, before);
    before.follow(hit);
  }
}

/** Appends bytes that depend on nothing but the hit and the one before it. */
export function writeHit(writer: ByteWriter, hit: Hit, before: Before): void {
  const at = writer.size;
  const isSameInstance = hit.instance !== null && hit.instance === before.instance;
  writer.byte(0);
  let parts =
    (hit.value === null ? 0 : VALUE) |
    (hit.instance === null ? 0 : isSameInstance ? INSTANCE_UUID : INSTANCE) |
    (hit.sequence === null ? 0 : SEQUENCE) |
    (hit.number === null ? 0 : NUMBER) |
    (hit.step === 0 ? 0 : STEP) |
    (hit.source === 0 ? 0 : SOURCE);
  writer.integer(hit.timeMs - before.timeMs);
  if (writer.uuid(hit.id)) parts |= UUID;
  else writer.text(hit.id);
  if (hit.step !== 0) writer.integer(hit.step);
  if (hit.value !== null) writer.text(hit.value);
  if (hit.number !== null) writer.float(hit.number);
  if (hit.source !== 0) writer.integer(hit.source);
  writer.integer(hit.sourceOffset - before.sourceOffset);
  writer.integer(hit.matchesOffset - before.matchesOffset);
  if (hit.instance !== null && !isSameInstance) {
    if (writer.uuid(hit.instance)) parts |= INSTANCE_UUID;
    else writer.text(hit.instance);
  }
  if (hit.sequence !== null) writer.integer(hit.sequence - (isSameInstance ? before.sequence : 0));
  writer.patch(at, parts);
}

/** @see writeHits */
export function readHits(reader: ByteReader, baseMs: number, version: StateVersion): Hit[] {
  const length = reader.count();
  const hits: Hit[] = [];
  const before = new Before(baseMs, version);
  for (let index = 0; index < length; index++) {
    const hit = readHit(reader, before);
    before.follow(hit);
    hits.push(hit);
  }
  return hits;
}

function readHit(reader: ByteReader, before: Before): Hit {
  const parts = reader.byte();
  const timeMs = before.timeMs + reader.integer();
  const id = parts & UUID ? reader.uuid() : reader.text();
  const step = parts & STEP ? reader.integer() : 0;
  const value = parts & VALUE ? reader.text() : null;
  const number = parts & NUMBER ? reader.float() : null;
  const source = parts & SOURCE ? reader.integer() : 0;
  const sourceOffset = before.sourceOffset + reader.integer();
  const matchesOffset = before.matchesOffset + reader.integer();
  const isSameInstance = (parts & (INSTANCE | INSTANCE_UUID)) === INSTANCE_UUID;
  const instance = isSameInstance ? before.instance : readInstance(reader, parts);
  const sequence = parts & SEQUENCE ? reader.integer() + (isSameInstance ? before.sequence : 0) : null;
  return { timeMs, id, step, value, number, source, sourceOffset, matchesOffset, instance, sequence };
}

function readInstance(reader: ByteReader, parts: number): string | null {
  if ((parts & INSTANCE) === 0) return null;
  return parts & INSTANCE_UUID ? reader.uuid() : reader.text();
}
