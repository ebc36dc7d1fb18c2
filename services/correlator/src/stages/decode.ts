import type { AvroCodec, DecodedEvent } from '@tracehound/avro';
import {
  classifyError,
  createFieldView,
  deadLetter,
  type EventEnvelope,
  type EventFieldView,
  ok,
  retry,
  type Verdict,
} from '@tracehound/event-model';
import type { DetectReason } from '../errors.ts';
import type { ValuedRecord } from './consume.ts';

/** An event as stage A goes on with it. */
export type DecodedRecord = {
  readonly record: ValuedRecord;
  readonly envelope: EventEnvelope;
  /** How Sigma sees it; lazy, an unasked field costs nothing. */
  readonly view: EventFieldView;
};

type DecodeVerdict = Verdict<DecodedRecord, DetectReason | 'registry_unavailable'>;

/**
 * Avro to what rules see; only what the live rules ask for is ever read. Bytes that can never be read are a dead letter; a
 * registry that does not answer is a retry. Synchronous once the schema id is known.
 */
export function createDecodeStage(
  codec: Pick<AvroCodec, 'decodeEvent'>,
): (record: ValuedRecord) => DecodeVerdict | Promise<DecodeVerdict> {
  return function decode(record) {
    try {
      const decoded = codec.decodeEvent(record.value);
      if (!(decoded instanceof Promise)) return viewed(record, decoded);
      return decoded.then((found) => viewed(record, found), refused);
    } catch (error) {
      return refused(error);
    }
  };
}

function viewed(record: ValuedRecord, decoded: DecodedEvent): DecodeVerdict {
  const { value } = decoded;
  // Every event record has the envelope by its schema; the other records of ours have none.
  if (!('envelope' in value)) return deadLetter('undecodable', 'the record is no event');
  return ok({ record, envelope: value.envelope, view: createFieldView(value) });
}

function refused(error: unknown): DecodeVerdict {
  const { code, retriable } = classifyError(error);
  return retriable ? retry('registry_unavailable', error) : deadLetter('undecodable', code);
}
