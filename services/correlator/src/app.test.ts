import { createMemoryRegistry } from '@tracehound/avro';
import { publishRuleSet } from '@tracehound/cli';
import { createMemoryKafka, type MemoryKafka } from '@tracehound/kafka/memory';
import { createLogger } from '@tracehound/telemetry';
import { waitFor } from '@tracehound/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { attack, oracleLines, TEST_RULES } from '../test/events.fixture.ts';
import { createWorld, MEMORY_ENVIRONMENT, type TestWorld } from '../test/world.fixture.ts';
import { MemoryStateStore } from './adapters/memory-state-store.ts';
import { type CorrelatorApp, type CorrelatorOverrides, createApp } from './app.ts';
import { describeCorrelatorConfig, loadCorrelatorConfig } from './config.ts';

const running: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).reverse()) await stop();
});

type Setting = {
  readonly memory: MemoryKafka;
  readonly world: TestWorld;
  readonly store: MemoryStateStore;
  /** Broker clock where it is set by the test, ms. */
  readonly clock: { nowMs: number };
  readonly lines: string[];
  readonly fatal: unknown[];
  start(env?: Record<string, string>): Promise<CorrelatorApp>;
};

async function setUp(options: { publish?: boolean; frozenClock?: boolean } = {}): Promise<Setting> {
  const clock = { nowMs: Date.now() };
  const memory = createMemoryKafka({ now: () => (options.frozenClock ? clock.nowMs : Date.now()) });
  const registry = createMemoryRegistry();
  const world = await createWorld({
    kafka: memory.client(),
    registry,
    namespace: '',
    publish: options.publish ?? true,
  });
  const store = new MemoryStateStore();
  const lines: string[] = [];
  const fatal: unknown[] = [];
  const overrides: CorrelatorOverrides = {
    kafka: memory.client(),
    registry,
    store,
    logger: createLogger({ service: 'correlator', write: (line) => lines.push(line) }),
    onFatal: (error) => fatal.push(error),
  };
  return {
    memory,
    world,
    store,
    clock,
    lines,
    fatal,
    async start(env = {}) {
      const app = createApp(loadCorrelatorConfig({ ...MEMORY_ENVIRONMENT, ...env }), overrides);
      running.push(() => app.stop());
      await app.start();
      return app;
    },
  };
}

type Readiness = { readonly status: number; readonly details: Readonly<Record<string, string>> };

async function readiness(app: CorrelatorApp): Promise<Readiness> {
  const response = await fetch(`${app.addresses.internal}/health/ready`);
  const body: unknown = await response.json();
  const checks =
    typeof body === 'object' && body !== null && 'checks' in body && Array.isArray(body.checks) ? body.checks : [];
  return {
    status: response.status,
    details: Object.fromEntries(checks.map((check: { name: string; detail: string }) => [check.name, check.detail])),
  };
}

/** Sum over all series of a metric whose labels hold `filter`. */
async function metric(app: CorrelatorApp, name: string, filter = ''): Promise<number> {
  const text = await (await fetch(`${app.addresses.internal}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => line.includes(filter))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

describe('the whole correlator in memory', () => {
  it('E2 carries an attack from events to alerts', async () => {
    const { world, start } = await setUp();
    await start();
    const events = attack({ name: 'mallory', endMs: Date.now() });
    await world.send(events);
    await world.endInput();
    await world.settled();
    const wanted = oracleLines(events);
    expect(wanted.length).toBeGreaterThanOrEqual(2);
    expect(await world.finals()).toEqual(wanted);
  });

  it('E3 consumed is the sum of verdicts, and every match has one outcome', async () => {
    const { world, start } = await setUp();
    const app = await start();
    const events = attack({ name: 'mallory', endMs: Date.now() });
    await world.send([...events, ...events]);
    await world.producer.sendTo({ topic: 'security.events', partition: 0 }, [{ key: 'k', value: Buffer.from('junk') }]);
    await world.endInput();
    await world.settled();
    const consumed = async (): Promise<number> => metric(app, 'correlator_records_consumed_total');
    // Ticks keep coming: both sums are read until they were read at the same instant.
    const [before, verdicts] = await waitFor(
      async () => {
        const pair = [await consumed(), await metric(app, 'correlator_verdicts_total')] as const;
        return (await consumed()) === pair[0] && pair;
      },
      { what: 'a moment between two ticks', intervalMs: 1 },
    );
    expect(verdicts).toBe(before);
    expect(await metric(app, 'correlator_verdicts_total', 'reason="undecodable"')).toBe(1);
    expect(await metric(app, 'correlator_verdicts_total', 'reason="marker"')).toBeGreaterThan(0);
    const seen = await waitFor(
      async () => {
        const count = await metric(app, 'correlator_matches', 'outcome="seen"');
        return count > events.length && count;
      },
      { what: 'the gauges of matches' },
    );
    let outcomes = 0;
    for (const outcome of ['applied', 'duplicate_id', 'duplicate_mark', 'late']) {
      outcomes += await metric(app, 'correlator_matches', `outcome="${outcome}"`);
    }
    expect(outcomes).toBe(seen);
    expect(await metric(app, 'correlator_matches', 'outcome="duplicate_id"')).toBeGreaterThan(0);
  });

  it('X7 without an activation stage a waits, says so, and goes on by itself', async () => {
    const { world, memory, start } = await setUp({ publish: false });
    const app = await start();
    const events = attack({ name: 'early', endMs: Date.now() });
    await world.send(events);
    await waitFor(async () => (await readiness(app)).details['rules'] === 'no rule activation is published yet', {
      what: 'readiness to name the missing activation',
    });
    expect((await readiness(app)).status).toBe(503);
    expect(memory.records('security.matches')).toEqual([]);
    await publishRuleSet({
      kafka: memory.client(),
      codec: world.codec,
      files: TEST_RULES,
      latenessMs: 86_400_000,
      principal: 'test',
    });
    await world.endInput();
    await world.settled();
    expect(await world.finals()).toEqual(oracleLines(events));
    await waitFor(async () => (await readiness(app)).status === 200, { what: 'readiness' });
  });

  it('X7 rules switch by append time: each event is judged by the set of its own time', async () => {
    const { world, clock, memory, start } = await setUp({ frozenClock: true });
    await start();
    const before = attack({ name: 'before', endMs: clock.nowMs });
    await world.send(before);
    const stricter = TEST_RULES.map(({ path, content }) => ({ path, content: content.replaceAll('gte: 3', 'gte: 9') }));
    const published = await publishRuleSet({
      kafka: memory.client(),
      codec: world.codec,
      files: stricter,
      latenessMs: 86_400_000,
      principal: 'test',
      now: () => clock.nowMs,
    });
    expect(published.effectiveAtMs).toBeGreaterThanOrEqual(clock.nowMs + 5_000);
    const between = attack({ name: 'between', endMs: clock.nowMs });
    await world.send(between);
    clock.nowMs = published.effectiveAtMs;
    const after = attack({ name: 'after', endMs: clock.nowMs });
    await world.send(after);
    await world.endInput();
    await world.settled();
    const takeoverOnly = oracleLines(after).filter((line) => line.includes('takeover'));
    expect(await world.finals()).toEqual([...oracleLines([...before, ...between]), ...takeoverOnly].sort());
    const sets = new Set<string>();
    for (const record of memory.records('security.matches')) {
      const { value } = await world.codec.decode(record.value ?? Buffer.alloc(0));
      if ('activation_id' in value) sets.add(value.activation_id);
    }
    expect(sets.size).toBe(2);
  });

  it('a set that is published again changes nothing', async () => {
    const { world, memory } = await setUp();
    const again = await publishRuleSet({
      kafka: memory.client(),
      codec: world.codec,
      files: TEST_RULES,
      latenessMs: 86_400_000,
      principal: 'test',
    });
    expect(again.changed).toBe(false);
    expect(memory.records('detection.rules')).toHaveLength(1);
    expect(memory.records('detection.activations')).toHaveLength(1);
  });

  it('X5 stops with an alarm when the offset of the state has left the log, or rebuilds where told', async () => {
    const { world, memory, store, fatal, start } = await setUp();
    let app = await start();
    await world.send(attack({ name: 'mallory', endMs: Date.now() }));
    await waitFor(() => store.snapshot(0)?.next, { what: 'state of partition 0' });
    await app.stop();
    const next = store.snapshot(0)?.next ?? 0n;
    await world.producer.sendTo(
      { topic: 'security.matches', partition: 0 },
      Array.from({ length: 5 }, () => ({ key: null, value: null })),
    );
    memory.truncateBefore({ topic: 'security.matches', partition: 0 }, next + 3n);

    app = await start();
    await waitFor(() => fatal.length > 0, { what: 'the alarm' });
    expect(fatal[0]).toMatchObject({ name: 'KafkaOffsetOutOfRangeError' });
    expect((await readiness(app)).status).toBe(503);
    await app.stop();

    fatal.length = 0;
    app = await start({ TRACEHOUND_CORRELATOR_ON_LOST_RANGE: 'rebuild' });
    await waitFor(() => (store.snapshot(0)?.next ?? 0n) > next + 4n, { what: 'the rebuilt partition to go on' });
    expect(fatal).toEqual([]);
  });

  it('X12 a store that lost everything is rebuilt from the log; nothing is alerted anew', async () => {
    const { world, memory, store, lines, start } = await setUp();
    const app = await start();
    const events = attack({ name: 'mallory', endMs: Date.now() });
    await world.send(events);
    await world.endInput();
    await world.settled();
    const count = memory.records('security.alerts').length;
    store.flushAll();
    const rebuilt = (): number => lines.filter((line) => line.includes('rebuild done')).length;
    await waitFor(() => rebuilt() >= 4, { what: 'four partitions to be rebuilt' });
    expect(memory.records('security.alerts')).toHaveLength(count);
    expect(await world.finals()).toEqual(oracleLines(events));
    expect(await metric(app, 'correlator_ownership_lost_total', 'missing')).toBeGreaterThan(0);
  });

  it('X12 a store that lost everything is rebuilt from where the log begins to matter, days after its first record', async () => {
    const { world, memory, clock, store, lines, start } = await setUp({ frozenClock: true });
    await start();
    const early = attack({ name: 'early', endMs: clock.nowMs });
    await world.send(early);
    await waitFor(() => memory.records('security.alerts').length > 0, { what: 'an alert of the first day' });
    // Half a day at a time, as far as the last tick has said so.
    for (let day = 0; day < 12; day++) {
      clock.nowMs += 43_200_000;
      const ticks = memory.records('security.matches').length;
      await waitFor(() => memory.records('security.matches').length > ticks + 32, {
        what: 'ticks of the next half day',
      });
    }
    const recent = attack({ name: 'recent', endMs: clock.nowMs });
    await world.send(recent);
    const alerts = (): number => memory.records('security.alerts').length;
    const before = alerts();
    await waitFor(() => alerts() > before, { what: 'an alert of the last day' });
    const notes = async (): Promise<readonly string[]> => {
      const admin = await memory.client().admin();
      return (await admin.committed('correlator-b', 'security.matches')).map(({ note }) => note ?? '');
    };
    await waitFor(async () => (await notes()).every((note) => /^v1 \S+ [1-9]\d*@/.test(note)), {
      what: 'a base that does not need the first days, in every partition',
    });
    const lengths = [0, 1, 2, 3].map(
      (partition) => memory.records('security.matches').filter((record) => record.partition === partition).length,
    );
    store.flushAll();
    const logged = (message: string) => lines.filter((line) => line.includes(message)).map((line) => JSON.parse(line));
    await waitFor(() => logged('rebuild done').length >= 4, { what: 'four partitions to be rebuilt' });
    for (const { partition, from } of logged('rebuild begins')) {
      expect(Number(from)).toBeGreaterThan((lengths[Number(partition)] ?? 0) / 4);
    }
    await world.endInput();
    await world.settled();
    expect(await world.finals()).toEqual(oracleLines([...early, ...recent]));
    const said = memory.records('security.alerts').map(({ value }) => value?.toString('base64'));
    expect(new Set(said).size).toBe(said.length);
  });

  it('X4 names a source that gives no ticks', async () => {
    const { world, memory, start } = await setUp();
    const app = await start({ TRACEHOUND_CORRELATOR_TICK_ALARM: '300ms', TRACEHOUND_CORRELATOR_STAGES: 'b' });
    await start({ TRACEHOUND_CORRELATOR_STAGES: 'a' });
    memory.setLeaderless({ topic: 'security.events', partition: 2 }, true);
    await world.send([]);
    const { details } = await waitFor(
      async () => {
        const now = await readiness(app);
        return (now.details['ticks'] ?? '').includes('security.events/2') && now;
      },
      { what: 'the alarm to name the silent source' },
    );
    expect(details['ticks']).toContain('give no ticks');
    expect(await metric(app, 'correlator_tick_missing', 'security.events/2')).toBe(1);
    memory.setLeaderless({ topic: 'security.events', partition: 2 }, false);
    await waitFor(async () => (await metric(app, 'correlator_tick_missing', 'security.events/2')) === 0, {
      what: 'the alarm to end',
    });
  });

  it.each([
    ['topic', 'security.events', /^security\.events\/\d+ may not be read \(SEC_KAFKA_UNAUTHORIZED\)/],
    ['topic', 'security.matches', /^security\.matches\/\d+ may not be read \(SEC_KAFKA_UNAUTHORIZED\)/],
    ['group', 'correlator-a', /^the consumer group may not be joined \(SEC_KAFKA_UNAUTHORIZED\)/],
    ['group', 'correlator-b', /^the consumer group may not be joined \(SEC_KAFKA_UNAUTHORIZED\)/],
  ] as const)(
    'acl-revoked: readiness names the %s %s that is refused; with it again E2 holds',
    async (what, name, said) => {
      const { world, memory, lines, start } = await setUp();
      const app = await start();
      await waitFor(async () => (await readiness(app)).status === 200, { what: 'readiness' });
      memory.setRefused(what, name, true);
      const events = attack({ name: 'unread', endMs: Date.now() });
      await world.send(events);
      await waitFor(async () => said.test((await readiness(app)).details['reading'] ?? ''), {
        what: 'readiness to name what is refused',
      });
      expect((await readiness(app)).status).toBe(503);
      expect(lines.some((line) => line.includes('readiness changed') && line.includes('SEC_KAFKA_UNAUTHORIZED'))).toBe(
        true,
      );
      memory.setRefused(what, name, false);
      await world.endInput();
      await world.settled();
      expect(await world.finals()).toEqual(oracleLines(events));
      await waitFor(async () => (await readiness(app)).status === 200, {
        what: 'readiness after it',
        timeoutMs: 20_000,
      });
    },
  );

  it('refuses an adapter that drops append times (X1)', async () => {
    const { world } = await setUp();
    const fatal: unknown[] = [];
    const kafka = { ...world.kafka, carriesAppendTime: false };
    const app = createApp(loadCorrelatorConfig(MEMORY_ENVIRONMENT), {
      kafka,
      registry: createMemoryRegistry(),
      store: new MemoryStateStore(),
      logger: createLogger({ service: 'correlator', write: () => undefined }),
      onFatal: (error) => fatal.push(error),
    });
    running.push(() => app.stop());
    await app.start();
    await waitFor(() => fatal.length > 0, { what: 'the refusal' });
    expect(fatal[0]).toMatchObject({ code: 'SEC_CORE_INVARIANT' });
  });
});

describe('configuration', () => {
  it('names every bad key at once', () => {
    expect(() =>
      loadCorrelatorConfig({
        ...MEMORY_ENVIRONMENT,
        TRACEHOUND_CORRELATOR_STAGES: 'c',
        TRACEHOUND_CORRELATOR_TICK: 'soon',
      }),
    ).toThrow(
      expect.objectContaining({
        code: 'SEC_CONFIG_INVALID',
        problems: [
          expect.objectContaining({ key: 'TRACEHOUND_CORRELATOR_STAGES' }),
          expect.objectContaining({ key: 'TRACEHOUND_CORRELATOR_TICK' }),
        ],
      }),
    );
  });

  it('explains every key of its own in --help', () => {
    const help = describeCorrelatorConfig();
    for (const key of ['STAGES', 'TICK', 'FLUSH', 'STATE_TTL', 'ON_LOST_RANGE', 'SESSION_TIMEOUT']) {
      expect(help).toContain(`TRACEHOUND_CORRELATOR_${key}`);
    }
  });
});
