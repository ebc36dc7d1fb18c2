import type { AvroCodec } from '@tracehound/avro';
import { classifyError, deadLetter, drop, type MatchBatch, ok, retry, type Verdict } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import type { MatchesRecord, PartitionOwner } from '../domain/partition-owner.ts';
import type { CorrelateReason } from '../errors.ts';
import type { ValuedRecord } from './consume.ts';

type ReadVerdict = Verdict<MatchesRecord, CorrelateReason | 'registry_unavailable'>;

/** Passes over what the state already holds: after a restart the log is read from Redis' offset, never twice. */
export function createConsumeMatchesStage(
  owner: Pick<PartitionOwner, 'next'>,
): (record: KafkaRecord) => Verdict<ValuedRecord, CorrelateReason> {
  return function consume(record) {
    const next = owner.next;
    if (next !== null && record.offset < next) return drop('already_applied');
    const { value } = record;
    return value === null ? deadLetter('no_value', 'a matches record without a value') : ok({ ...record, value });
  };
}

/**
 * A record that is no match batch is a dead letter. If it was one of stage A's, the gap it leaves stops the
 * partition at the next record of its source (X5); if it was somebody else's, nothing is missing.
 */
export function createDecodeMatchesStage(
  codec: Pick<AvroCodec, 'decode'>,
): (record: ValuedRecord) => ReadVerdict | Promise<ReadVerdict> {
  const read = (record: ValuedRecord, decoded: { readonly name: string; readonly value: object }): ReadVerdict => {
    if (decoded.name !== 'tracehound.pipeline.v1.MatchBatch') return deadLetter('undecodable', 'not a match batch');
    // The name decides the type of the value.
    return ok({ offset: record.offset, appendTimeMs: record.appendTimeMs, batch: decoded.value as MatchBatch });
  };
  const refused = (error: unknown): ReadVerdict => {
    const { code, retriable } = classifyError(error);
    return retriable ? retry('registry_unavailable', error) : deadLetter('undecodable', code);
  };
  return function decode(record) {
    try {
      const decoded = codec.decode(record.value);
      if (!(decoded instanceof Promise)) return read(record, decoded);
      return decoded.then((found) => read(record, found), refused);
    } catch (error) {
      return refused(error);
    }
  };
}
