import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { INTAKE_TOPICS, isOwnMarker, markerKindOf } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import { type MirrorMaker, repositoryRoot, startMirrorMaker } from '@tracehound/stack';
import { type OwnStack, openOwnStack, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CorrelatorApp } from '../src/app.ts';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { attack, type TestEvent } from './events.fixture.ts';
import { eventsOf, expectEndedExact, flowing, metricOf, sendSliced, untilReadiness } from './stream.fixture.ts';

type ClusterId = 'eu' | 'us';

/** A deployment with brokers and group state of its own; both use one registry, since MirrorMaker leaves schema ids as they are. */
type Network = {
  readonly id: ClusterId;
  /** What the other side is named here. */
  readonly other: ClusterId;
  readonly own: OwnStack;
  readonly world: CorrelatorWorld;
  readonly app: CorrelatorApp;
  /** What writes here; it copies from the other side. */
  mirror: MirrorMaker;
};

const undo: (() => Promise<unknown>)[] = [];
let eu: Network;
let us: Network;

/** The example as it is, for two clusters of one broker. */
function mirrorProperties(stacks: Readonly<Record<ClusterId, OwnStack>>): string {
  const example = readFileSync(join(repositoryRoot(), 'deploy/mirror-maker/mirror-maker.properties'), 'utf8');
  const addresses = Object.entries(stacks).map(
    ([id, { stack }]) => `${id}.bootstrap.servers = ${stack.addresses.kafkaBrokers.join(',')}`,
  );
  return [example.replaceAll(/replication\.factor = 3$/gm, 'replication.factor = 1'), ...addresses].join('\n');
}

let startMirrorTo: (target: ClusterId) => Promise<MirrorMaker>;

beforeAll(async () => {
  const [euStack, usStack] = await Promise.all([
    openOwnStack({ kinds: ['kafka', 'registry', 'redis-state'] }),
    openOwnStack({ kinds: ['kafka', 'redis-state'] }),
  ]);
  const stacks = { eu: euStack, us: usStack };
  for (const own of Object.values(stacks)) undo.push(() => own.close());
  const { registryUrl } = euStack.stack.addresses;
  const properties = mirrorProperties(stacks);
  startMirrorTo = (target) => startMirrorMaker({ properties, target });

  async function network(id: ClusterId): Promise<Network> {
    const other = id === 'eu' ? 'us' : 'eu';
    const { stack } = stacks[id];
    const world = await correlatorWorld({
      environment: { ...stack.environment(), TRACEHOUND_REGISTRY_URL: registryUrl },
      namespace: '',
      clusterId: id,
      mirrored: INTAKE_TOPICS.map((topic) => `${other}.${topic}`),
    });
    undo.push(() => world.close());
    const app = await world.app();
    await untilReadiness(app, { status: 200 });
    const started: Network = { id, other, own: stacks[id], world, app, mirror: await startMirrorTo(id) };
    undo.push(() => started.mirror.kill());
    return started;
  }
  eu = await network('eu');
  us = await network('us');
}, 300_000);
afterAll(async () => {
  const failures: unknown[] = [];
  // A mirror that ended by itself says so here; the servers must go all the same.
  for (const step of undo.reverse()) await step().catch((error: unknown) => failures.push(error));
  expect(failures).toEqual([]);
}, 60_000);

/** All records of a topic by partition, in order. */
async function logOf({ world }: Network, topic: string): Promise<readonly (readonly KafkaRecord[])[]> {
  return Promise.all(
    (await world.admin.offsets(topic)).map(async ({ partition, low, high }) => {
      const records: KafkaRecord[] = [];
      for await (const record of world.kafka.read({ topic, partition }, { from: low, until: high })) {
        records.push(record);
      }
      return records;
    }),
  );
}

/** What the mirror has written into a topic here: not the markers of the correlator, which writes there too. */
async function mirroredOf(network: Network, topic: string): Promise<readonly (readonly KafkaRecord[])[]> {
  const log = await logOf(network, `${network.other}.${topic}`);
  return log.map((records) => records.filter((record) => !isOwnMarker(record)));
}

const keysOf = (records: readonly KafkaRecord[]): readonly string[] =>
  records.flatMap(({ key }) => key?.toString() ?? []);

/** Until every event sent on either side has come to the other one. */
async function mirrored(): Promise<void> {
  for (const [from, to] of [
    [eu, us],
    [us, eu],
  ] as const) {
    const sent = new Set(keysOf((await logOf(from, 'security.events')).flat()));
    await waitFor(
      async () => {
        const come = new Set(keysOf((await mirroredOf(to, 'security.events')).flat()));
        return [...sent].every((key) => come.has(key));
      },
      { what: `the events of ${from.id} to be mirrored`, timeoutMs: 120_000, intervalMs: 100 },
    );
  }
}

/** Every second event to each side, so that traces and groups lie on both. */
async function send(events: readonly TestEvent[], to: readonly Network[] = [eu, us]): Promise<void> {
  for (const { id, world } of to) {
    await world.send(
      events.filter((_, n) => n % 2 === (id === 'eu' ? 0 : 1)),
      { clusterId: id },
    );
  }
}

/** Until nothing has come through the mirrors for a second and more, as the metric of the correlators says. */
async function silent({ app }: Network): Promise<void> {
  await waitFor(async () => (await metricOf(app, /^correlator_mirror_silence_seconds\{/)) > 2, {
    what: 'the silence of the mirror to be told',
  });
}

/** Ends what was sent to the networks themselves and waits for the ends to be mirrored, where they end nothing. */
async function endOwnInput(): Promise<void> {
  for (const { world } of [eu, us]) for (const topic of INTAKE_TOPICS) await world.endInput(topic);
  for (const network of [eu, us]) {
    for (const topic of INTAKE_TOPICS) {
      // The kind it has where it was written.
      const isEnd = (record: KafkaRecord): boolean => markerKindOf({ ...record, topic }) === 'end_of_input';
      await waitFor(async () => (await mirroredOf(network, topic)).every((records) => records.some(isEnd)), {
        what: `the end of ${network.other}'s ${topic} to be mirrored`,
        timeoutMs: 60_000,
        intervalMs: 100,
      });
    }
    const ended = (await network.world.matchBatches()).filter(({ end_of_input }) => end_of_input);
    expect(ended.filter(({ src_topic }) => src_topic.startsWith(`${network.other}.`))).toEqual([]);
  }
}

async function finalIds({ world }: Network): Promise<readonly string[]> {
  const finals = (await world.alerts()).filter(({ kind }) => kind === 'FINAL');
  return [...new Set(finals.map(({ alert_id }) => alert_id))].sort();
}

/** Events came in order, with partitions, keys, values and headers as they were sent, later copies aside. Returns the number of those. */
async function expectCopiedAsSent(from: Network, to: Network): Promise<number> {
  const eventsIn = (log: readonly (readonly KafkaRecord[])[]) =>
    log.map((records) =>
      records.filter(({ key }) => key !== null).map(({ key, value, headers }) => ({ key, value, headers })),
    );
  const sent = eventsIn(await logOf(from, 'security.events'));
  const come = eventsIn(await mirroredOf(to, 'security.events'));
  const first = come.map((copies) => [...Map.groupBy(copies, ({ key }) => String(key)).values()].map(([one]) => one));
  expect(first).toEqual(sent);
  return come.flat().length - first.flat().length;
}

/** The mirror has made no topics but its own, sent nothing back, and left the settings of ours as they are. */
async function expectTopicsLeftAlone({ other, world }: Network): Promise<void> {
  const topics = await world.admin.listTopics();
  const ofMirrors = topics.filter((topic) => /^mm2|heartbeats|\.security\.(?!.*\.dlq$)/.test(topic));
  expect(ofMirrors.toSorted()).toEqual(
    [
      `${other}.security.events`,
      `${other}.security.telemetry`,
      'heartbeats',
      ...['configs', 'offsets', 'status'].map((of) => `mm2-${of}.${other}.internal`),
    ].toSorted(),
  );
  const mirroredTopics = INTAKE_TOPICS.map((topic) => `${other}.${topic}`);
  const types = await world.admin.topicSetting(mirroredTopics, 'message.timestamp.type');
  expect([...types.values()]).toEqual(['LogAppendTime', 'LogAppendTime']);
  for (const topic of topics.filter((name) => name.endsWith('.dlq'))) {
    for (const { low, high } of await world.admin.offsets(topic)) expect(high - low, topic).toBe(0n);
  }
}

describe('R-208 two networks with MirrorMaker 2 between them', { timeout: 400_000 }, () => {
  it('mirror-maker: it and a broker it writes to are killed in the middle of a stream, E1 and E2 hold on both', async () => {
    const events = eventsOf(208);
    const whileAway = attack({ name: 'while-away', endMs: Date.now() });
    await sendSliced({ send }, events, async (slice) => {
      if (slice === 0) await mirrored();
      if (slice === 1) await Promise.all([flowing(eu.world), flowing(us.world)]);
      if (slice === 2) {
        await mirrored();
        await Promise.all([eu.mirror.kill('SIGKILL'), us.mirror.kill('SIGKILL')]);
        await Promise.all([silent(eu), silent(us)]);
      }
      if (slice === 3) for (const network of [eu, us]) network.mirror = await startMirrorTo(network.id);
      if (slice === 4) {
        await mirrored();
        await us.own.stack.part('kafka-1').kill('SIGKILL');
        await send(whileAway, [eu]);
        await untilReadiness(us.app, { status: 503 });
        await us.own.stack.part('kafka-1').restart();
        await send(whileAway, [us]);
      }
    });
    await mirrored();

    await endOwnInput();
    for (const { mirror } of [eu, us]) await mirror.kill('SIGTERM');
    // Nothing comes through the mirrors any more.
    for (const { other, world } of [eu, us]) {
      for (const topic of INTAKE_TOPICS) await world.endInput(`${other}.${topic}`);
    }

    const all = [...events, ...whileAway];
    for (const { world } of [eu, us]) await expectEndedExact(world, all);
    expect(await finalIds(eu)).toHaveLength((await eu.world.finals()).length);
    expect(await finalIds(us)).toEqual(await finalIds(eu));
    for (const { app } of [eu, us]) {
      expect(await metricOf(app, /^correlator_verdicts_total\{.*reason="looped"/)).toBe(0);
    }

    const repeated = (await expectCopiedAsSent(eu, us)) + (await expectCopiedAsSent(us, eu));
    // A mirror that repeats nothing would not have been tried.
    expect(repeated).toBeGreaterThan(0);
    for (const network of [eu, us]) await expectTopicsLeftAlone(network);
  });
});
