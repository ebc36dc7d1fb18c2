/**
 * Lane `latency`: from the broker's acknowledgement of the event that makes an alert true to the alert record in the log, while a
 * correlator process takes steady traffic (preset `real`, 100 detections and 10 correlations) at a given rate. Production pacing, one
 * worker, one broker. Every probe is two events of its own group; all must alert, or nothing is reported. The broker stamps the
 * alert with this machine's clock, so both ends are of one clock; to a millisecond.
 *
 *   npm run bench -- latency [--json] [--rates 1000,10000] [--seconds 20] [--runs 3]
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type AvroCodec, createAvroCodec, createRegistry, registerRecords } from '@tracehound/avro';
import { applyTopics, publishRuleSet } from '@tracehound/cli';
import { RECORD_NAMES } from '@tracehound/event-model';
import { createKafkaJsClient, type KafkaClient, type KafkaProducer } from '@tracehound/kafka';
import { openStack, repositoryRoot, type Stack } from '@tracehound/stack';
import { externalEvent, ORGANIZATION, type WorkloadLine } from '../measure/avro-workload.ts';
import { LATENESS_MS, ruleFiles } from '../measure/correlator-partitions.ts';
import { cpuSecondsOf, startCorrelator } from '../measure/processes.ts';
import { type Spread, spreadOf } from '../measure/statistics.ts';
import { workload } from '../workload/events.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rates: { type: 'string', default: '1000,10000' },
    seconds: { type: 'string', default: '20' },
    runs: { type: 'string', default: '3' },
  },
});
const RATES = values.rates.split(',').map(Number);
const SECONDS = Number(values.seconds);
const RUNS = Number(values.runs);
const BEAT_MS = 20;
const PROBES_PER_SECOND = 20;
/** Traffic before the first probe: code is compiled and windows exist. */
const WARM_MS = 5_000;
const PATIENCE_MS = 30_000;

const PROBE_RULES = `title: Probe step
id: be0c0000-0000-4000-8000-0000000000a1
name: probe_step
logsource: { category: workload }
detection: { s: { event_type: latency_probe }, condition: s }
level: informational
---
title: Probe
id: be0c0000-0000-4000-8000-0000000000a2
correlation: { type: event_count, rules: [probe_step], group-by: [user], timespan: 5m, condition: { gte: 2 } }
level: high
`;

type Run = {
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
  readonly probes: number;
  /** Share of one core that the correlator took. */
  readonly cpu: number;
};

/** Lines of the workload without end, each stamped with the present. */
function* traffic(): Generator<WorkloadLine, never> {
  for (let round = 0; ; round++) {
    for (const text of workload('real', 200_000)) {
      const line = JSON.parse(text) as WorkloadLine;
      yield { ...line, event_id: `${round}-${line['event_id']}`, timestamp: new Date().toISOString() };
    }
  }
}

async function measure(stack: Stack, rate: number, namespace: string): Promise<Run> {
  const kafka = createKafkaJsClient({ brokers: stack.addresses.kafkaBrokers, clientId: 'bench' });
  const registry = createRegistry({ url: stack.addresses.registryUrl });
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare(RECORD_NAMES);
  await applyTopics({ kafka, namespace, profile: 'local' });
  const files = [...ruleFiles(), { path: 'probe.yml', content: PROBE_RULES }];
  await publishRuleSet({ kafka, codec, namespace, files, latenessMs: LATENESS_MS, principal: 'bench' });
  const child = startCorrelator(stack, namespace);
  const producer = await kafka.producer();
  try {
    const pid = child.pid ?? process.pid;
    const { acked, cpuSeconds, wallSeconds } = await play({ producer, codec, namespace, rate, pid });
    const alerted = await alertTimes({ kafka, codec, namespace }, acked.size);
    const delays = [...acked].flatMap(([user, at]) => {
      const alertMs = alerted.get(user);
      return alertMs === undefined ? [] : [Math.max(0, alertMs - at)];
    });
    if (delays.length < acked.size) {
      throw new Error(`${acked.size - delays.length} of ${acked.size} probes did not alert; nothing was measured`);
    }
    delays.sort((a, b) => a - b);
    const at = (share: number): number => delays[Math.min(delays.length - 1, Math.floor(share * delays.length))] ?? 0;
    return { p50: at(0.5), p99: at(0.99), most: at(1), probes: delays.length, cpu: cpuSeconds / wallSeconds };
  } finally {
    child.kill('SIGTERM');
    await producer.close();
    await kafka.close();
  }
}

type Played = {
  /** When the second event of each probe was acknowledged, by its group. */
  readonly acked: ReadonlyMap<string, number>;
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
};

async function play(of: {
  readonly producer: KafkaProducer;
  readonly codec: AvroCodec;
  readonly namespace: string;
  readonly rate: number;
  readonly pid: number;
}): Promise<Played> {
  const topic = `${of.namespace}.security.events`;
  const lines = traffic();
  const acked = new Map<string, number>();
  const sends: Promise<unknown>[] = [];
  const recordOf = (line: WorkloadLine) => ({
    key: `${ORGANIZATION}|${line['event_id']}`,
    value: of.codec.encode('tracehound.events.v1.ExternalEvent', externalEvent(line)),
  });
  const beganMs = performance.now();
  const endMs = beganMs + WARM_MS + SECONDS * 1_000;
  let [sent, probes, cpuSeconds] = [0, 0, 0];
  for (let nowMs = beganMs; nowMs < endMs; nowMs = performance.now()) {
    // What is behind after a pause is sent at once, so that the rate is the one that is stated.
    const due = Math.floor(((nowMs - beganMs) * of.rate) / 1_000) - sent;
    sent += due;
    if (due > 0)
      sends.push(
        of.producer.send(
          topic,
          Array.from({ length: due }, () => recordOf(lines.next().value)),
        ),
      );
    const warmMs = nowMs - beganMs - WARM_MS;
    if (warmMs > 0 && cpuSeconds === 0) cpuSeconds = cpuSecondsOf(of.pid);
    const probesDue = Math.floor((warmMs * PROBES_PER_SECOND) / 1_000) - probes;
    for (let probe = 0; probe < probesDue; probe++) {
      const user = `probe-${probes++}`;
      const timestamp = new Date().toISOString();
      const line = { ...lines.next().value, event_type: 'latency_probe', user, timestamp };
      const pair = [1, 2].map((n) => recordOf({ ...line, event_id: `${user}-${n}` }));
      sends.push(of.producer.send(topic, pair).then(() => acked.set(user, Date.now())));
    }
    await delay(BEAT_MS); // The pace of the traffic.
  }
  await Promise.all(sends);
  return { acked, cpuSeconds: cpuSecondsOf(of.pid) - cpuSeconds, wallSeconds: SECONDS };
}

/** Append time of the first alert of each probe, by its group. */
async function alertTimes(
  of: { readonly kafka: KafkaClient; readonly codec: AvroCodec; readonly namespace: string },
  wanted: number,
): Promise<ReadonlyMap<string, number>> {
  const topic = `${of.namespace}.security.alerts`;
  const admin = await of.kafka.admin();
  const untilMs = performance.now() + PATIENCE_MS;
  const times = new Map<string, number>();
  do {
    for (const { partition, low, high } of await admin.offsets(topic)) {
      if (low >= high) continue;
      for await (const record of of.kafka.read({ topic, partition }, { from: low, until: high })) {
        const decoded = await of.codec.decode(record.value ?? Buffer.alloc(0));
        if (decoded.name !== 'tracehound.pipeline.v1.CorrelationAlert' || decoded.value.rule.title !== 'Probe')
          continue;
        const user = decoded.value.group[0]?.value ?? '';
        times.set(user, Math.min(times.get(user) ?? Number.POSITIVE_INFINITY, record.appendTimeMs));
      }
    }
  } while (times.size < wanted && performance.now() < untilMs);
  await admin.close();
  return times;
}

const directory = join(repositoryRoot(), '.tracehound', `bench-latency-${process.pid}`);
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const kinds = ['kafka', 'registry', 'redis-state'] as const;
const stack = await openStack({ directory, mode: 'native', kinds, onProgress: say });
const results: { rate: number; p50: Spread; p99: Spread; most: Spread; cpu: Spread; probes: number }[] = [];
try {
  for (const rate of RATES) {
    const runs: Run[] = [];
    for (let run = 0; run < RUNS; run++) {
      const one = await measure(stack, rate, `r${rate}n${run}`);
      say(`${rate} events/s, run ${run + 1}: p50 ${one.p50} ms, p99 ${one.p99} ms, most ${one.most} ms`);
      runs.push(one);
    }
    const of = (pick: (run: Run) => number): Spread => spreadOf(runs.map(pick));
    const probes = runs.reduce((sum, one) => sum + one.probes, 0);
    results.push({
      ...{ rate, probes, p50: of((run) => run.p50), p99: of((run) => run.p99) },
      ...{ most: of((run) => run.most), cpu: of((run) => run.cpu) },
    });
  }
} finally {
  await stack.stop({ wipe: true });
  rmSync(directory, { recursive: true, force: true });
}
if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
  for (const { rate, p50, p99, most, cpu, probes } of results) {
    const text = ({ median, least, most: high }: Spread): string => `${median} (${least}-${high}) ms`;
    process.stdout.write(
      `${rate} events/s  p50 ${text(p50)}  p99 ${text(p99)}  most ${text(most)}  correlator ${Math.round(cpu.median * 100)} % of a core  ${probes} probes, all alerted\n`,
    );
  }
}
