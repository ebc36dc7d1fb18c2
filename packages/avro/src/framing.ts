import { AvroDecodeError } from './errors.ts';

/** Confluent wire format: magic byte 0, schema id as uint32 big endian, then the datum. */
export const FRAME_BYTES: number = 5;
const MAGIC = 0;

/** Schema id of a framed datum. */
export function frameSchemaId(buffer: Buffer): number {
  if (buffer.length < FRAME_BYTES)
    throw new AvroDecodeError('frame is too short', 'SEC_AVRO_FRAME', { bytes: buffer.length });
  const magic = buffer[0];
  if (magic !== MAGIC)
    throw new AvroDecodeError('frame has another magic byte', 'SEC_AVRO_FRAME', { magic: magic ?? -1 });
  return buffer.readUInt32BE(1);
}

export function writeFrame(buffer: Buffer, schemaId: number): void {
  buffer[0] = MAGIC;
  buffer.writeUInt32BE(schemaId, 1);
}
