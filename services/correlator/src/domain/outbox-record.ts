import { invariant } from '@tracehound/event-model';
import type { OutboxRecord } from '../ports.ts';

/** Form of an outbox entry in the state store; readers accept this and the version before it (X8). */
const VERSION = 1;
const LANES = ['alerts', 'late', 'chain', 'shadow'] as const;

/**
 * `[version u8][lane u8][key length u16][key utf-8][value]`. The value is the framed Avro record as it will stand
 * on the topic, so a redeploy between flush and emit cannot change the bytes of an alert (E1).
 */
export function encodeOutboxRecord(record: OutboxRecord): Buffer {
  const key = Buffer.from(record.key, 'utf8');
  invariant(key.length <= 0xffff, 'an outbox key must fit in 16 bits of length');
  const head = Buffer.allocUnsafe(4);
  head.writeUInt8(VERSION, 0);
  head.writeUInt8(LANES.indexOf(record.lane), 1);
  head.writeUInt16BE(key.length, 2);
  return Buffer.concat([head, key, record.value]);
}

export function decodeOutboxRecord(bytes: Buffer): OutboxRecord {
  invariant(bytes.length >= 4 && bytes.readUInt8(0) === VERSION, 'an outbox entry has an unknown version');
  const lane = LANES[bytes.readUInt8(1)];
  invariant(lane !== undefined, 'an outbox entry names an unknown lane');
  const keyEnd = 4 + bytes.readUInt16BE(2);
  invariant(bytes.length >= keyEnd, 'an outbox entry is cut short');
  return { lane, key: bytes.toString('utf8', 4, keyEnd), value: bytes.subarray(keyEnd) };
}
