import { createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { RECORD, RECORD_NAMES } from '@tracehound/event-model';
import type { KafkaBatch, KafkaRecord, OutgoingRecord, ProduceResult } from '@tracehound/kafka';
import { manualClock, type SeededRandom, sfc32 } from '@tracehound/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { NOON_MS, partitionId } from '../test/audit-row.fixture.ts';
import { loginFailure } from '../test/event.fixture.ts';
import { createRecordDecoder, createRecordEncoder } from './adapters/avro-records.ts';
import { createMemoryAuditStore } from './adapters/memory-store.ts';
import { intakeTopics } from './domain/intake-topics.ts';
import { createPartitionOwner, type PartitionEvents } from './partition-owner.ts';
import { createSinkPipeline, SINK_STOPS } from './pipeline.ts';
import type { AuditStore } from './ports.ts';
import { createCommitStoreStage } from './stages/commit-store.ts';
import { createDeadLetterStage } from './stages/dead-letter.ts';
import { createPublishStage } from './stages/publish.ts';

const TOPIC = 'security.events';
const registry = createMemoryRegistry();
const codec = createAvroCodec({ registry });

beforeAll(async () => {
  await registerRecords(registry);
  await codec.prepare(RECORD_NAMES);
});

/** What the log of one partition holds, and what must become of it. */
type Oracle = {
  readonly log: KafkaRecord[];
  rows: number;
  copies: number;
  poison: number;
  markers: number;
  announced: Set<string>;
};

function randomLog(random: SeededRandom, length: number): Oracle {
  const oracle: Oracle = { log: [], rows: 0, copies: 0, poison: 0, markers: 0, announced: new Set() };
  const sent: string[] = [];
  for (let offset = 0; offset < length; offset++) {
    const base = { topic: TOPIC, partition: 0, offset: BigInt(offset), appendTimeMs: NOON_MS + offset, headers: {} };
    const dice = random.below(10);
    if (dice === 0) {
      oracle.log.push({ ...base, key: null, value: null, headers: { th_marker: Buffer.from('idle') } });
      oracle.markers += 1;
    } else if (dice === 1) {
      oracle.log.push({ ...base, key: Buffer.from('acme|p'), value: Buffer.from(`poison ${offset}`) });
      oracle.poison += 1;
    } else {
      const isCopy = dice === 2 && sent.length > 0;
      const id = isCopy ? random.pick(sent) : `event-${offset}`;
      const isCritical = id.endsWith('3');
      if (isCopy) oracle.copies += 1;
      else sent.push(id);
      if (isCritical) oracle.announced.add(`acme|${id}`);
      const event = loginFailure({ event_id: id, severity: isCritical ? 'CRITICAL' : 'LOW' });
      oracle.log.push({
        ...base,
        key: Buffer.from(`acme|${id}`),
        value: codec.encode(RECORD.AuthenticationEvent, event),
      });
      oracle.rows += 1;
    }
  }
  return oracle;
}

/** The whole sink on memory: faults come from `random`, time from a clock that stands still. */
function sinkOn(store: AuditStore, random: SeededRandom, faults: number) {
  const clock = {
    ...manualClock(NOON_MS),
    steadyNow: () => 0,
    after: (_ms: number, work: () => void) => (queueMicrotask(work), () => undefined),
  };
  const produced = new Map<string, OutgoingRecord[]>();
  const counts = { consumed: 0, verdicts: 0, retries: 0 };
  const isFaulty = (): boolean => random.next() < faults;
  const faulty: AuditStore = {
    ...store,
    async append(drafts) {
      if (isFaulty()) throw new Error('the store is away');
      const outcomes = await store.append(drafts);
      if (isFaulty()) throw new Error('the answer to COMMIT was lost');
      return outcomes;
    },
  };
  const producer = {
    async send(topic: string, records: readonly OutgoingRecord[]): Promise<readonly ProduceResult[]> {
      return records.map((record): ProduceResult => {
        if (isFaulty()) return { ok: false, error: new Error('no leader') };
        produced.set(topic, [...(produced.get(topic) ?? []), record]);
        return { ok: true, record: { topic, partition: 0, offset: 0n, appendTimeMs: null } };
      });
    },
  };
  const encoder = createRecordEncoder(codec);
  const publish = createPublishStage({
    producer,
    encoder,
    topic: 'security.event-detected',
    onPublished: () => undefined,
  });
  const decoder = createRecordDecoder(codec);
  const pipeline = createSinkPipeline({
    decoder: {
      decode: (value) =>
        isFaulty()
          ? { kind: 'retry', reason: 'registry_unavailable', cause: new Error('away') }
          : decoder.decode(value),
    },
    store: faulty,
    deadLetter: createDeadLetterStage({ producer, encoder, clock }),
    commitStore: createCommitStoreStage({
      store: faulty,
      clock,
      batchRowsMax: 10,
      lingerMs: 1,
      writersMax: 1,
      onTransaction: () => undefined,
    }),
    publish,
    commitOffset: () => undefined,
    counter: {
      consumed: (count) => {
        counts.consumed += count;
      },
      verdict: (_stage, kind, _reason, count) => {
        if (kind === 'retry') counts.retries += count;
        else counts.verdicts += count;
      },
    },
    severityMin: 4,
    batchRowsMax: 7,
    onStored: () => undefined,
  });
  const quiet: PartitionEvents = {
    acquired: () => undefined,
    fenced: () => undefined,
    topicReplaced: () => undefined,
    gapFound: () => undefined,
    trouble: () => undefined,
  };
  return { clock, produced, counts, pipeline, publish, store: faulty, events: quiet };
}

describe('sink pipeline', () => {
  it('names its stops', () => {
    expect(SINK_STOPS).toEqual(['consume', 'decode', 'canonicalise', 'copy', 'commitStore', 'commitOffset']);
  });

  for (let seed = 1; seed <= 40; seed++) {
    it(`E3 rows equal log, consumed = sum of verdicts, whatever fails and whoever takes over (seed ${seed})`, async () => {
      const random = sfc32(seed);
      const oracle = randomLog(random, 60 + random.below(60));
      const memory = createMemoryAuditStore();
      const sink = sinkOn(memory, random, seed % 4 === 0 ? 0 : 0.03);
      const id = partitionId(TOPIC);
      const seeks: bigint[] = [];
      const consumer = {
        seek: (_partition: unknown, offset: bigint) => void seeks.push(offset),
        assignment: () => [{ topic: TOPIC, partition: 0 }],
      };
      const owner = createPartitionOwner({
        store: sink.store,
        topics: intakeTopics(''),
        facts: {
          topicId: () => Promise.resolve(id.topicId),
          bounds: () => Promise.resolve({ low: 0n, high: BigInt(oracle.log.length) }),
        },
        handle: sink.pipeline.handle,
        publish: sink.publish,
        clock: sink.clock,
        owner: 'test',
        severityMin: 4,
        reacquireDelayMs: 0,
        events: sink.events,
      });
      const handler = owner.handlerOf(() => consumer);
      const start = async (): Promise<bigint> => {
        for (;;) {
          try {
            const position = await handler.assigned({ topic: TOPIC, partition: 0 });
            return position.kind === 'offset' ? position.offset : 0n;
          } catch {
            continue; // The lane of the consumer does the same, with backoff.
          }
        }
      };
      let next = await start();
      while (next < BigInt(oracle.log.length)) {
        if (random.next() < 0.05) await memory.acquire(id, 'another sink');
        if (random.next() < 0.05) next = await start(); // A rebalance, or a restart that kept the log.
        const back = BigInt(random.below(4));
        const from = next > back ? next - back : 0n; // The group may be behind the store.
        const records = oracle.log.slice(Number(from), Number(from) + 1 + random.below(25));
        const batch: KafkaBatch = { topic: TOPIC, partition: 0, records, highWatermark: BigInt(oracle.log.length) };
        seeks.length = 0;
        try {
          await handler.batch(batch);
          next = seeks.at(-1) ?? (records.at(-1)?.offset ?? next) + 1n;
        } catch {
          next = from; // The same records come again.
        }
      }
      const stored = memory.offset(id);
      expect(stored).toMatchObject({
        nextOffset: BigInt(oracle.log.length),
        rows: oracle.rows,
        failures: oracle.poison,
        markers: oracle.markers,
      });
      expect(memory.rows.map(({ row }) => row.origin.payload)).toEqual(
        oracle.log
          .filter(({ value }) => value !== null && !value.toString().startsWith('poison'))
          .map(({ value }) => value),
      );
      expect(memory.rows.filter(({ firstCopy }) => firstCopy !== null)).toHaveLength(oracle.copies);
      expect(sink.counts.consumed).toBe(sink.counts.verdicts);
      const announced = (sink.produced.get('security.event-detected') ?? []).map(({ key }) => String(key));
      expect(new Set(announced)).toEqual(oracle.announced);
      const letters = (sink.produced.get('security.events.dlq') ?? []).map(({ headers }) =>
        String(headers?.['th_offset']),
      );
      expect(new Set(letters).size).toBe(oracle.poison);
    });
  }
});
