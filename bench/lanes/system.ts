/**
 * Lane `system`: the whole system on this machine, from a client's request to the audit row and the notice. Senders keep a stated rate
 * of SDK events for some seconds, rate after rate; each service is a process of its own, with the servers and the senders on the
 * same cores. A rate is sustained when the gateway takes it and the sink stays less than 5 s behind. Counts are checked after
 * every rate: audit rows equal accepted events, and every planted attack alerts once.
 *
 *   npm run bench -- system [--json] [--rates 1000,2000,4000,8000] [--seconds 20]
 */
import { readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  type Deployment,
  ensureSecrets,
  requireRuleFiles,
  type ScenarioEvent,
  sendEvents,
  startDeployment,
  startWebhookReceiver,
  waitSettled,
} from '@tracehound/cli';
import { openStack, processTree, repositoryRoot, type Stack } from '@tracehound/stack';
import { cpuSecondsOf } from '../measure/processes.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rates: { type: 'string', default: '1000,2000,4000,8000' },
    seconds: { type: 'string', default: '20' },
  },
});
const RATES = values.rates.split(',').map(Number);
const SECONDS = Number(values.seconds);
const SENDERS = 8;
const BATCH_EVENTS = 256;
const BEAT_MS = 20;
const LAG_SECONDS_MAX = 5;
/** Of a rate that is asked for, this much must have been taken in time. */
const TAKEN_SHARE_MIN = 0.98;
const ATTACK_EVENTS = 5;
const ATTACKS_PER_SECOND = 2;
/** One event in so many is a refused login of somebody else. */
const REFUSED_EVERY = 50;
const SETTLE_MS = 300_000;
/** Before the first rate: code is compiled, connections stand. */
const WARM_RATE = 500;

const RULES = `title: Refused logins of the bench
id: be0c0000-0000-4000-8000-000000000001
name: refused
status: test
logsource: { product: tracehound }
detection: { selection: { event_type: auth.login.failure }, condition: selection }
level: informational
---
title: Bench brute force
id: be0c0000-0000-4000-8000-000000000002
status: test
correlation:
  type: event_count
  rules: [refused]
  group-by: [actor.id]
  timespan: 10m
  condition: { gte: ${ATTACK_EVENTS} }
level: high
`;

type Rate = {
  readonly rate: number;
  readonly taken: number;
  readonly accepted: number;
  readonly attacks: number;
  /** The most that was seen, seconds of traffic at the rate that was taken. */
  readonly sinkLagSeconds: number;
  readonly correlatorLagSeconds: number;
  /** CPU seconds per second and part: 1 is a whole core. */
  readonly cores: Readonly<Record<string, number>>;
  readonly isSustained: boolean;
};

/** Distinct actors, so that refused logins alone never make an attack. */
function* traffic(name: string): Generator<ScenarioEvent, never> {
  for (let index = 0; ; index++) {
    const type = index % REFUSED_EVERY === 0 ? 'auth.login.failure' : 'auth.login.success';
    yield eventOf(type, `${name}-user-${index % 100_003}`);
  }
}

function eventOf(type: string, actor: string): ScenarioEvent {
  return {
    event_type: type,
    occurred_at: new Date().toISOString(),
    organization_id: 'acme',
    actor: { type: 'user', id: actor },
    source: { platform: 'bench', service: 'generator', version: '1' },
  };
}

/** Keeps the rate; what the gateway does not take waits in a queue, and the rate taken says so. */
async function play(
  deployment: Deployment,
  of: { readonly rate: number; readonly name: string },
): Promise<{ readonly accepted: number; readonly attacks: number; readonly wallSeconds: number }> {
  const apiKey = readFileSync(deployment.secrets.platformKeyFile, 'utf8').trim();
  const lines = traffic(of.name);
  const queue: ScenarioEvent[] = [];
  let [accepted, attacks, isOver] = [0, 0, false];
  const sender = async (): Promise<void> => {
    while (!isOver || queue.length > 0) {
      const events = queue.splice(0, BATCH_EVENTS);
      if (events.length === 0) {
        await delay(BEAT_MS);
        continue;
      }
      const { acknowledged } = await sendEvents(events, { url: deployment.gatewayUrl, apiKey });
      accepted += acknowledged.length;
    }
  };
  const senders = Array.from({ length: SENDERS }, sender);
  const beganMs = performance.now();
  let queued = 0;
  for (let nowMs = beganMs; nowMs < beganMs + SECONDS * 1_000; nowMs = performance.now()) {
    const seconds = (nowMs - beganMs) / 1_000;
    for (; attacks < Math.floor(seconds * ATTACKS_PER_SECOND); attacks++) {
      for (let hit = 0; hit < ATTACK_EVENTS; hit++)
        queue.push(eventOf('auth.login.failure', `${of.name}-attacker-${attacks}`));
      queued += ATTACK_EVENTS;
    }
    for (; queued < Math.floor(seconds * of.rate); queued++) queue.push(lines.next().value);
    await delay(BEAT_MS); // The pace of the traffic.
  }
  isOver = true;
  await Promise.all(senders);
  if (accepted !== queued) throw new Error(`only ${accepted} of ${queued} events were accepted`);
  return { accepted, attacks, wallSeconds: (performance.now() - beganMs) / 1_000 };
}

/** Records of `security.events` that correlator A has still to commit. */
async function behindCorrelator(deployment: Deployment): Promise<number> {
  const topic = deployment.topic('security.events');
  const commits = await deployment.admin.committed(deployment.group('correlator-a'), topic);
  return behind(deployment, (partition) => commits.find((commit) => commit.partition === partition)?.offset ?? null);
}

/** Records that are no audit row yet, as the sink's own offsets say: its commits to Kafka come seconds later. */
async function behindSink(deployment: Deployment): Promise<number> {
  const { rows } = await deployment.pool.query<{ kafka_partition: number; next_offset: bigint }>(
    `select kafka_partition, next_offset from audit.sink_offset where topic = 'security.events'`,
  );
  if (rows.length === 0) throw new Error('the sink holds no partition of security.events');
  return behind(deployment, (partition) => {
    const offset = rows.find((row) => row.kafka_partition === partition)?.next_offset;
    return offset === undefined ? null : BigInt(offset);
  });
}

async function behind(deployment: Deployment, nextOf: (partition: number) => bigint | null): Promise<number> {
  let records = 0;
  for (const { partition, low, high } of await deployment.admin.offsets(deployment.topic('security.events')))
    records += Math.max(0, Number(high - (nextOf(partition) ?? low)));
  return records;
}

/** Looks once a second until it is stopped; gives the most that was seen. */
function watchLag(look: () => Promise<number>): { stop(): Promise<number> } {
  let most = 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      most = Math.max(most, await look());
      await delay(1_000); // The rhythm of the samples.
    }
  })();
  return {
    async stop() {
      isOver = true;
      await watching;
      return most;
    },
  };
}

/** CPU seconds so far of every part, with all processes under it. */
function cpuOf(parts: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const seconds = (pid: number): number => {
    try {
      return cpuSecondsOf(pid);
    } catch {
      return 0; // It ended between the two looks.
    }
  };
  return new Map([...parts].map(([name, pid]) => [name, processTree(pid).reduce((sum, one) => sum + seconds(one), 0)]));
}

async function partsOf(stack: Stack, deployment: Deployment): Promise<ReadonlyMap<string, number>> {
  const parts = new Map<string, number>([['senders', process.pid]]);
  for (const service of deployment.services.values()) if (service.pid) parts.set(service.name, service.pid);
  for (const { name, pid } of await stack.status()) if (pid !== null) parts.set(name, pid);
  return parts;
}

async function measure(stack: Stack, deployment: Deployment, rate: number, name = `r${rate}`): Promise<Rate> {
  const parts = await partsOf(stack, deployment);
  const before = cpuOf(parts);
  const ownBefore = process.cpuUsage();
  const lags = [behindSink, behindCorrelator].map((look) => watchLag(() => look(deployment)));
  const { accepted, attacks, wallSeconds } = await play(deployment, { rate, name });
  const own = process.cpuUsage(ownBefore);
  const after = cpuOf(parts);
  const [sinkLag = 0, correlatorLag = 0] = await Promise.all(lags.map((lag) => lag.stop()));
  await waitSettled({ ...deployment, timeoutMs: SETTLE_MS });
  await checkCounts(deployment, { name, accepted, attacks });
  const taken = accepted / wallSeconds;
  const cores = [...after].map(([part, seconds]) => [part, (seconds - (before.get(part) ?? 0)) / wallSeconds] as const);
  const sinkLagSeconds = sinkLag / taken;
  return {
    ...{ rate, taken, accepted, attacks, sinkLagSeconds },
    correlatorLagSeconds: correlatorLag / taken,
    // The services run under this process: of it only its own time counts.
    cores: { ...Object.fromEntries(cores), senders: (own.user + own.system) / 1e6 / wallSeconds },
    isSustained: taken >= TAKEN_SHARE_MIN * rate && sinkLagSeconds < LAG_SECONDS_MAX,
  };
}

async function checkCounts(
  deployment: Deployment,
  { name, accepted, attacks }: { readonly name: string; readonly accepted: number; readonly attacks: number },
): Promise<void> {
  const rows = await count(
    deployment,
    `select count(*) as n from audit.event where kind = 'event' and not is_duplicate and actor_id like $1`,
    `${name}-%`,
  );
  if (rows !== accepted) throw new Error(`${rows} audit rows for ${accepted} events`);
  const alerted = new Set<string>();
  const topic = deployment.topic('security.alerts');
  for (const { partition } of await deployment.admin.offsets(topic)) {
    for await (const record of deployment.kafka.read({ topic, partition })) {
      const decoded = await deployment.codec.decode(record.value ?? Buffer.alloc(0));
      if (decoded.name !== 'tracehound.pipeline.v1.CorrelationAlert') continue;
      if (decoded.value.rule.title === 'Bench brute force') alerted.add(decoded.value.group[0]?.value ?? '');
    }
  }
  const found = [...alerted].filter((actor) => actor.startsWith(`${name}-`));
  if (found.length !== attacks || found.some((actor) => !actor.includes('-attacker-')))
    throw new Error(`${found.length} alerts for ${attacks} attacks`);
}

async function count({ pool }: Deployment, query: string, like: string): Promise<number> {
  const { rows } = await pool.query<{ n: bigint }>(query, [like]);
  return Number(rows[0]?.n);
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const root = repositoryRoot();
const directory = join(root, '.tracehound', `bench-system-${process.pid}`);
const stack = await openStack({ directory, mode: 'native', onProgress: say });
const receiver = await startWebhookReceiver({
  secretFile: ensureSecrets(join(directory, 'secrets')).webhookSecretFile,
});
const results: Rate[] = [];
try {
  const deployment = await startDeployment({
    ...{ root, directory, addresses: stack.addresses, namespace: 'bench', latenessMs: 120_000 },
    rules: [...requireRuleFiles([join(root, 'rules')]), { path: 'bench.yml', content: RULES }],
    receiverUrl: receiver.url,
    env: { TRACEHOUND_GATEWAY_KEY_EVENTS_PER_SECOND: '1000000', TRACEHOUND_GATEWAY_KEY_EVENTS_BURST: '1000000' },
  });
  try {
    await measure(stack, deployment, WARM_RATE, 'warm');
    for (const rate of RATES) {
      const one = await measure(stack, deployment, rate);
      results.push(one);
      say(`${rate} events/s: took ${Math.round(one.taken)}, sink ${one.sinkLagSeconds.toFixed(1)} s behind at most`);
    }
  } finally {
    await deployment.stop();
  }
} finally {
  await receiver.close();
  await stack.stop({ wipe: true });
  rmSync(directory, { recursive: true, force: true });
}
if (values.json) {
  process.stdout.write(
    `${JSON.stringify({ lane: 'system', cores: availableParallelism(), seconds: SECONDS, results })}\n`,
  );
} else {
  for (const { rate, taken, sinkLagSeconds, correlatorLagSeconds, isSustained, cores } of results) {
    const shares = Object.entries(cores)
      .toSorted(([, a], [, b]) => b - a)
      .map(([part, share]) => `${part} ${share.toFixed(2)}`);
    process.stdout.write(
      `${rate} events/s: took ${Math.round(taken)}, behind at most: sink ${sinkLagSeconds.toFixed(1)} s, ` +
        `correlator ${correlatorLagSeconds.toFixed(1)} s; ${isSustained ? 'sustained' : 'not sustained'}\n  cores: ${shares.join(', ')}\n`,
    );
  }
}
