/**
 * Lane `e2e`: the thin path as it stands, from the gateway's acknowledgement to the alert record, on real servers of
 * this machine that it starts itself. Two measurements per run: latency at a modest stated rate, then throughput with
 * the gateway saturated by a few senders. A baseline: there is no target yet.
 *
 *   npm run bench -- e2e [--json] [--runs 3] [--events 20000] [--rate 200]
 */
import { readFileSync, rmSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  type Deployment,
  ensureSecrets,
  type ScenarioEvent,
  sendEvents,
  startDeployment,
  startWebhookReceiver,
  waitSettled,
} from '@tracehound/cli';
import { openStack, repositoryRoot } from '@tracehound/stack';
import { cpuSecondsOf } from '../measure/processes.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    runs: { type: 'string', default: '3' },
    events: { type: 'string', default: '20000' },
    rate: { type: 'string', default: '200' },
  },
});
const RUNS = Number(values.runs);
const EVENTS = Number(values.events);
const RATE = Number(values.rate);
const SENDERS = 4;
const ATTACKS = 100;
const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Five refused keys of one actor make one alert; each attack is an actor of its own, so alerts = attacks. */
const RULES = `title: Refused keys
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
  condition: { gte: 5 }
level: high
`;

const event = (type: string, actor: string, session: string): ScenarioEvent => ({
  event_type: type,
  occurred_at: new Date().toISOString(),
  organization_id: 'acme',
  actor: { type: 'user', id: actor },
  source: { platform: 'bench', service: 'generator', version: '1' },
  session_id: session,
});

const cpuSeconds = (pid: number | undefined): number => (pid === undefined ? 0 : cpuSecondsOf(pid));

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
const median = (list: readonly number[]): number =>
  quantile(
    [...list].sort((a, b) => a - b),
    0.5,
  );

async function alertTimes(deployment: Deployment): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const topic = deployment.topic('security.alerts');
  for (const { partition } of await deployment.admin.offsets(topic)) {
    for await (const record of deployment.kafka.read({ topic, partition })) {
      if (record.value === null) continue;
      const decoded = await deployment.codec.decode(record.value);
      if (decoded.name !== 'tracehound.pipeline.v1.CorrelationAlert' || decoded.value.kind !== 'OPEN') continue;
      found.set(decoded.value.group[0]?.value ?? '', record.appendTimeMs);
    }
  }
  return found;
}

const settled = (deployment: Deployment): Promise<void> =>
  waitSettled({
    admin: deployment.admin,
    topic: deployment.topic,
    group: deployment.group,
    timeoutMs: 300_000,
    hopeless: deployment.hopeless,
  });

/** One attack every few milliseconds: its five events in one request, so the last acknowledgement is the trigger's. */
async function latency(
  deployment: Deployment,
  apiKey: string,
  run: number,
): Promise<{ p50: number; p99: number; alerts: number }> {
  const acked = new Map<string, number>();
  const sends: Promise<void>[] = [];
  for (let i = 0; i < ATTACKS; i++) {
    const actor = `attacker-${run}-${i}`;
    sends.push(
      sendEvents(
        Array.from({ length: 5 }, () => event('auth.login.failure', actor, `s${i}`)),
        { url: deployment.gatewayUrl, apiKey },
      ).then((report) => {
        acked.set(actor, Math.max(...report.acknowledged.map((entry) => entry.ackedAtMs)));
      }),
    );
    await delay((5 / RATE) * 1_000);
  }
  await Promise.all(sends);
  await settled(deployment);
  const times = await alertTimes(deployment);
  // The broker appends with its own clock, which is this machine's; an append may precede the answer's arrival here.
  const delays = [...acked].flatMap(([actor, at]) =>
    times.has(actor) ? [Math.max(0, (times.get(actor) ?? 0) - at)] : [],
  );
  delays.sort((a, b) => a - b);
  return { p50: quantile(delays, 0.5), p99: quantile(delays, 0.99), alerts: delays.length };
}

async function throughput(deployment: Deployment, apiKey: string, run: number): Promise<Record<string, number>> {
  const pids = [...deployment.services.values()].map((service) => [service.name, service.pid] as const);
  const before = new Map(pids.map(([name, pid]) => [name, cpuSeconds(pid)]));
  const began = performance.now();
  const share = Math.floor(EVENTS / SENDERS);
  const reports = await Promise.all(
    Array.from({ length: SENDERS }, (_, sender) =>
      sendEvents(
        Array.from({ length: share }, (_unused, i) =>
          event(
            i % 50 === 0 ? 'auth.login.failure' : 'auth.login.success',
            `user-${run}-${sender}-${i % 997}`,
            `s${i}`,
          ),
        ),
        { url: deployment.gatewayUrl, apiKey },
      ),
    ),
  );
  const ackedSeconds = (performance.now() - began) / 1_000;
  await settled(deployment);
  const settledSeconds = (performance.now() - began) / 1_000;
  const accepted = reports.reduce((sum, report) => sum + report.acknowledged.length, 0);
  if (accepted !== share * SENDERS) throw new Error(`only ${accepted} of ${share * SENDERS} events were accepted`);
  const { rows } = await deployment.pool.query<{ n: bigint }>(
    `select count(*) as n from audit.event where kind = 'event' and not is_duplicate and actor_id like $1`,
    [`user-${run}-%`],
  );
  if (Number(rows[0]?.n) !== accepted) throw new Error(`${rows[0]?.n} audit rows for ${accepted} events`);
  return {
    gateway_events_per_s: accepted / ackedSeconds,
    whole_way_events_per_s: accepted / settledSeconds,
    ...Object.fromEntries(
      pids.map(([name, pid]) => [
        `cpu_s_per_100k_${name}`,
        ((cpuSeconds(pid) - (before.get(name) ?? 0)) / accepted) * 100_000,
      ]),
    ),
  };
}

const root = repositoryRoot();
const directory = join(root, '.tracehound', 'bench');
const stack = await openStack({ directory, onProgress: say });
const receiver = await startWebhookReceiver({
  secretFile: ensureSecrets(join(directory, 'secrets')).webhookSecretFile,
});
const results: Record<string, number>[] = [];
try {
  for (let run = 0; run < RUNS; run++) {
    const deployment = await startDeployment({
      root,
      directory,
      addresses: stack.addresses,
      namespace: `bench-${Date.now().toString(36)}`,
      rules: [{ path: 'bench.yml', content: RULES }],
      latenessMs: 120_000,
      receiverUrl: receiver.url,
      env: { TRACEHOUND_GATEWAY_KEY_EVENTS_PER_SECOND: '1000000', TRACEHOUND_GATEWAY_KEY_EVENTS_BURST: '1000000' },
    });
    try {
      const apiKey = readFileSync(deployment.secrets.platformKeyFile, 'utf8').trim();
      const quiet = await latency(deployment, apiKey, run);
      if (quiet.alerts !== ATTACKS) throw new Error(`${quiet.alerts} alerts for ${ATTACKS} attacks`);
      const busy = await throughput(deployment, apiKey, run);
      results.push({ latency_p50_ms: quiet.p50, latency_p99_ms: quiet.p99, ...busy });
      say(`run ${run + 1}: ${JSON.stringify(results.at(-1))}`);
    } finally {
      await deployment.stop();
    }
  }
} finally {
  await receiver.close();
  await stack.stop({ wipe: true });
  rmSync(directory, { recursive: true, force: true });
}

const report = {
  lane: 'e2e',
  command: `npm run bench -- e2e --runs ${RUNS} --events ${EVENTS} --rate ${RATE}`,
  machine: `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores, Node ${process.versions.node}`,
  input: `${ATTACKS} attacks of 5 events at ${RATE} events/s for latency; ${EVENTS} events, 2 % matching, ${SENDERS} senders of 256-event NDJSON for throughput`,
  runs: RUNS,
  counts: 'alerts = attacks, audit rows = accepted events, checked in every run',
  figures: Object.fromEntries(
    Object.keys(results[0] ?? {}).map((key) => {
      const list = results.map((result) => result[key] ?? Number.NaN);
      return [key, { median: median(list), min: Math.min(...list), max: Math.max(...list) }];
    }),
  ),
};
if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
else {
  process.stdout.write(`${report.machine}\n${report.input}\n`);
  for (const [key, figure] of Object.entries(report.figures)) {
    process.stdout.write(
      `  ${key.padEnd(36)} ${figure.median.toFixed(1).padStart(12)}  (${figure.min.toFixed(1)} to ${figure.max.toFixed(1)})\n`,
    );
  }
}
