import { topicSettings } from '@tracehound/event-model';
import { sfc32, waitFor } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { attack, eventRecord, oracleLines, TEST_RULES, type TestEvent } from './events.fixture.ts';
import { eventsOf, expectExact, flowing, metricOf, sendSliced, untilReadiness } from './stream.fixture.ts';

async function withWorld(
  options: Parameters<typeof correlatorWorld>[0],
  body: (world: CorrelatorWorld) => Promise<void>,
): Promise<void> {
  const world = await correlatorWorld(options);
  try {
    await body(world);
  } finally {
    await world.close();
  }
}

const encoded = (world: CorrelatorWorld, event: TestEvent): Buffer =>
  world.codec.encode('tracehound.events.v1.AuthenticationEvent', eventRecord(event));

/** The rules of the tests with windows of a second. */
const SHORT_RULES = TEST_RULES.map(({ path, content }) => ({
  path,
  content: content.replaceAll(/timespan: \d+s/g, 'timespan: 1s'),
}));

/** What a hot key may cost the others, against the same stream without it: the latency objective of an alert. */
const HOT_KEY_DELAY_MS_MAX = 5_000;

/** Sends and says after how many milliseconds every alert that the oracle finds in `wanted` was open. */
async function untilOpen(
  world: CorrelatorWorld,
  events: readonly TestEvent[],
  wanted: readonly TestEvent[],
): Promise<number> {
  const missing = new Set(
    oracleLines(wanted).map((line) => {
      const [rule, , group] = JSON.parse(line) as unknown[];
      return `${rule}|${group}`;
    }),
  );
  expect(missing.size).toBeGreaterThanOrEqual(100);
  const begun = performance.now();
  await world.send(events);
  await waitFor(
    async () => {
      for (const { kind, rule, group } of await world.alerts()) {
        if (kind === 'OPEN') missing.delete(`${rule.rule_id}|${group[0]?.value}`);
      }
      return missing.size === 0;
    },
    { what: 'an open alert of every attack', timeoutMs: 30_000, intervalMs: 100 },
  );
  return performance.now() - begun;
}

describe.concurrent('strange streams', { timeout: 90_000 }, () => {
  it('idle-partition: four silent sources do not hold back the watermark of the fifth', () =>
    // Enough lateness for a busy machine: an event that takes longer to the log is late, and ends nothing.
    withWorld({ files: SHORT_RULES, latenessMs: 3_000 }, async (world) => {
      await world.app();
      const nowMs = Date.now();
      const events = attack({ name: 'alone', endMs: nowMs }).map((event, i) => ({ ...event, timeMs: nowMs - 10 * i }));
      await world.producer.sendTo(
        { topic: world.topic('security.events'), partition: 0 },
        events.map((event) => ({ key: `acme|${event.id}`, value: encoded(world, event) })),
      );
      await waitFor(async () => (await world.alerts()).some((alert) => alert.kind === 'END'), {
        what: 'an episode to end without an end of input',
        timeoutMs: 30_000,
      });
    }));

  it('future-timestamps: a clock an hour ahead and one in the year 9999 make no honest event late', () =>
    withWorld({ latenessMs: 3_000 }, async (world) => {
      const app = await world.app();
      const ahead = [Date.now() + 3_600_000, Date.UTC(9999, 11, 31)].flatMap((endMs, i) =>
        attack({ name: `ahead-${i}`, endMs }),
      );
      await world.send(ahead);
      // Applied, so whatever they could do to the watermark is done.
      await waitFor(async () => (await metricOf(app, /^correlator_matches\{.*outcome="applied"/)) >= ahead.length, {
        what: 'the events of the future to be applied',
      });
      const nowMs = Date.now();
      const honest = attack({ name: 'honest', endMs: nowMs }).map((event, i) => ({
        ...event,
        timeMs: nowMs - 100 * i,
      }));
      await world.send(honest);
      await expectExact(world, [...ahead, ...honest], 3);
      expect(await world.records('security.late')).toEqual([]);
    }));

  it('negative-epoch: events of before 1970 are late, one by one, and harm no honest event', () =>
    withWorld({}, async (world) => {
      await world.app();
      const ancient = [-1, Date.UTC(1901, 0, 1)].flatMap((endMs, i) => attack({ name: `ancient-${i}`, endMs }));
      await world.send(ancient);
      const honest = attack({ name: 'honest', endMs: Date.now() });
      await world.send(honest);
      await expectExact(world, honest, 2);
      const late = (await world.records('security.late')).map(({ key }) => key?.toString());
      expect(late.sort()).toEqual(ancient.map(({ organization, id }) => `${organization}|${id}`).sort());
      expect(await world.records('security.events.dlq')).toEqual([]);
    }));

  it('duplicates: ten copies of every event count once', () =>
    withWorld({}, async (world) => {
      await world.app();
      const random = sfc32(51);
      const endMs = Date.now();
      const below = attack({ name: 'below', endMs, size: 2 }).slice(0, 2);
      const events = [...below, ...attack({ name: 'above', endMs, size: 4 })];
      for (let copy = 0; copy < 10; copy++) await world.send(random.shuffle(events));
      await expectExact(world, events, 2);
      const finals = await world.finals();
      expect(finals.filter((line) => line.includes('below'))).toEqual([]);
      expect(finals.filter((line) => line.includes('above'))).not.toEqual([]);
    }));

  it('out-of-order: twelve orders of one attack give the same alerts', () =>
    withWorld({}, async (world) => {
      await world.app();
      const endMs = Date.now();
      const attacks = Array.from({ length: 12 }, (_, i) => attack({ name: `order-${i}-`, endMs, size: 5 }));
      const shuffled = attacks.map((events, i) => sfc32(i).shuffle(events));
      // One step after the other, so that the order in the log is the shuffled one.
      for (let step = 0; step < 7; step++) await world.send(shuffled.flatMap((events) => events.slice(step, step + 1)));
      await expectExact(world, attacks.flat());
      const ofFailures = (await world.finals()).filter((line) => line.includes('many_failures'));
      expect(ofFailures).toHaveLength(12);
      expect(new Set(ofFailures.map((line) => line.replaceAll(/order-\d+-/g, ''))).size).toBe(1);
    }));

  it('odd-text: NUL, a right-to-left override, quotes and an astral letter are group values like any other', () =>
    withWorld({}, async (world) => {
      await world.app();
      const actors = ['a\u0000b', '\u202egnp.exe', '"],["', '|', '𝔸', '\r\n{}'];
      const events = actors.flatMap((actor, i) =>
        attack({ name: `odd-${i}`, endMs: Date.now() }).map((event) => ({ ...event, actor })),
      );
      await world.send(events);
      await expectExact(world, events);
    }));

  it('poison-pill: no bytes, a wrong magic byte, an unknown schema, a cut-off record each get a dead letter', () =>
    withWorld({}, async (world) => {
      const app = await world.app();
      const events = attack({ name: 'after', endMs: Date.now() });
      const whole = encoded(world, events[0] as TestEvent); // an attack has events
      const poison = [
        Buffer.alloc(0),
        Buffer.concat([Buffer.from([7]), whole.subarray(1)]),
        Buffer.concat([Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]), whole.subarray(5)]),
        whole.subarray(0, whole.length - 7),
      ];
      for (const [partition, value] of poison.entries()) {
        const record = { key: `acme|poison-${partition}`, value };
        await world.producer.sendTo({ topic: world.topic('security.events'), partition }, [record]);
      }
      await world.send(events);
      await expectExact(world, events, 2);
      const letters = await world.records('security.events.dlq');
      expect(letters.map(({ key }) => key?.toString()).sort()).toEqual(poison.map((_, i) => `acme|poison-${i}`));
      for (const { value } of letters) {
        const decoded = await world.codec.decode(value ?? Buffer.alloc(0));
        if (decoded.name !== 'tracehound.pipeline.v1.DeadLetter') throw new Error(`${decoded.name} is no dead letter`);
        expect(decoded.value.payload).toEqual(poison[decoded.value.partition]);
      }
      expect(await metricOf(app, /_verdicts_total\{.*verdict="deadLetter"/)).toBe(poison.length);
    }));

  it('all-poison: a partition of which nothing can be read halts, and goes on with everything when the limit is raised', () =>
    withWorld({}, async (world) => {
      const few = { TRACEHOUND_CORRELATOR_DEAD_LETTERS_MIN: '50' };
      const app = await world.app(few);
      await untilReadiness(app, { status: 200 });
      const poison = Array.from({ length: 200 }, (_, i) => ({ key: `acme|${i}`, value: Buffer.from('not Avro') }));
      await world.producer.sendTo({ topic: world.topic('security.events'), partition: 1 }, poison);
      const events = attack({ name: 'behind', endMs: Date.now() });
      await world.send(events);
      await untilReadiness(app, { status: 503, check: 'partitions', says: /would be dead letters.*SHARE_MAX/ });
      expect(await metricOf(app, /^correlator_dead_letter_limit_total\{/)).toBeGreaterThan(0);
      const held = await world.records('security.events.dlq');
      expect(held.length).toBeLessThan(50);
      await app.stop();
      await world.app({ ...few, TRACEHOUND_CORRELATOR_DEAD_LETTER_SHARE_MAX: '100' });
      await expectExact(world, events, 2);
      const keys = (await world.records('security.events.dlq')).map(({ key }) => key?.toString());
      expect(new Set(keys)).toEqual(new Set(poison.map(({ key }) => key)));
    }));

  it('dlq-unavailable: a record that can go nowhere waits, and nothing behind it is lost', () =>
    withWorld({}, async (world) => {
      const app = await world.app();
      await untilReadiness(app, { status: 200 });
      await world.admin.deleteTopics([`${world.topic('security.events')}.dlq`]);
      await world.producer.sendTo({ topic: world.topic('security.events'), partition: 2 }, [
        { key: 'acme|poison', value: Buffer.from('not Avro at all') },
      ]);
      const events = attack({ name: 'behind', endMs: Date.now() });
      await world.send(events);
      await untilReadiness(app, { status: 503, check: 'partitions', says: /security\.events/ });
      await world.admin.applyTopics(topicSettings({ profile: 'local', namespace: world.namespace }));
      await untilReadiness(app, { status: 200 });
      await expectExact(world, events, 2);
      expect((await world.records('security.events.dlq')).map(({ key }) => key?.toString())).toContain('acme|poison');
    }));

  it('rebalance-storm: a member joins and leaves again and again, and the stream goes on', {
    timeout: 180_000,
  }, async () => {
    const world = await correlatorWorld();
    try {
      const events = eventsOf(7);
      const stays = world.spawn();
      await sendSliced(world, events, async (slice) => {
        if (slice === 0) await flowing(world);
        const [taken, sent] = [stays.times('"partition taken"'), (await world.records('security.alerts')).length];
        const guest = world.spawn();
        await waitFor(async () => guest.times('"partition taken"') > 0, {
          what: `the guest to be given a partition\n${guest.log()}`,
          timeoutMs: 30_000,
        });
        await guest.kill('SIGTERM');
        expect((await guest.ended).code).toBe(0);
        // Every join and leave makes the one that stays take its partitions anew; meanwhile alerts went out.
        expect(stays.times('"partition taken"')).toBeGreaterThan(taken);
        expect((await world.records('security.alerts')).length).toBeGreaterThanOrEqual(sent);
      });
      await expectExact(world, events);
    } finally {
      await world.close();
    }
  });
});

// By itself: it compares times.
describe('one key among many', { timeout: 90_000 }, () => {
  it('hot-key: nine events of ten with one trace hold up no alert of the others', () =>
    withWorld({}, async (world) => {
      await world.app();
      const attacks = (name: string): readonly TestEvent[] =>
        Array.from({ length: 60 }, (_, i) => attack({ name: `${name}-${i}-`, endMs: Date.now() })).flat();
      const calm = attacks('calm');
      const calmMs = await untilOpen(world, calm, calm);

      const others = attacks('others');
      const hot = attack({ name: 'hot', endMs: Date.now(), size: 1 });
      // Nine of the hot key before each of the others, at its very time, so that hundreds share an instant.
      const mixed = others.flatMap((event, at) => [
        ...Array.from({ length: 9 }, (_, i): TestEvent => {
          const index = at * 9 + i;
          return { ...(hot[index % hot.length] as TestEvent), id: `hot-${index}`, timeMs: event.timeMs };
        }),
        event,
      ]);
      const hotMs = await untilOpen(world, mixed, others);
      expect(hotMs).toBeLessThan(calmMs + HOT_KEY_DELAY_MS_MAX);

      await world.endInput();
      await world.settled(60_000);
      const isHot = (text: string): boolean => text.includes('hot-actor') || text.includes(hot[0]?.trace ?? '');
      expect((await world.finals()).filter((line) => !isHot(line))).toEqual(oracleLines([...calm, ...others]));
      expect((await world.finals()).filter(isHot)).not.toEqual([]);
      const degraded = (await world.alerts()).filter(({ kind }) => kind === 'DEGRADED');
      expect(degraded.filter((alert) => !isHot(JSON.stringify(alert.group)))).toEqual([]);
      expect(await world.brokenE1()).toEqual([]);
    }));
});
