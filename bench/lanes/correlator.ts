/**
 * Lane `correlator`: what the service costs, with 100 detections and 10 correlations, by where the events come from.
 *
 * - `engine`: events just parsed, matcher, windows and durable state: real flushes of the service's own partition owner into a
 *   real Redis; one thread;
 * - `memory`: the whole service but Kafka: Avro events in, both stages with their packed records between, four matches
 *   partitions, state in Redis, alerts out into memory; one thread;
 * - `kafka`: a correlator process on a topic filled beforehand, both stages, alerts on their topic. The topic carries event times as
 *   append times, so that windows close while it is read, as they do in live traffic;
 * - with `--peer PATH` rsigma on the same events and rules from a file, without durable state, in the same round.
 *
 * Final alerts per correlation are compared with SQL over all events at once before anything is reported. CPU seconds are those
 * of the process alone; Redis' are its own count.
 *
 * With `--groups N` instead: so many live groups, rebuilt from records of security.matches, then taken over by a new process, then
 * a further hit for every tenth; with `--packed-bytes N` as many bytes of packed groups stay in memory in each partition.
 *
 *   npm run bench -- correlator [--json] [--runs 3] [--events 300000] [--presets real,hot] [--peer /path/to/rsigma]
 *   npm run bench -- correlator --groups 1000000 [--packed-bytes 0] [--json] [--runs 3]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createAvroCodec, createRegistry, registerRecords } from '@tracehound/avro';
import { applyTopics, publishRuleSet } from '@tracehound/cli';
import { RECORD_NAMES } from '@tracehound/event-model';
import { createKafkaJsClient, partitionForKey } from '@tracehound/kafka';
import { connectRedis } from '@tracehound/redis';
import { loadRuleSet } from '@tracehound/sigma';
import { openStack, repositoryRoot, type Stack } from '@tracehound/stack';
import kafkajs from 'kafkajs';
import type { OutboxRecord } from '../../services/correlator/src/ports.ts';
import { externalEvent, ORGANIZATION, type WorkloadLine } from '../measure/avro-workload.ts';
import { finalsOf } from '../measure/correlations.ts';
import {
  DETECTIONS,
  LATENESS_MS,
  openPartitions,
  redisCpu,
  ruleFiles,
  TARGETS,
} from '../measure/correlator-partitions.ts';
import { feedEngine, feedService } from '../measure/feeds.ts';
import { type GroupsCell, type GroupsResult, groupsText, runGroups, runGroupsCell } from '../measure/live-groups.ts';
import { type Counts, type ProcessRun, runPeer } from '../measure/peer.ts';
import {
  cellOf,
  cpuMicros,
  cpuSecondsOf,
  peakRssMb,
  residentMb,
  runCell,
  startCorrelator,
} from '../measure/processes.ts';
import { assertSameCounts, inThousands, type Spread, spreadOf } from '../measure/statistics.ts';
import { workload } from '../workload/events.ts';
import { expectedEpisodes } from '../workload/expected.ts';
import { workloadRules } from '../workload/rules.ts';

type Load = 'real' | 'hot';
type Source = 'engine' | 'memory';
type Cell = {
  readonly source: Source;
  readonly load: Load;
  readonly events: number;
  readonly redisUrl: string;
  readonly namespace: string;
};
type Run = {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly redisCpuSeconds: number;
  readonly matches: number;
  readonly correlations: Counts;
  readonly peakRssMb: number;
};
type KafkaRun = Run & { readonly brokerCpuSeconds: number };

const BATCH = 1_000;

async function runInMemory(cell: Cell): Promise<Run> {
  const rules = loadRuleSet(ruleFiles());
  const redis = await connectRedis(cell.redisUrl, { role: 'state' });
  const count = cell.source === 'engine' ? 1 : TARGETS;
  const opened = await openPartitions({ rules, redis, namespace: cell.namespace, count });
  for (const { owner } of opened.partitions) await owner.acquire();
  const feed = cell.source === 'engine' ? feedEngine(rules, opened) : feedService(rules, opened);
  const lines = [...workload(cell.load, cell.events)];
  let [matches, micros, wallMs] = [0, 0, 0];
  const redisBefore = await redisCpu(redis);
  for (let at = 0; at < lines.length; at += BATCH) {
    const push = feed.prepare(
      lines.slice(at, at + BATCH).map((line) => JSON.parse(line) as WorkloadLine),
      at,
    );
    const [cpu, wall] = [cpuMicros(), performance.now()];
    matches += await push();
    micros += cpuMicros() - cpu;
    wallMs += performance.now() - wall;
  }
  const [cpu, wall] = [cpuMicros(), performance.now()];
  await feed.end();
  micros += cpuMicros() - cpu;
  wallMs += performance.now() - wall;
  const redisCpuSeconds = (await redisCpu(redis)) - redisBefore;
  const correlations = finalsOf(opened.alerts, opened.codec);
  redis.disconnect();
  return {
    cpuSeconds: micros / 1e6,
    wallSeconds: wallMs / 1_000,
    redisCpuSeconds,
    matches,
    correlations,
    peakRssMb: peakRssMb(),
  };
}

/** Partitions of security.events in the profile `local`. */
const EVENT_PARTITIONS = 4;

/** A filled topic, then one correlator from its first matches to its last alert. */
async function runFromKafka(stack: Stack, load: Load, events: number, namespace: string): Promise<KafkaRun> {
  const kafka = createKafkaJsClient({ brokers: stack.addresses.kafkaBrokers, clientId: 'bench' });
  const registry = createRegistry({ url: stack.addresses.registryUrl });
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare(RECORD_NAMES);
  await applyTopics({ kafka, namespace, profile: 'local' });
  await publishRuleSet({ kafka, codec, namespace, files: ruleFiles(), latenessMs: LATENESS_MS, principal: 'bench' });
  await fill(stack, {
    load,
    events,
    namespace,
    encode: (line) => codec.encode('tracehound.events.v1.ExternalEvent', externalEvent(line)),
  });
  const admin = await kafka.admin();
  const redis = await connectRedis(stack.addresses.redisStateUrl, { role: 'state' });
  const topic = (name: string): string => `${namespace}.${name}`;
  const status = await stack.status();
  const brokerPid = status.find(({ name }) => name === 'kafka-1')?.pid ?? process.pid;
  const child = startCorrelator(stack, namespace);
  const pid = child.pid ?? process.pid;
  const ends = async (name: string): Promise<ReadonlyMap<number, bigint>> =>
    new Map((await admin.offsets(topic(name))).map(({ partition, high }) => [partition, high]));
  // Each partition by itself: ticks that one has read beyond the end would make up for what another still has to read.
  const done = async (group: string, name: string, until: ReadonlyMap<number, bigint>): Promise<boolean> =>
    (await admin.committed(`${namespace}.${group}`, topic(name))).every(
      ({ partition, offset }) => (offset ?? 0n) >= (until.get(partition) ?? 0n),
    );
  const input = { events: await ends('security.events'), telemetry: await ends('security.telemetry') };
  while ([...(await ends('security.matches')).values()].every((end) => end === 0n)) await delay(20);
  const [began, cpu, broker, redisBefore] = [
    performance.now(),
    cpuSecondsOf(pid),
    cpuSecondsOf(brokerPid),
    await redisCpu(redis),
  ];
  while (!(await done('correlator-a', 'security.events', input.events))) await delay(50);
  while (!(await done('correlator-a', 'security.telemetry', input.telemetry))) await delay(50);
  // Ticks go on for ever; what follows the end of the input does not count.
  const written = await ends('security.matches');
  while (!(await done('correlator-b', 'security.matches', written))) await delay(50);
  const wallSeconds = (performance.now() - began) / 1_000;
  const result = {
    cpuSeconds: cpuSecondsOf(pid) - cpu,
    brokerCpuSeconds: cpuSecondsOf(brokerPid) - broker,
    redisCpuSeconds: (await redisCpu(redis)) - redisBefore,
    wallSeconds,
  };
  const peak = residentMb(pid, 'VmHWM');
  child.kill('SIGTERM');
  const alerts: OutboxRecord[] = [];
  for (const { partition, low, high: end } of await admin.offsets(topic('security.alerts'))) {
    if (low >= end) continue;
    for await (const { value } of kafka.read(
      { topic: topic('security.alerts'), partition },
      { from: low, until: end },
    )) {
      if (value !== null) alerts.push({ lane: 'alerts', key: '', value });
    }
  }
  const correlations = finalsOf(alerts, codec);
  redis.disconnect();
  await admin.close();
  await kafka.close();
  return { ...result, matches: 0, correlations, peakRssMb: peak };
}

/** Event times as append times: the broker keeps what the producer says on this topic. */
async function fill(
  stack: Stack,
  of: {
    readonly load: Load;
    readonly events: number;
    readonly namespace: string;
    readonly encode: (line: WorkloadLine) => Buffer;
  },
): Promise<void> {
  const client = new kafkajs.Kafka({ brokers: [...stack.addresses.kafkaBrokers], logLevel: kafkajs.logLevel.NOTHING });
  const admin = client.admin();
  await admin.connect();
  const topic = `${of.namespace}.security.events`;
  const type = kafkajs.ConfigResourceTypes.TOPIC;
  const telemetry = `${of.namespace}.security.telemetry`;
  const stampedBy = (times: 'CreateTime' | 'LogAppendTime') =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [topic, telemetry].map((name) => ({
        type,
        name,
        configEntries: [
          { name: 'message.timestamp.type', value: times },
          { name: 'retention.ms', value: '-1' },
        ],
      })),
    });
  await stampedBy('CreateTime');
  const producer = client.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await producer.connect();
  const marker = { key: null, value: null, headers: { th_marker: 'end_of_input' } };
  const send = (messages: kafkajs.Message[]) => producer.send({ topic, messages, acks: -1 });
  let page: kafkajs.Message[] = [];
  let lastMs = 0;
  for (const text of workload(of.load, of.events)) {
    const line = JSON.parse(text) as WorkloadLine;
    lastMs = Date.parse(line['timestamp'] ?? '');
    const key = `${ORGANIZATION}|${line['event_id']}`;
    const partition = partitionForKey(key, EVENT_PARTITIONS);
    page.push({ key, value: of.encode(line), partition, timestamp: String(lastMs) });
    if (page.length < 5_000) continue;
    await send(page);
    page = [];
  }
  if (page.length > 0) await send(page);
  const timestamp = String(lastMs);
  await send(Array.from({ length: EVENT_PARTITIONS }, (_, partition) => ({ ...marker, partition, timestamp })));
  await producer.send({ topic: telemetry, messages: [{ ...marker, partition: 0, timestamp }], acks: -1 });
  await producer.disconnect();
  // What is written keeps its times; the correlator refuses a topic that would go on taking those of senders.
  await stampedBy('LogAppendTime');
  await admin.disconnect();
}

type Measured = {
  readonly perCpuSecond: Spread;
  readonly perSecond: Spread;
  readonly redisMicros: Spread;
  readonly peakRssMb: number;
};
export type LoadResult = {
  readonly load: Load;
  readonly events: number;
  readonly correlations: Counts;
  readonly engine: Measured;
  readonly memory: Measured;
  readonly kafka: Measured & { readonly brokerMicros: Spread };
  readonly peer?: { readonly perCpuSecond: Spread; readonly engineRatio: Spread; readonly kafkaRatio: Spread };
};

type LaneOptions = {
  readonly events: number;
  readonly runs: number;
  readonly presets: readonly Load[];
  readonly peer?: string;
  readonly onLine: (line: string) => void;
};

export async function runCorrelatorLane(options: LaneOptions): Promise<readonly LoadResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'tracehound-bench-'));
  const directory = join(repositoryRoot(), '.tracehound', `test-${process.pid}-bench`);
  const stack = await openStack({ directory, mode: 'native' });
  try {
    const results: LoadResult[] = [];
    for (const load of options.presets) {
      const result = await runLoad(stack, load, folder, options);
      options.onLine(textOf(result));
      results.push(result);
    }
    return results;
  } finally {
    await stack.stop({ wipe: true });
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runLoad(stack: Stack, load: Load, folder: string, options: LaneOptions): Promise<LoadResult> {
  const { events, runs, peer } = options;
  const file = join(folder, `${load}.ndjson`);
  writeFileSync(file, `${[...workload(load, events)].join('\n')}\n`);
  writeFileSync(join(folder, 'peer.yml'), workloadRules(DETECTIONS, true, { explicit: true }));
  const wanted = expectedEpisodes(workload(load, events));
  const engine: Run[] = [];
  const memory: Run[] = [];
  const kafka: KafkaRun[] = [];
  const peers: ProcessRun[] = [];
  const redisUrl = stack.addresses.redisStateUrl;
  for (let run = 0; run < runs; run++) {
    const namespace = (source: string): string => `b${load}${source}${run}`;
    const inMemory = (source: Source): Run =>
      runCell<Cell, Run>(import.meta.url, { source, load, events, redisUrl, namespace: namespace(source) });
    engine.push(inMemory('engine'));
    assertSameCounts(`engine, ${load}`, engine[run]?.correlations ?? {}, wanted);
    if (peer !== undefined) peers.push(await runPeer(peer, file, folder));
    memory.push(inMemory('memory'));
    assertSameCounts(`memory, ${load}`, memory[run]?.correlations ?? {}, wanted);
    kafka.push(await runFromKafka(stack, load, events, namespace('kafka')));
    assertSameCounts(`kafka, ${load}`, kafka[run]?.correlations ?? {}, wanted);
  }
  const measured = (list: readonly Run[]): Measured => ({
    perCpuSecond: spreadOf(list.map(({ cpuSeconds }) => events / cpuSeconds)),
    perSecond: spreadOf(list.map(({ wallSeconds }) => events / wallSeconds)),
    redisMicros: spreadOf(list.map(({ redisCpuSeconds }) => (redisCpuSeconds * 1e6) / events)),
    peakRssMb: Math.max(...list.map((run) => run.peakRssMb)),
  });
  const ratio = (list: readonly Run[]): Spread =>
    spreadOf(peers.map(({ cpuSeconds }, index) => cpuSeconds / (list[index]?.cpuSeconds ?? Number.NaN)));
  return {
    load,
    events,
    correlations: wanted,
    engine: measured(engine),
    memory: measured(memory),
    kafka: {
      ...measured(kafka),
      brokerMicros: spreadOf(kafka.map(({ brokerCpuSeconds }) => (brokerCpuSeconds * 1e6) / events)),
    },
    ...(peers.length > 0
      ? {
          peer: {
            perCpuSecond: spreadOf(peers.map(({ cpuSeconds }) => events / cpuSeconds)),
            engineRatio: ratio(engine),
            kafkaRatio: ratio(kafka),
          },
        }
      : {}),
  };
}

function textOf({ load, events, engine, memory, kafka, peer, correlations }: LoadResult): string {
  const found = Object.values(correlations).reduce((sum, count) => sum + count, 0);
  const part = (name: string, { perCpuSecond, perSecond, redisMicros }: Measured): string =>
    `${name} ${inThousands(perCpuSecond)} events per CPU second, ${inThousands(perSecond)} a second, Redis ${redisMicros.median.toFixed(2)} us an event`;
  const against = peer
    ? [
        `rsigma ${inThousands(peer.perCpuSecond)}; ratio engine ${peer.engineRatio.median.toFixed(2)}, kafka ${peer.kafkaRatio.median.toFixed(2)}`,
      ]
    : [];
  const parts = [part('engine', engine), part('memory', memory), part('kafka', kafka), ...against];
  return `${load}, ${events} events, ${found} final alerts as SQL says:\n  ${parts.join('\n  ')}`;
}

async function measureGroups(of: {
  readonly groups: number;
  readonly runs: number;
  readonly packedBytesMax: number | null;
}): Promise<GroupsResult> {
  const directory = join(repositoryRoot(), '.tracehound', `test-${process.pid}-bench`);
  const stack = await openStack({ directory, mode: 'native' });
  try {
    const { redisStateUrl: redisUrl } = stack.addresses;
    return await runGroups({ ...of, redisUrl }, (cell) => runCell(import.meta.url, cell));
  } finally {
    await stack.stop({ wipe: true });
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      runs: { type: 'string', default: '3' },
      events: { type: 'string', default: '300000' },
      presets: { type: 'string', default: 'real,hot' },
      peer: { type: 'string' },
      groups: { type: 'string' },
      'packed-bytes': { type: 'string' },
    },
  });
  if (values.groups !== undefined) {
    const bytes = values['packed-bytes'];
    const packedBytesMax = bytes === undefined ? null : Number(bytes);
    const groups = await measureGroups({ groups: Number(values.groups), runs: Number(values.runs), packedBytesMax });
    process.stderr.write(`${groupsText(groups)}\n`);
    if (values.json) process.stdout.write(`${JSON.stringify({ lane: 'correlator', groups })}\n`);
    return;
  }
  const loads = await runCorrelatorLane({
    events: Number(values.events),
    runs: Number(values.runs),
    presets: (['real', 'hot'] as const).filter((preset) => values.presets.split(',').includes(preset)),
    ...(values.peer === undefined ? {} : { peer: values.peer }),
    onLine: (line) => process.stderr.write(`${line}\n`),
  });
  if (values.json) process.stdout.write(`${JSON.stringify({ lane: 'correlator', loads })}\n`);
}

const cell = cellOf<Cell | GroupsCell>();
if (cell !== undefined) {
  process.stdout.write(JSON.stringify(await ('groups' in cell ? runGroupsCell(cell) : runInMemory(cell))));
}
if (cell === undefined && process.argv[1] === import.meta.filename) await main();
