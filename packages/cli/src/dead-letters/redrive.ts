import type { KafkaProducer, OutgoingRecord, ProducedRecord } from '@tracehound/kafka';
import type { Progress } from '../events/progress.ts';
import {
  type DeadLetterSource,
  type FullLetter,
  type Letter,
  RECEIPT_HEADER,
  RECEIPT_TO_HEADER,
  REDRIVEN_FROM_HEADER,
  readFull,
} from './dead-letter-log.ts';

/** Letters and bytes between two rounds of sending and writing receipts: what a crash can send a second time at most. */
const BATCH_LETTERS_MAX = 100;
const BATCH_BYTES_MAX = 4_000_000;

export type RedriveProgress = { readonly done: number; readonly all: number };

export type RedriveOptions = {
  readonly source: DeadLetterSource;
  readonly producer: Pick<KafkaProducer, 'send' | 'sendTo'>;
  /** The topic as it is named in the cluster, without `.dlq`. */
  readonly topic: string;
  readonly progress?: Progress<RedriveProgress> | undefined;
  /** Looked at before each letter; once true no more are sent. */
  readonly stopped?: (() => boolean) | undefined;
};

export type RedriveReport = {
  /** Records that were acknowledged by the topic they came from. */
  readonly sent: number;
  /** Records that were not acknowledged; they may have been written all the same, and stay open. */
  readonly failed: number;
  /** Why the first of them was not. */
  readonly error: unknown;
  readonly stopped: boolean;
};

/**
 * Sends records of dead letters to the topic they came from: original bytes, key and headers, and `th_redriven_from`. After a
 * record is acknowledged a receipt is written behind its letter, so that the next redrive passes it over. At-least-once: a
 * crash in between sends up to `BATCH_LETTERS_MAX` records again, copies that readers drop by the ids in their values (X6, X9).
 */
export async function redriveLetters(letters: readonly Letter[], options: RedriveOptions): Promise<RedriveReport> {
  const { source, topic, progress } = options;
  let [sent, failed, error, stopped] = [0, 0, null as unknown, false];
  let batch: FullLetter[] = [];
  let bytes = 0;
  async function flush(): Promise<void> {
    const results = await sendBatch(batch, options);
    sent += results.filter(({ ok }) => ok).length;
    const lost = results.filter((result) => !result.ok);
    error ??= lost[0]?.error ?? null;
    failed += lost.length;
    [batch, bytes] = [[], 0];
    progress?.update({ done: sent + failed, all: letters.length });
  }
  try {
    for await (const full of readFull(source, topic, letters)) {
      if (options.stopped?.() === true) {
        stopped = true;
        break;
      }
      batch.push(full);
      bytes += full.letter.bytes;
      if (batch.length >= BATCH_LETTERS_MAX || bytes >= BATCH_BYTES_MAX) await flush();
    }
    await flush();
  } finally {
    progress?.clear();
  }
  return { sent, failed, error, stopped };
}

type Sent = { readonly ok: boolean; readonly error?: unknown };

async function sendBatch(batch: readonly FullLetter[], options: RedriveOptions): Promise<readonly Sent[]> {
  if (batch.length === 0) return [];
  const { producer, topic } = options;
  const results: Sent[] = [];
  const receipts = new Map<number, OutgoingRecord[]>();
  const produced = await producer.send(topic, batch.map(copyOf));
  for (const [at, result] of produced.entries()) {
    results.push(result.ok ? { ok: true } : { ok: false, error: result.error });
    const full = batch[at];
    if (!result.ok || full === undefined) continue;
    const own = receipts.get(full.letter.partition) ?? [];
    receipts.set(full.letter.partition, own);
    own.push(receiptOf(full, result.record));
  }
  // To the partition of the letter: a receipt speaks of what lies before it.
  for (const [partition, own] of receipts) await producer.sendTo({ topic: `${topic}.dlq`, partition }, own);
  return results;
}

function copyOf({ letter, content }: FullLetter): OutgoingRecord {
  return {
    key: content.key,
    value: content.payload,
    headers: { ...content.headers, [REDRIVEN_FROM_HEADER]: letter.of },
  };
}

function receiptOf({ letter, record }: FullLetter, landed: ProducedRecord): OutgoingRecord {
  const to = `${landed.topic}/${landed.partition}/${landed.offset}`;
  return { key: record.key, value: null, headers: { [RECEIPT_HEADER]: letter.of, [RECEIPT_TO_HEADER]: to } };
}
