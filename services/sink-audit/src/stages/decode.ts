import { deadLetter, ok, type Verdict } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import type { Origin } from '../domain/audit-row.ts';
import type { NamedRecord } from '../domain/projection.ts';
import type { RecordDecoder } from '../ports.ts';
import type { SinkReason } from '../reasons.ts';

export type DecodedRecord = { readonly origin: Origin; readonly decoded: NamedRecord };

/** Bytes to a record. The bytes themselves go along untouched: they, not the columns, are what a proof will hash. */
export function createDecodeStage({ decoder }: { decoder: RecordDecoder }) {
  return function decode(
    record: KafkaRecord,
  ): Verdict<DecodedRecord, SinkReason> | Promise<Verdict<DecodedRecord, SinkReason>> {
    const payload = record.value;
    if (payload === null) return deadLetter('no_value', 'a record without value that is no marker');
    const answer = decoder.decode(payload);
    return answer instanceof Promise
      ? answer.then((verdict) => withOrigin(record, payload, verdict))
      : withOrigin(record, payload, answer);
  };
}

function withOrigin(
  record: KafkaRecord,
  payload: Buffer,
  verdict: Awaited<ReturnType<RecordDecoder['decode']>>,
): Verdict<DecodedRecord, SinkReason> {
  if (verdict.kind !== 'ok') return verdict;
  const { schemaId, decoded } = verdict.value;
  const origin = { offset: record.offset, recordedAtMs: record.appendTimeMs, schemaId, payload };
  return ok({ origin, decoded });
}
