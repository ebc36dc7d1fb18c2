/**
 * What tracing costs a consumer per batch of 500 records: without it, off, and on with nothing sampled, turn by turn in one process; and
 * what a process pays at its start.
 *
 *   node --conditions=@tracehound/source bench/micro/tracing.ts [batches] [rounds]
 */
import { NO_TRACER, type Tracer } from '@tracehound/event-model';
import { type KafkaBatch, type KafkaClient, type PartitionHandler, traceKafka } from '@tracehound/kafka';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { createLogger, createMetrics, createTracing } from '@tracehound/telemetry';
import { spreadOf } from '../measure/statistics.ts';

const [batches = 20_000, rounds = 7] = process.argv.slice(2).map(Number);
const RECORDS = 500;

const batch: KafkaBatch = {
  topic: 't',
  partition: 0,
  highWatermark: BigInt(RECORDS),
  records: Array.from({ length: RECORDS }, (_, offset) => ({
    topic: 't',
    partition: 0,
    offset: BigInt(offset),
    appendTimeMs: 0,
    key: null,
    value: null,
    headers: { th_org: Buffer.from('acme'), ce_id: Buffer.from('x') },
  })),
};

let records = 0;
const handler: PartitionHandler = {
  assigned: async () => ({ kind: 'earliest' }),
  revoked: async () => undefined,
  batch: async (given) => {
    for (const record of given.records) records += record.offset < 0n ? 0 : 1;
  },
};

/** The handler a consumer would call, when the client is traced by `tracer`; null: not traced at all. */
function handlerUnder(tracer: Tracer | null): PartitionHandler {
  const memory = createMemoryKafka({ now: () => 0 }).client();
  let held = handler;
  const client: KafkaClient = {
    ...memory,
    consumer: (options) => {
      held = options.handler;
      return memory.consumer(options);
    },
  };
  const traced = tracer === null ? client : traceKafka(client, tracer);
  traced.consumer({ groupId: 'g', topics: ['t'], handler, onFatal: () => undefined });
  return held;
}

async function nanosPerBatch(under: PartitionHandler): Promise<number> {
  const began = process.hrtime.bigint();
  for (let i = 0; i < batches; i++) await under.batch(batch);
  return Number(process.hrtime.bigint() - began) / batches;
}

const began = performance.now();
const tracing = createTracing(
  {
    service: 'bench',
    endpoint: 'http://127.0.0.1:9/v1/traces',
    samplePerMillion: 0,
    queueSpansMax: 100,
    timeoutMs: 1_000,
  },
  { metrics: createMetrics('bench', { processMetrics: false }), logger: createLogger({ service: 'bench' }) },
);
await tracing.start();
const loadedMs = performance.now() - began;

const ways = {
  untraced: handlerUnder(null),
  off: handlerUnder(NO_TRACER),
  'on, unsampled': handlerUnder(tracing.tracer),
};
const found = new Map(Object.keys(ways).map((way) => [way, [] as number[]]));
for (let round = 0; round <= rounds; round++) {
  for (const [way, under] of Object.entries(ways)) {
    const nanos = await nanosPerBatch(under);
    // The first round warms up.
    if (round > 0) found.get(way)?.push(nanos);
  }
}
await tracing.stop();
process.stdout.write(`loading the library when tracing is on: ${loadedMs.toFixed(0)} ms; ${records} records\n`);
for (const [way, nanos] of found) {
  const { median, least, most } = spreadOf(nanos);
  process.stdout.write(
    `${way.padEnd(14)} ${median.toFixed(0)} (${least.toFixed(0)} to ${most.toFixed(0)}) ns per batch\n`,
  );
}
