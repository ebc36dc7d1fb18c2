import type { ByteReader, ByteWriter } from '../byte-codec.ts';
import type { FirmHit } from './machine-types.ts';

/** Hits in their order; times as distances to the hit before. */
export function writeFirmHits(writer: ByteWriter, hits: readonly FirmHit[]): void {
  writer.integer(hits.length);
  let beforeMs = 0;
  for (const hit of hits) {
    writer.integer(hit.timeMs - beforeMs);
    beforeMs = hit.timeMs;
    writer.text(hit.id);
    writer.integer(hit.step);
    writer.optionalText(hit.value);
    writeNumber(writer, hit.number);
    writer.integer(hit.source);
    writer.integer(hit.sourceOffset);
    writer.integer(hit.matchesOffset);
    writer.optionalText(hit.instance);
    writer.optionalInteger(hit.sequence);
  }
}

export function readFirmHits(reader: ByteReader): FirmHit[] {
  let beforeMs = 0;
  return reader.list(() => {
    beforeMs += reader.integer();
    return {
      timeMs: beforeMs,
      id: reader.text(),
      step: reader.integer(),
      value: reader.optionalText(),
      number: readNumber(reader),
      source: reader.integer(),
      sourceOffset: reader.integer(),
      matchesOffset: reader.integer(),
      instance: reader.optionalText(),
      sequence: reader.optionalInteger(),
    };
  });
}

export function writeNumber(writer: ByteWriter, value: number | null): void {
  writer.byte(value === null ? 0 : 1);
  if (value !== null) writer.float(value);
}

export function readNumber(reader: ByteReader): number | null {
  return reader.byte() === 0 ? null : reader.float();
}

/** Times that may be infinite. */
export function writeTime(writer: ByteWriter, timeMs: number): void {
  writer.optionalInteger(Number.isFinite(timeMs) ? timeMs : null);
}

export function readTime(reader: ByteReader, otherwise: number): number {
  return reader.optionalInteger() ?? otherwise;
}
