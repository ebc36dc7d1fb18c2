import { createMemoryRegistry } from '@tracehound/avro';
import { publishRuleSet, runRecover } from '@tracehound/cli';
import { markerHeaders } from '@tracehound/event-model';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { createLogger } from '@tracehound/telemetry';
import { waitFor } from '@tracehound/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { attack, oracleLines, TEST_RULES } from '../test/events.fixture.ts';
import { createWorld, MEMORY_ENVIRONMENT } from '../test/world.fixture.ts';
import { MemoryStateStore } from './adapters/memory-state-store.ts';
import { type CorrelatorApp, createApp } from './app.ts';
import { loadCorrelatorConfig } from './config.ts';

const MIRROR = 'eu.security.events';
const ENVIRONMENT = {
  TRACEHOUND_CLUSTER_ID: 'us',
  TRACEHOUND_MIRRORED_SOURCES: MIRROR,
  ...MEMORY_ENVIRONMENT,
};

const running: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).reverse()) await stop();
});

type SetUp = { readonly now?: () => number; readonly latenessMs?: number; readonly listed?: readonly string[] };

/** The deployment `us`, to which the topic of the deployment `eu` is mirrored. */
async function setUp(env: Record<string, string> = {}, options: SetUp = {}) {
  const memory = createMemoryKafka({ now: options.now ?? Date.now });
  const registry = createMemoryRegistry();
  const world = await createWorld({
    kafka: memory.client(),
    registry,
    namespace: '',
    mirrored: [MIRROR],
    latenessMs: options.latenessMs ?? 86_400_000,
    ...(options.listed ? { listed: options.listed } : {}),
  });
  const start = async (): Promise<CorrelatorApp> => {
    const app = createApp(loadCorrelatorConfig({ ...ENVIRONMENT, ...env }), {
      kafka: memory.client(),
      registry,
      store: new MemoryStateStore(),
      logger: createLogger({ service: 'correlator', write: () => undefined }),
    });
    running.push(() => app.stop());
    await app.start();
    return app;
  };
  return { memory, world, start };
}

describe('R-208 topics that mirror another deployment', () => {
  it('are correlated with our own: one attack over both gives what the oracle says of all its events', async () => {
    const { world, start } = await setUp();
    await start();
    const events = attack({ name: 'mallory', endMs: Date.now() });
    await world.send(events.filter((_, i) => i % 2 === 0));
    await world.send(
      events.filter((_, i) => i % 2 === 1),
      { topic: MIRROR, clusterId: 'eu' },
    );
    await world.endInput();
    await world.settled();
    expect(await world.finals()).toEqual(oracleLines(events));
  });

  it('bring events home that were ours: dropped and counted, they double nothing', async () => {
    const { world, start } = await setUp();
    const app = await start();
    const events = attack({ name: 'mallory', endMs: Date.now() });
    await world.send(events, { clusterId: 'us' });
    const stray = attack({ name: 'only in the mirror', endMs: Date.now() });
    await world.send([...events, ...stray], { topic: MIRROR, clusterId: 'us' });
    await world.endInput();
    await world.settled();
    expect(await world.finals()).toEqual(oracleLines(events));
    const metrics = await (await fetch(`${app.addresses.internal}/metrics`)).text();
    const looped = metrics
      .split('\n')
      .find((line) => line.startsWith('correlator_verdicts_total{') && line.includes('"looped"'));
    expect(looped?.split(' ').at(-1)).toBe(String(events.length + stray.length));
  });

  it('X4 do not end with the input of the deployment they mirror', async () => {
    const { world, start } = await setUp();
    await start();
    const ended = { key: null, value: null, headers: markerHeaders('end_of_input', 'security.events') };
    for (const { partition } of await world.admin.offsets(MIRROR)) {
      await world.producer.sendTo({ topic: MIRROR, partition }, [ended]);
    }
    const ticks = await waitFor(
      async () => {
        const batches = await world.matchBatches();
        const found = batches.filter(({ src_topic, to }) => src_topic === MIRROR && to > 0);
        return new Set(found.map(({ src_partition }) => src_partition)).size === 4 && found;
      },
      { what: 'stage a to pass the markers' },
    );
    expect(ticks.filter(({ end_of_input }) => end_of_input)).toEqual([]);
    const events = attack({ name: 'mallory', endMs: Date.now() });
    await world.send(events, { topic: MIRROR, clusterId: 'eu' });
    await world.endInput();
    await world.settled();
    expect(await world.finals()).toEqual(oracleLines(events));
  });

  it('X3 hold nothing while they are silent; what they bring too late is late here, and recovered', async () => {
    const clock = { nowMs: Date.now() };
    const { world, start } = await setUp({}, { now: () => clock.nowMs, latenessMs: 10_000 });
    const app = await start();
    const ours = attack({ name: 'ours', endMs: clock.nowMs });
    await world.send(ours);
    const silent = async (): Promise<number> => {
      const text = await (await fetch(`${app.addresses.internal}/metrics`)).text();
      const line = text.split('\n').find((one) => one.startsWith('correlator_mirror_silence_seconds{'));
      return Number(line?.split(' ').at(-1));
    };
    await waitFor(async () => (await world.alerts()).length > 0, { what: 'the first alert' });
    clock.nowMs += 240_000;
    await waitFor(async () => (await world.finals()).length === oracleLines(ours).length, {
      what: 'finals of our own',
    });
    expect(await world.finals()).toEqual(oracleLines(ours));
    await waitFor(async () => (await silent()) > 0.5, { what: 'the silence to be told' });

    const abroad = attack({ name: 'abroad', endMs: clock.nowMs - 120_000 });
    await world.send(abroad, { topic: MIRROR, clusterId: 'eu' });
    const late = await waitFor(
      async () => {
        const records = await world.records('security.late');
        return records.length === abroad.length && records;
      },
      { what: 'the late events' },
    );
    for (const { value } of late) {
      expect((await world.codec.decode(value ?? Buffer.alloc(0))).value).toMatchObject({ src_topic: MIRROR });
    }
    expect(await world.finals()).toEqual(oracleLines(ours));
    const terminal = { out: () => undefined, note: () => undefined };
    await runRecover({ format: 'table' }, { ...world, clusterId: 'us', terminal, now: () => clock.nowMs });
    expect(await world.finals()).toEqual(oracleLines([...ours, ...abroad]));

    const marker = { key: null, value: null, headers: markerHeaders('idle', 'security.events') };
    const partitions = await world.admin.partitionCount(MIRROR);
    await waitFor(
      async () => {
        for (let partition = 0; partition < partitions; partition++) {
          await world.producer.sendTo({ topic: MIRROR, partition }, [marker]);
        }
        return (await silent()) < 0.5;
      },
      { what: 'markers of the other side to end the silence' },
    );
  });

  it('X6 may repeat after a crash what came in time: copies beyond the lateness are late, and the recovery pass says nothing', async () => {
    const clock = { nowMs: Date.now() };
    const { world, start } = await setUp({}, { now: () => clock.nowMs, latenessMs: 10_000 });
    await start();
    const events = attack({ name: 'mallory', endMs: clock.nowMs });
    await world.send(events, { topic: MIRROR, clusterId: 'eu' });
    const wanted = oracleLines(events);
    await waitFor(async () => (await world.alerts()).length > 0, { what: 'the first alert' });
    clock.nowMs += 240_000;
    await waitFor(async () => (await world.finals()).length === wanted.length, { what: 'the finals' });

    await world.send(events, { topic: MIRROR, clusterId: 'eu' });
    await waitFor(async () => (await world.records('security.late')).length === events.length, {
      what: 'the copies to be late',
    });
    const said = (await world.alerts()).length;
    const notes: string[] = [];
    const terminal = { out: () => undefined, note: (line: string) => void notes.push(line) };
    await runRecover({ format: 'table' }, { ...world, clusterId: 'us', terminal, now: () => clock.nowMs });
    expect(notes).toEqual(['0 late events, 0 alerts said, 0 said before']);
    expect(await world.alerts()).toHaveLength(said);
    expect(await world.finals()).toEqual(wanted);
  });

  it('X7 are added to a running deployment: own sources go on, mirrored ones wait for the activation', async () => {
    const clock = { nowMs: Date.now() };
    const { world, start } = await setUp({}, { now: () => clock.nowMs, listed: [] });
    const app = await start();
    const before = attack({ name: 'before', endMs: clock.nowMs });
    await world.send(before);
    await waitFor(async () => (await world.alerts()).length > 0, { what: 'an alert of our own' });
    const waiting = (): string => app.health().ready.checks.find(({ name }) => name === 'partitions')?.detail ?? '';
    await waitFor(() => waiting().includes(MIRROR), { what: 'readiness to name the mirrored topic' });

    const { effectiveAtMs } = await publishRuleSet({
      ...world,
      files: TEST_RULES,
      latenessMs: 86_400_000,
      mirrored: [MIRROR],
      principal: 'test',
      now: () => clock.nowMs,
    });
    await waitFor(() => !waiting().includes(MIRROR), { what: 'the mirrored partitions to go on', timeoutMs: 20_000 });
    clock.nowMs = effectiveAtMs;
    const after = attack({ name: 'after', endMs: clock.nowMs });
    await world.send(after.filter((_, i) => i % 2 === 0));
    await world.send(
      after.filter((_, i) => i % 2 === 1),
      { topic: MIRROR, clusterId: 'eu' },
    );
    await world.endInput();
    await world.settled();
    expect(await world.finals()).toEqual(oracleLines([...before, ...after]));
  });

  it('are refused while their records have the time of the sender', async () => {
    const { world, start } = await setUp();
    const spec = { topic: MIRROR, partitions: 4, replicationFactor: 1 };
    await world.admin.applyTopics([{ ...spec, config: { 'message.timestamp.type': 'CreateTime' } }]);
    const app = await start();
    const detail = (): string => app.health().ready.checks.find(({ name }) => name === 'start')?.detail ?? '';
    await waitFor(() => detail().includes('SEC_CORRELATOR_NO_APPEND_TIME'), { what: 'readiness to name the reason' });
    await world.admin.applyTopics([{ ...spec, config: { 'message.timestamp.type': 'LogAppendTime' } }]);
    await waitFor(() => app.health().ready.ok, { what: 'the correlator to go on by itself' });
  });

  it('need a cluster with a name of its own', async () => {
    const { start } = await setUp({ TRACEHOUND_CLUSTER_ID: 'local' });
    await expect(start()).rejects.toMatchObject({ code: 'SEC_MIRRORED_SOURCE_INVALID' });
  });
});
