import type { ByteReader, ByteWriter } from './byte-codec.ts';
import type { Hit } from './hit.ts';

/** Bits of the byte that says which parts of a hit follow. */
const UUID = 1;
const VALUE = 2;
const INSTANCE = 4;
const SEQUENCE = 8;
const NUMBER = 16;
const STEP = 32;
const INSTANCE_UUID = 64;
const SOURCE = 128;

/** Times are written as distances, to the base, then to the hit before; UUIDs as 16 bytes; what is absent not at all. */
export function writeHits(writer: ByteWriter, hits: readonly Hit[], baseMs: number): void {
  writer.integer(hits.length);
  let beforeMs = baseMs;
  for (const hit of hits) {
    writeHit(writer, hit, beforeMs);
    beforeMs = hit.timeMs;
  }
}

function writeHit(writer: ByteWriter, hit: Hit, beforeMs: number): void {
  const at = writer.size;
  writer.byte(0);
  let parts =
    (hit.value === null ? 0 : VALUE) |
    (hit.instance === null ? 0 : INSTANCE) |
    (hit.sequence === null ? 0 : SEQUENCE) |
    (hit.number === null ? 0 : NUMBER) |
    (hit.step === 0 ? 0 : STEP) |
    (hit.source === 0 ? 0 : SOURCE);
  writer.integer(hit.timeMs - beforeMs);
  if (writer.uuid(hit.id)) parts |= UUID;
  else writer.text(hit.id);
  if (hit.step !== 0) writer.integer(hit.step);
  if (hit.value !== null) writer.text(hit.value);
  if (hit.number !== null) writer.float(hit.number);
  if (hit.source !== 0) writer.integer(hit.source);
  writer.integer(hit.sourceOffset);
  writer.integer(hit.matchesOffset);
  if (hit.instance !== null) {
    if (writer.uuid(hit.instance)) parts |= INSTANCE_UUID;
    else writer.text(hit.instance);
  }
  if (hit.sequence !== null) writer.integer(hit.sequence);
  writer.patch(at, parts);
}

/** @see writeHits */
export function readHits(reader: ByteReader, baseMs: number): Hit[] {
  const length = reader.count();
  const hits: Hit[] = [];
  let beforeMs = baseMs;
  for (let index = 0; index < length; index++) {
    const hit = readHit(reader, beforeMs);
    beforeMs = hit.timeMs;
    hits.push(hit);
  }
  return hits;
}

function readHit(reader: ByteReader, beforeMs: number): Hit {
  const parts = reader.byte();
  const timeMs = beforeMs + reader.integer();
  const id = parts & UUID ? reader.uuid() : reader.text();
  const step = parts & STEP ? reader.integer() : 0;
  const value = parts & VALUE ? reader.text() : null;
  const number = parts & NUMBER ? reader.float() : null;
  const source = parts & SOURCE ? reader.integer() : 0;
  const sourceOffset = reader.integer();
  const matchesOffset = reader.integer();
  const instance = parts & INSTANCE ? (parts & INSTANCE_UUID ? reader.uuid() : reader.text()) : null;
  const sequence = parts & SEQUENCE ? reader.integer() : null;
  return { timeMs, id, step, value, number, source, sourceOffset, matchesOffset, instance, sequence };
}

/** A hit as version 1 wrote it. */
export function readHitsV1(reader: ByteReader, baseMs: number): Hit[] {
  let beforeMs = baseMs;
  return reader.list(() => {
    beforeMs += reader.integer();
    return {
      timeMs: beforeMs,
      id: reader.text(),
      step: reader.integer(),
      value: reader.optionalText(),
      number: null,
      source: reader.integer(),
      sourceOffset: reader.integer(),
      matchesOffset: reader.integer(),
      instance: reader.optionalText(),
      sequence: reader.optionalInteger(),
    };
  });
}
