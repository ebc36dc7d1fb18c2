import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { namespaced } from '@tracehound/config';
import { STATE_VERSION, STATE_VERSION_BEFORE } from '@tracehound/correlation';
import type { KafkaConsumer, TopicPartition } from '@tracehound/kafka';
import { createBreath } from './adapters/breath.ts';
import { createAlertOutlet, createDeadLetters } from './adapters/kafka-lanes.ts';
import { createSaturation } from './adapters/saturation.ts';
import { Correlator } from './correlator.ts';
import { createDeadLetterLimit } from './dead-letter-limit.ts';
import { decodeBaseNote, encodeBaseNote } from './domain/base-note.ts';
import { PartitionOwner } from './domain/partition-owner.ts';
import { createOpenEngine, type WindowEngine } from './domain/window.ts';
import { createFlushTrace, type FlushTrace } from './flush-trace.ts';
import type { Foundation, RunningStage } from './foundation.ts';
import { LagWatch, reportLag } from './lag-watch.ts';
import { createCorrelatePath } from './pipeline.ts';
import type { EmittedBase, StateStore } from './ports.ts';
import { reportUsage } from './rule-usage.ts';
import { FlushPolicy } from './stages/flush.ts';
import { createStateReport, type StateReport } from './state-report.ts';

/** How often partitions are looked at for a due flush; well below the flush pause. */
const FLUSH_LOOK_MS = 20;
const REPORT_MS = 1_000;
/** Looks at every rule and organization: some ms for 100,000 of them. */
const USAGE_REPORT_MS = 5_000;

export type RunningStageB = RunningStage & {
  /** Text of the passing check; throws while a partition is rebuilt from the log. */
  rebuildSummary(): string;
  readonly report: StateReport;
};

/** Joins group correlator-b and runs stage B until stopped. */
export async function startStageB(foundation: Foundation, store: StateStore): Promise<RunningStageB> {
  const { admin, book, client, clock, codec, config, logger, metrics, topics, rules, tracer, faultPoint } = foundation;
  const groupId = namespaced(config.namespace, 'correlator-b');
  const producer = await client.producer();
  const outlet = createAlertOutlet({ producer, topics });
  const deadLetters = createDeadLetters({ producer, codec, topics, clock });
  const engines = new Map<number, WindowEngine>();
  const isSaturated = createSaturation();
  const holder: { consumer: KafkaConsumer | null } = { consumer: null };

  async function range({ topic, partition }: TopicPartition): Promise<{ low: bigint; high: bigint }> {
    const found = (await admin.offsets(topic)).find((entry) => entry.partition === partition);
    return { low: found?.low ?? 0n, high: found?.high ?? 0n };
  }

  async function committed(partition: number): Promise<EmittedBase | null> {
    const all = await admin.committed(groupId, topics.matches);
    const { offset = null, note } = all.find((entry) => entry.partition === partition) ?? {};
    const { low, high } = await range({ topic: topics.matches, partition });
    const said = decodeBaseNote(note);
    // The commit belongs to a topic that was deleted and made again.
    const isOther = said !== null && said.topicId !== foundation.topicId(topics.matches);
    if (offset === null || offset > high || isOther) return null;
    const from = said?.rebuildFrom ?? null;
    // What retention has taken cannot be read: the log begins where it begins.
    const isKept = from !== null && from.offset >= low && from.offset <= offset;
    return { offset, rebuildFrom: isKept ? from : null };
  }

  function open(at: TopicPartition): ReturnType<ConstructorParameters<typeof Correlator>[0]['open']> {
    const { partition } = at;
    const label = String(partition);
    const trace = createFlushTrace(tracer, at);
    const policy = new FlushPolicy({
      clock,
      sleep: (ms) => sleep(ms),
      flushMs: config.flushMs,
      flushGapMs: config.flushGapMs,
      dirtyGroupsMax: config.dirtyGroupsMax,
      commitMs: config.commitMs,
      isSaturated,
    });
    const owner = new PartitionOwner({
      partition,
      topicId: () => foundation.topicId(topics.matches),
      store: observedFlushes(store, trace, (seconds) => metrics.flushSeconds.observe(seconds)),
      outlet: trace.outlet(outlet),
      progress: {
        committed,
        // Not awaited: a commit that comes late or never costs repeated alerts after a loss of Redis, nothing else.
        commit: async (_, { offset, rebuildFrom }) => {
          const note = encodeBaseNote({ topicId: foundation.topicId(topics.matches), rebuildFrom });
          void holder.consumer?.commit(at, offset, note);
        },
      },
      openEngine: createOpenEngine({
        partition,
        matches: {
          topic: topics.matches,
          topicId: foundation.topicId(topics.matches),
          partitions: foundation.matchesPartitions,
        },
        clusterId: config.clusterId,
        codec,
        book,
        memory: { decodedGroupsMax: config.decodedGroupsMax, packedBytesMax: config.packedBytesMax },
        stateVersion: config.stateFormat === 'previous' ? STATE_VERSION_BEFORE : STATE_VERSION,
        refreshRules: () => rules.refresh(),
        onOpened: (engine) => engines.set(partition, engine),
      }),
      nonce: () => randomBytes(16).toString('hex'),
      faultPoint,
      observe: {
        acquired: ({ status }, mutedBelow) => {
          metrics.acquired.inc({ status });
          logger.info('partition taken', { partition, status, mutedBelow });
        },
        lost: (outcome) => {
          metrics.lost.inc({ outcome });
          logger.warn('ownership lost', { partition, outcome });
        },
        flushed: (groups) => {
          metrics.flushes.inc();
          metrics.flushedGroups.inc(groups);
          metrics.dirtyGroups.set({ partition: label }, 0);
        },
        emitted: (records) => metrics.emitted.inc(records),
        brought: (groups) => metrics.broughtGroups.inc(groups),
      },
    });
    const path = createCorrelatePath({
      owner,
      codec,
      counter: foundation.counter,
      deadLetters,
      deadLetterLimit: createDeadLetterLimit(config, () => metrics.deadLetterLimit.inc({ stage: 'b' })),
      flushPolicy: policy,
      breathe: createBreath(),
      ensureRules: ({ batch }) => {
        if (book.activations.byId(batch.activation_id) !== undefined && book.has(batch.ruleset_id)) return undefined;
        return rules.ensureNamed({ activationId: batch.activation_id, rulesetId: batch.ruleset_id });
      },
    });
    return {
      owner,
      policy,
      path: async (records) => {
        const stopTimer = metrics.batchSeconds.startTimer({ stage: 'b' });
        trace.read(records);
        await path(records);
        stopTimer();
      },
    };
  }

  const correlator = new Correlator({
    open,
    range,
    clock,
    onLostRange: config.onLostRange,
    logger,
    onState: ({ partition }, problem) => foundation.problems.set(`stage b, partition ${partition}`, problem),
    onRevoked: ({ partition }) => {
      engines.delete(partition);
      foundation.problems.delete(`stage b, partition ${partition}`);
    },
  });
  const lag = new LagWatch({ stage: 'b', ...foundation });
  const consumer = client.consumer({
    groupId,
    topics: [topics.matches],
    handler: lag.over(correlator),
    onFatal: foundation.onFatal,
    sessionTimeoutMs: config.sessionTimeoutMs,
  });
  holder.consumer = consumer;
  correlator.bind(consumer);
  await consumer.start();
  const report = createStateReport({ ...foundation, correlator, engines, alarmMs: config.tickAlarmMs });
  const timers = [
    setInterval(() => correlator.flushIdle(), FLUSH_LOOK_MS),
    setInterval(() => report.update(), REPORT_MS),
    setInterval(() => reportUsage(engines.values(), metrics), USAGE_REPORT_MS),
    reportLag(lag, logger),
  ];
  for (const timer of timers) timer.unref();

  return {
    consumer,
    report,
    rebuildSummary() {
      const [first] = correlator.rebuilding();
      if (first === undefined) return 'state is up to date';
      throw new Error(`rebuilding partition ${first.partition}: ${first.done} of ${first.total} records`);
    },
    async stop() {
      for (const timer of timers) clearInterval(timer);
      await consumer.stop();
      await producer.close();
    },
  };
}

function observedFlushes(store: StateStore, trace: FlushTrace, observe: (seconds: number) => void): StateStore {
  return {
    acquire: (partition, options) => store.acquire(partition, options),
    groups: (partition, fence) => store.groups(partition, fence),
    read: (partition, fence, groupIds) => store.read(partition, fence, groupIds),
    ping: () => store.ping(),
    async flush(request) {
      const startedMs = performance.now();
      try {
        return await trace.flush(request, () => store.flush(request));
      } finally {
        observe((performance.now() - startedMs) / 1_000);
      }
    },
  };
}
