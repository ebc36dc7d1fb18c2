import { randomBytes } from 'node:crypto';

const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;
/** 2020-01-01: before it nobody made UUIDv7, so an earlier time is chance. A constant, so that all copies agree (X2). */
const PLAUSIBLE_FROM_MS = 1_577_836_800_000;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** Milliseconds inside a UUIDv7 (RFC 9562, section 5.7); null for other versions and times that are chance. */
export function uuidTimeMs(eventId: string): number | null {
  if (eventId[14] !== '7') return null;
  const ms = Number.parseInt(eventId.slice(0, 8) + eventId.slice(9, 13), 16);
  return ms >= PLAUSIBLE_FROM_MS ? ms : null;
}

/** A UUIDv7 for an event that came without an id. Its sender cannot repeat it safely, which the README says. */
export function newEventId(nowMs: number, random: Buffer = randomBytes(10)): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Math.trunc(nowMs), 0, 6);
  random.copy(bytes, 6, 0, 10);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
