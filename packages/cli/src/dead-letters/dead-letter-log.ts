import type { AvroCodec } from '@tracehound/avro';
import { classifyError, type DeadLetterRecord, markerKindOf } from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient, KafkaRecord } from '@tracehound/kafka';
import { patiently } from '../scenario/patiently.ts';

/** Header of a record that was sent again: `<topic>/<partition>/<offset>` of the record that had become a dead letter. */
export const REDRIVEN_FROM_HEADER = 'th_redriven_from';
/** Header of a receipt in a dead-letter topic: the same coordinates. A receipt has the key of the letter and no value. */
export const RECEIPT_HEADER = 'th_redriven';
/** Header of a receipt: where the copy landed. */
export const RECEIPT_TO_HEADER = 'th_redriven_to';

/**
 * Where a letter stands. `open`: may be sent again. `redriven`: was, and a receipt says so. `no value`: the letter names the
 * record but does not hold its bytes (too large, or there were none). `marker`: carries time and no event, and time is never
 * said again (X4). `other topic`: names a topic that its own topic is not for.
 */
export type LetterState = 'open' | 'redriven' | 'no value' | 'marker' | 'other topic';

/** One dead letter, without the bytes it holds: a topic of them may be larger than memory. */
export type Letter = {
  /** Where the letter lies in the dead-letter topic. */
  readonly partition: number;
  readonly offset: bigint;
  /** The record it is of: `<topic>/<partition>/<offset>`; that of the letter itself where the record was never written. */
  readonly of: string;
  readonly service: string;
  readonly stage: string;
  readonly reason: string;
  readonly detail: string;
  /** Wall clock of the service that refused it, ms UTC. */
  readonly failedAtMs: number;
  /** Bytes of the value it holds. */
  readonly bytes: number;
  readonly state: LetterState;
};

/** A letter with what is needed to send it again. */
export type FullLetter = { readonly letter: Letter; readonly record: KafkaRecord; readonly content: DeadLetterRecord };

export type DeadLetterSource = {
  readonly kafka: Pick<KafkaClient, 'read'>;
  readonly admin: Pick<KafkaAdmin, 'offsets'>;
  readonly codec: Pick<AvroCodec, 'decode'>;
  /** Wall clock, ms. */
  readonly now: () => number;
};

/** How long a registry that is away is waited for, per record. */
const PATIENCE_MS = 10_000;

/**
 * Every letter of `<topic>.dlq`, in order of partition and offset, and how many records there are none (someone else's bytes).
 * Several letters of one record (two services refused it, or one wrote its letter twice) are sent again once: a receipt closes
 * all letters of the record that lie before it.
 * @throws what may be otherwise the next time, as when the registry stays away.
 */
export async function readLetters(
  source: DeadLetterSource,
  topic: string,
): Promise<{ readonly letters: readonly Letter[]; readonly unreadable: number }> {
  const letters: Letter[] = [];
  let unreadable = 0;
  for (const { partition, low, high } of await source.admin.offsets(`${topic}.dlq`)) {
    const receipts = new Map<string, bigint>();
    const found: Letter[] = [];
    for await (const record of source.kafka.read({ topic: `${topic}.dlq`, partition }, { from: low, until: high })) {
      const receipt = record.headers[RECEIPT_HEADER]?.toString();
      if (receipt !== undefined) {
        receipts.set(receipt, record.offset);
        continue;
      }
      const content = await contentOf(source, record);
      if (content === null) unreadable++;
      else found.push(letterOf(record, content, topic));
    }
    for (const letter of found) {
      const receiptAt = receipts.get(letter.of);
      letters.push(receiptAt !== undefined && receiptAt > letter.offset ? { ...letter, state: 'redriven' } : letter);
    }
  }
  return { letters, unreadable };
}

/** The same letters with their bytes, one after the other. Letters that have left the log meanwhile are passed over. */
export async function* readFull(
  source: DeadLetterSource,
  topic: string,
  letters: readonly Letter[],
): AsyncGenerator<FullLetter> {
  for (const [partition, own] of Map.groupBy(letters, (letter) => letter.partition)) {
    const wanted = new Map(own.map((letter) => [letter.offset, letter]));
    const offsets = [...wanted.keys()].sort((a, b) => (a < b ? -1 : 1));
    const [from = 0n, last = -1n] = [offsets[0], offsets.at(-1)];
    for await (const record of source.kafka.read({ topic: `${topic}.dlq`, partition }, { from, until: last + 1n })) {
      const letter = wanted.get(record.offset);
      if (letter === undefined) continue;
      const content = await contentOf(source, record);
      if (content !== null) yield { letter, record, content };
    }
  }
}

async function contentOf(source: DeadLetterSource, { value }: KafkaRecord): Promise<DeadLetterRecord | null> {
  if (value === null) return null;
  try {
    const decoded = await patiently(source.now() + PATIENCE_MS, () => source.codec.decode(value));
    return decoded.name === 'tracehound.pipeline.v1.DeadLetter' ? decoded.value : null;
  } catch (error) {
    if (classifyError(error).retriable) throw error;
    return null;
  }
}

function letterOf(record: KafkaRecord, content: DeadLetterRecord, topic: string): Letter {
  const wasWritten = content.partition >= 0 && content.offset >= 0;
  return {
    partition: record.partition,
    offset: record.offset,
    of: wasWritten
      ? `${content.original_topic}/${content.partition}/${content.offset}`
      : `${record.topic}/${record.partition}/${record.offset}`,
    service: content.service,
    stage: content.stage,
    reason: content.reason,
    detail: content.detail,
    failedAtMs: content.failed_at,
    bytes: content.payload?.length ?? 0,
    state: stateOf(content, topic),
  };
}

function stateOf(content: DeadLetterRecord, topic: string): LetterState {
  if (content.original_topic !== topic) return 'other topic';
  if (markerKindOf({ topic, headers: content.headers }) !== null) return 'marker';
  return content.payload === null ? 'no value' : 'open';
}
