import type { KafkaAdmin, KafkaClient, KafkaRecord } from '@tracehound/kafka';

/** A stretch of the intake topics, by append time: `[fromMs, toMs)`. */
export type IntakeRange = { readonly fromMs: number; readonly toMs: number };

/** One partition of it, by offset: `[from, until)`. */
export type IntakePart = {
  readonly topic: string;
  readonly partition: number;
  readonly from: bigint;
  readonly until: bigint;
  /** Nothing of the log lies behind `until`: what its last record says of time is all that is known. */
  readonly endsAtTop: boolean;
};

/** A record, and the append time up to which all partitions have been read: never above the least of their last ones. */
export type IntakeRecord = { readonly record: KafkaRecord; readonly coveredMs: number };

/** Where the stretch lies in each partition. Append times are looked up by halving: some 20 reads of one record each. */
export async function findIntake(
  { kafka, admin }: { readonly kafka: KafkaClient; readonly admin: KafkaAdmin },
  topics: readonly string[],
  range: IntakeRange,
): Promise<readonly IntakePart[]> {
  const parts: IntakePart[] = [];
  for (const topic of topics) {
    for (const { partition, low, high } of await admin.offsets(topic)) {
      const bounds = { low, high };
      const at = { topic, partition };
      const from = await firstAtOrAfter(kafka, at, { ...bounds, timeMs: range.fromMs });
      const until = await firstAtOrAfter(kafka, at, { low: from, high, timeMs: range.toMs });
      parts.push({ topic, partition, from, until, endsAtTop: until === high });
    }
  }
  return parts;
}

async function firstAtOrAfter(
  kafka: KafkaClient,
  at: { readonly topic: string; readonly partition: number },
  { low, high, timeMs }: { readonly low: bigint; readonly high: bigint; readonly timeMs: number },
): Promise<bigint> {
  if (timeMs === Number.NEGATIVE_INFINITY) return low;
  if (timeMs === Number.POSITIVE_INFINITY) return high;
  let [first, last] = [low, high];
  while (first < last) {
    const middle = (first + last) / 2n;
    let seenMs = Number.POSITIVE_INFINITY;
    let seenAt = last;
    for await (const record of kafka.read(at, { from: middle, until: last })) {
      seenMs = record.appendTimeMs;
      seenAt = record.offset;
      break;
    }
    // Offsets may have holes; what lies before the first record found is empty.
    if (seenMs >= timeMs) last = middle;
    else first = seenAt + 1n;
  }
  return first;
}

/** One partition being read. */
type Reading = { readonly part: IntakePart; readonly records: AsyncIterator<KafkaRecord>; next: KafkaRecord | null };

/**
 * The records of all partitions, merged by append time. What is held is one record per partition, and what the client fetches
 * ahead.
 */
export async function* readIntake(
  kafka: KafkaClient,
  parts: readonly IntakePart[],
  toMs: number,
): AsyncGenerator<IntakeRecord> {
  const open: Reading[] = [];
  let capMs = toMs;
  for (const part of parts) {
    if (part.from >= part.until) {
      // A partition that never had a record claims nothing, and time stands still (X4).
      if (part.endsAtTop) capMs = Number.NEGATIVE_INFINITY;
      continue;
    }
    const records = kafka.read(part, { from: part.from, until: part.until })[Symbol.asyncIterator]();
    const { value, done } = await records.next();
    if (done !== true) open.push({ part, records, next: value });
  }
  try {
    while (open.length > 0) {
      let reading = open[0] as Reading;
      for (const other of open)
        if ((other.next as KafkaRecord).appendTimeMs < (reading.next as KafkaRecord).appendTimeMs) reading = other;
      const record = reading.next as KafkaRecord;
      const { value, done } = await reading.records.next();
      if (done === true) {
        open.splice(open.indexOf(reading), 1);
        if (reading.part.endsAtTop) capMs = Math.min(capMs, record.appendTimeMs);
      } else reading.next = value;
      yield { record, coveredMs: Math.min(record.appendTimeMs, capMs) };
    }
  } finally {
    // A reader may stop before the end.
    for (const { records } of open) await records.return?.();
  }
}
