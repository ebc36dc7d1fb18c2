import type { AvroCodec } from '@tracehound/avro';
import { deadLetter, ok, RECORD, type RecordName, retry, TracehoundError } from '@tracehound/event-model';
import type { DecodeAnswer, RecordDecoder, RecordEncoder } from '../ports.ts';
import type { SinkReason } from '../reasons.ts';

/** Confluent frame: magic 0, then the schema id as uint32. */
const SCHEMA_ID_AT = 1;

/** Reads record values with the codec; its errors become verdicts, so that no byte can stop the consumer. */
export function createRecordDecoder(codec: Pick<AvroCodec, 'decode'>): RecordDecoder {
  return {
    decode(value) {
      try {
        const decoded = codec.decode(value);
        if (!(decoded instanceof Promise)) return ok({ schemaId: value.readUInt32BE(SCHEMA_ID_AT), decoded });
        return decoded.then(
          (record): DecodeAnswer => ok({ schemaId: value.readUInt32BE(SCHEMA_ID_AT), decoded: record }),
          verdictOf,
        );
      } catch (error) {
        return verdictOf(error);
      }
    },
  };
}

function verdictOf(error: unknown): DecodeAnswer {
  if (!(error instanceof TracehoundError)) throw error;
  if (error.retriable) return retry('registry_unavailable', error);
  return deadLetter(reasonOf(error.code), `${error.code}: ${error.message}`);
}

function reasonOf(code: string): SinkReason {
  if (code === 'SEC_AVRO_FRAME') return 'not_framed';
  if (code === 'SEC_AVRO_UNKNOWN_SCHEMA' || code === 'SEC_AVRO_UNKNOWN_RECORD') return 'unknown_schema';
  return 'undecodable';
}

const WRITTEN_RECORDS: readonly RecordName[] = [RECORD.SecurityEventDetected, RECORD.DeadLetter];

/** Writes what the sink produces. Rejects with a retriable error while the registry is away or lacks our schemas. */
export function createRecordEncoder(codec: Pick<AvroCodec, 'prepare' | 'encode'>): RecordEncoder {
  let prepared: Promise<void> | null = null;
  function prepare(): Promise<void> {
    prepared ??= codec.prepare(WRITTEN_RECORDS).catch((error: unknown) => {
      prepared = null;
      throw error;
    });
    return prepared;
  }
  return {
    async detected(record) {
      await prepare();
      return codec.encode(RECORD.SecurityEventDetected, record);
    },
    async deadLetter(record) {
      await prepare();
      return codec.encode(RECORD.DeadLetter, record);
    },
  };
}
