import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import {
  type Deployment,
  ensureSecrets,
  finalAlerts,
  readAlertLog,
  runExplainAlert,
  runReplay,
  type ScenarioEvent,
  sendEvents,
  startDeployment,
  startWebhookReceiver,
  waitSettled,
} from '@tracehound/cli';
import { type CorrelationAlert, markerHeaders } from '@tracehound/event-model';
import { openStack, type Stack, type StackAddresses } from '@tracehound/stack';
import { sfc32, testStack, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { finalAlerts as oracleAlerts } from '../packages/correlation/oracle/index.ts';
import { ROOT } from './play-on.fixture.ts';
import { startMirror, type TopicMirror } from './topic-mirror.fixture.ts';

const TAKEOVER = 'be0c0000-0000-4000-8000-000000000023';
const GUESSING = 'be0c0000-0000-4000-8000-000000000024';
const STEPS = ['auth.login.failure', 'auth.login.success', 'data.exported'] as const;

const RULES = [
  ...STEPS.map(
    (type, i) => `title: ${type}
id: be0c0000-0000-4000-8000-00000000003${i}
name: step_${i}
status: test
logsource: { product: tracehound }
detection: { selection: { event_type: ${type} }, condition: selection }
level: informational
`,
  ),
  `title: Takeover in one trace
id: ${TAKEOVER}
status: test
correlation: { type: temporal_ordered, rules: [step_0, step_1, step_2], group-by: [trace_id], timespan: 30s }
level: critical
`,
  `title: Guessing
id: ${GUESSING}
status: test
correlation: { type: event_count, rules: [step_0], group-by: [actor.id], timespan: 10s, condition: { gte: 3 } }
level: high
`,
].join('---\n');

type ClusterId = 'eu' | 'us';
type Sent = { readonly cluster: ClusterId; readonly step: number; readonly trace: string; readonly actor: string } & {
  readonly id: string;
  readonly timeMs: number;
};

/** Attacks of five events, one second apart, each event on one of the two networks; some lack a step. */
function attacks(count: number, endMs: number): readonly Sent[] {
  const random = sfc32(208);
  return Array.from({ length: count }, (_, attack) => {
    const steps = attack % 4 === 3 ? [0, 0, 0, 2] : [0, 0, 0, 1, 2];
    const startMs = endMs - 8_000 - random.below(30_000);
    const first = random.pick(['eu', 'us'] as const);
    const second = first === 'eu' ? 'us' : 'eu';
    return steps.map((step, i) => ({
      cluster: i % 2 === 0 ? first : second,
      step,
      trace: (attack + 1).toString(16).padStart(32, '0'),
      actor: `actor-${attack}`,
      id: randomUUID(),
      timeMs: startMs + i * 1_000,
    }));
  }).flat();
}

function eventOf({ id, step, trace, actor, timeMs }: Sent): ScenarioEvent {
  return {
    event_id: id,
    event_type: STEPS[step] ?? '',
    occurred_at: new Date(timeMs).toISOString(),
    organization_id: 'acme',
    trace: { trace_id: trace },
    actor: { type: 'user', id: actor },
    source: { platform: 'test' },
  };
}

/** What the definitions say of all events, wherever they came in (X10). */
function oracle(events: readonly Sent[]) {
  const ask = (rule: string, group: (event: Sent) => string, definition: Parameters<typeof oracleAlerts>[0]) =>
    oracleAlerts(
      definition,
      events
        .filter(({ step }) => rule === TAKEOVER || step === 0)
        .map((event) => ({ organization: 'acme', group: group(event), value: null, ...event })),
    ).map(({ organization, group: key, firstAtMs, lastAtMs, eventIds }) => ({
      ...{ organization, rule, group: key, first_at: firstAtMs, last_at: lastAtMs },
      event_ids: [...eventIds].sort(),
    }));
  return [
    ...ask(TAKEOVER, ({ trace }) => trace, { type: 'temporal_ordered', spanMs: 30_000, threshold: 3 }),
    ...ask(GUESSING, ({ actor }) => actor, { type: 'event_count', spanMs: 10_000, threshold: 3 }),
  ].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

type Network = {
  readonly id: ClusterId;
  readonly registryUrl: string;
  readonly deployment: Deployment;
  readonly receiver: Awaited<ReturnType<typeof startWebhookReceiver>>;
};

const undo: (() => Promise<unknown>)[] = [];
const fatal: unknown[] = [];

/** A deployment that reads the topics of the other one, with the secrets both share. */
async function network(id: ClusterId, at: { addresses: StackAddresses; namespace: string; other: string }) {
  const directory = mkdtempSync(join(tmpdir(), `tracehound-${id}-`));
  cpSync(SECRETS, join(directory, 'secrets'), { recursive: true });
  const receiver = await startWebhookReceiver({ secretFile: join(directory, 'secrets', 'webhook-secret') });
  undo.push(() => receiver.close());
  const deployment = await startDeployment({
    ...{ root: ROOT, directory, addresses: at.addresses, namespace: at.namespace, latenessMs: 120_000 },
    rules: [{ path: 'cross-network.yml', content: RULES }],
    receiverUrl: receiver.url,
    mirrored: [`${at.other}.security.events`, `${at.other}.security.telemetry`],
    env: {
      TRACEHOUND_CLUSTER_ID: id,
      TRACEHOUND_ALERTER_HOMES: '*=eu',
      // A slow machine must not lead to notices without details: that the evidence is there is part of the test.
      TRACEHOUND_ALERTER_REFETCH_WAIT: '30s',
    },
  });
  undo.push(() => deployment.stop());
  return { id, registryUrl: at.addresses.registryUrl, deployment, receiver } satisfies Network;
}

/** Addresses are hashed with one key, and one analyst may read both: the secrets of both deployments are the same. */
const SECRETS = mkdtempSync(join(tmpdir(), 'tracehound-secrets-'));
ensureSecrets(SECRETS);

/** From the topics of `from` to those with its alias at `to`. */
function mirror(from: Network, to: Network, copies: number): Promise<TopicMirror> {
  const names = ['security.events', 'security.telemetry'].map((name) => from.deployment.topic(name));
  const topics = new Map(names.map((name) => [`${from.id}.${name}`, name]));
  const groupId = `${from.deployment.group('mirror')}-to-${to.id}`;
  return startMirror({ from, to, topics, groupId, copies, onFatal: (error) => void fatal.push(error) });
}

async function endInput({ deployment }: Network, topics: readonly string[]): Promise<void> {
  const producer = await deployment.kafka.producer();
  for (const topic of topics) {
    const end = { key: null, value: null, headers: markerHeaders('end_of_input', topic) };
    for (const { partition } of await deployment.admin.offsets(topic)) {
      await producer.sendTo({ topic, partition }, [end]);
    }
  }
  await producer.close();
}

/** What a mirror does that does not look where records come from: events of this network come home. Returns how many. */
async function sendHome({ deployment }: Network): Promise<number> {
  const producer = await deployment.kafka.producer();
  const own = deployment.topic('security.events');
  const [target = ''] = deployment.mirrored;
  let events = 0;
  for (const { partition, high } of await deployment.admin.offsets(own)) {
    for await (const { key, value, headers } of deployment.kafka.read({ topic: own, partition }, { until: high })) {
      if (value === null) continue;
      await producer.sendTo({ topic: target, partition }, [{ key, value, headers }]);
      events += 1;
    }
  }
  await producer.close();
  return events;
}

/** Sum over the series of a counter of a service that hold `filter`. */
async function metric(network: Network, service: 'correlator' | 'alerter', filter: string): Promise<number> {
  const url = network.deployment.services.get(service)?.internalUrl ?? '';
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(`${service}_verdicts_total{`));
  return lines
    .filter((line) => line.includes(`reason="${filter}"`))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

type Delivery = { readonly state: string; readonly thin: boolean };

async function deliveries({ deployment }: Network): Promise<readonly Delivery[]> {
  const token = readFileSync(deployment.secrets.alerterTokenFile, 'utf8').trim();
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${deployment.alerterUrl}/v1/deliveries?limit=500`, { headers });
  return ((await response.json()) as { deliveries: Delivery[] }).deliveries;
}

function contextOf({ deployment }: Network, lines: string[]) {
  const { kafka, admin, codec } = deployment;
  const terminal = { out: (line: string) => void lines.push(line), note: () => undefined };
  const screen = { ...terminal, noteColours: false, outColours: false, width: 120 };
  // Namespaces end where the names of topics begin.
  const namespace = deployment.topic('').slice(0, -1);
  return { kafka, admin, codec, namespace, terminal: screen, now: Date.now };
}

async function diffLive(network: Network): Promise<readonly string[]> {
  const lines: string[] = [];
  const context = { ...contextOf(network, lines), stdout: new PassThrough(), onProgress: () => undefined };
  await runReplay({ diffLive: true, format: 'table' }, context);
  return lines;
}

async function explained(network: Network, alert: string): Promise<readonly string[]> {
  const lines: string[] = [];
  await runExplainAlert({ alert, format: 'table' }, contextOf(network, lines));
  return lines;
}

const finalIds = (log: readonly CorrelationAlert[]): string[] =>
  [...new Set(log.filter(({ kind }) => kind === 'FINAL').map(({ alert_id }) => alert_id))].sort();

let stack: Stack;
let eu: Network;
let us: Network;

beforeAll(async () => {
  const shared = await testStack();
  stack = await openStack({ directory: mkdtempSync(join(tmpdir(), 'tracehound-us-')), mode: 'native' });
  undo.push(() => stack.stop({ wipe: true }));
  // The registries give other ids to the same schemas.
  await fetch(`${stack.addresses.registryUrl}/subjects/unrelated/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: '{"type":"record","name":"Unrelated","fields":[]}' }),
  });
  const namespaces = { eu: shared.namespace(), us: shared.namespace() };
  const { kafkaBrokers, registryUrl, redisStateUrl, redisEdgeUrl, postgresUrl } = shared;
  const addresses = { kafkaBrokers, registryUrl, redisStateUrl, redisEdgeUrl, postgresUrl };
  eu = await network('eu', { addresses, namespace: namespaces.eu, other: `us.${namespaces.us}` });
  us = await network('us', { addresses: stack.addresses, namespace: namespaces.us, other: `eu.${namespaces.eu}` });
}, 240_000);

afterAll(async () => {
  for (const step of undo.reverse()) await step();
}, 120_000);

describe('R-208 two networks, each with servers of its own, mirrored both ways', () => {
  it('one trace over both is one alert, the same in both, told once', async () => {
    // One of the mirrors repeats whatever it copies, as any may after a crash.
    const mirrors = [await mirror(eu, us, 2), await mirror(us, eu, 1)];
    const events = attacks(12, Date.now());
    await Promise.all(
      [eu, us].map(async ({ id, deployment }) => {
        const own = events.filter(({ cluster }) => cluster === id).map(eventOf);
        const apiKey = readFileSync(deployment.secrets.platformKeyFile, 'utf8').trim();
        const sent = await sendEvents(own, { url: deployment.gatewayUrl, apiKey });
        expect(sent.acknowledged).toHaveLength(own.length);
      }),
    );
    for (const { caughtUp } of mirrors) await caughtUp();
    const cameHome = await sendHome(us);
    // What was sent ends, and its end is mirrored too, before what the mirrors brought ends.
    for (const one of [eu, us]) {
      await endInput(one, ['security.events', 'security.telemetry'].map(one.deployment.topic));
    }
    for (const { caughtUp } of mirrors) await caughtUp();
    for (const one of [eu, us]) await endInput(one, one.deployment.mirrored);
    for (const { close } of mirrors) await close();
    expect(fatal).toEqual([]);
    await Promise.all([eu, us].map(({ deployment }) => waitSettled({ ...deployment, timeoutMs: 120_000 })));

    const [euLog, usLog] = await Promise.all(
      [eu, us].map(({ deployment }) => readAlertLog(deployment, Date.now() + 10_000)),
    );
    const wanted = oracle(events);
    expect(wanted.filter(({ rule }) => rule === TAKEOVER)).toHaveLength(9);
    expect(wanted.filter(({ rule }) => rule === GUESSING)).toHaveLength(12);
    expect(finalAlerts(euLog ?? [])).toEqual(wanted);
    expect(finalAlerts(usLog ?? [])).toEqual(wanted);
    expect(finalIds(euLog ?? [])).toHaveLength(wanted.length);
    expect(finalIds(usLog ?? [])).toEqual(finalIds(euLog ?? []));
    const clusterOf = new Map(events.map(({ id, cluster }) => [id, cluster]));
    for (const { rule, event_ids } of wanted) {
      if (rule === TAKEOVER) expect(new Set(event_ids.map((id) => clusterOf.get(id))).size).toBe(2);
    }

    // What reads the log back finds the same, mirrored topics included, and each alert comes out of its own evidence.
    const takeover = (euLog ?? []).find(({ kind, rule }) => kind === 'FINAL' && rule.rule_id === TAKEOVER);
    for (const one of [eu, us]) {
      expect(await diffLive(one)).toEqual([`final alerts: ${wanted.length} the same, 0 missing live, 0 only live`]);
      expect((await explained(one, takeover?.alert_id ?? '')).at(-1)).toBe(
        '✓ the evidence alone gives this alert, under this id',
      );
    }

    // Told once, by the home, with all evidence in its own audit store.
    const told = await waitFor(
      async () => {
        const all = await deliveries(eu);
        return all.length >= wanted.length && all.every(({ state }) => state === 'sent') && all;
      },
      { what: 'every notice to be delivered', timeoutMs: 60_000 },
    );
    expect(told.every(({ thin }) => !thin)).toBe(true);
    const opened = eu.receiver.notices().filter(({ type }) => type === 'alert.opened');
    expect(eu.receiver.notices()).toHaveLength(opened.length);
    expect(opened).toHaveLength(wanted.length);
    expect(us.receiver.arrivals).toBe(0);
    expect(await deliveries(us)).toEqual([]);
    // A batch that is tried again counts its verdicts again.
    expect(await metric(us, 'alerter', 'elsewhere')).toBeGreaterThanOrEqual(wanted.length);
    expect(await metric(eu, 'alerter', 'elsewhere')).toBe(0);

    // Nothing was lost or put aside on the way, and both audit stores hold the whole story.
    expect(cameHome).toBeGreaterThan(0);
    expect(await metric(us, 'correlator', 'looped')).toBeGreaterThanOrEqual(cameHome);
    expect(await metric(eu, 'correlator', 'looped')).toBe(0);
    for (const { deployment } of [eu, us]) {
      const { rows } = await deployment.pool.query(
        "select count(distinct event_id)::int as events from audit.event where kind = 'event'",
      );
      expect(rows).toEqual([{ events: events.length }]);
      for (const topic of (await deployment.admin.listTopics()).filter((name) => name.endsWith('.dlq'))) {
        if (![deployment.topic(''), ...deployment.mirrored].some((ours) => topic.startsWith(ours))) continue;
        for (const { low, high } of await deployment.admin.offsets(topic)) expect(high - low, topic).toBe(0n);
      }
    }
  });
});
