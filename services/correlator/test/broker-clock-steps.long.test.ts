import { publishRuleSet, runRecover } from '@tracehound/cli';
import type { CorrelationAlert, LateEvent } from '@tracehound/event-model';
import { openStackWithClocks, type StackWithClocks, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { attack, oracleLines, TEST_RULES, type TestEvent } from './events.fixture.ts';
import { expectExact, metricOf } from './stream.fixture.ts';

const HOUR_MS = 3_600_000;
/** Enough for a busy machine: an event that takes longer to the log is late. */
const LATENESS_MS = 5_000;
/** `clock_allowance_ms` of the activations that `publishRuleSet` writes (X4). */
const ALLOWANCE_MS = 1_000;

let servers: StackWithClocks;
beforeAll(async () => {
  servers = await openStackWithClocks(['kafka', 'registry', 'redis-state'], ['kafka']);
}, 120_000);
afterAll(() => servers?.close());
beforeEach(() => servers.restore());

async function withWorld(body: (world: CorrelatorWorld) => Promise<void>): Promise<void> {
  const environment = { ...process.env, ...servers.stack.environment() };
  const world = await correlatorWorld({ environment, latenessMs: LATENESS_MS });
  try {
    await body(world);
  } finally {
    await world.close();
  }
}

/** An attack of right now, in less than a second: it is on its way before it can be late. */
function attackNow(name: string): readonly TestEvent[] {
  const nowMs = Date.now();
  return attack({ name, endMs: nowMs }).map((event, i) => ({ ...event, timeMs: nowMs - 500 + 10 * i }));
}

/** Steps the brokers' clock, and shows that a record appended from then on has its time. */
async function step(world: CorrelatorWorld, offsetMs: number): Promise<void> {
  servers.step('kafka', offsetMs);
  const probe = { key: 'probe', value: null };
  const { appendTimeMs } = await world.producer.sendTo({ topic: world.topic('security.deliveries'), partition: 0 }, [
    probe,
  ]);
  expect(Math.abs((appendTimeMs ?? 0) - Date.now() - offsetMs)).toBeLessThan(60_000);
}

/** Until the rule says each of the attacks in this way. */
async function untilSaid(
  world: CorrelatorWorld,
  kind: CorrelationAlert['kind'],
  events: readonly TestEvent[],
  rule: 'many_failures' | 'takeover' = 'many_failures',
): Promise<void> {
  const groups = new Set(events.map(({ actor, trace }) => (rule === 'takeover' ? trace : actor)));
  await waitFor(
    async () => {
      const said = (await world.alerts()).filter((alert) => alert.kind === kind && alert.rule.rule_id === rule);
      return [...groups].every((value) => said.some(({ group }) => group[0]?.value === value));
    },
    { what: `${kind} of every attack`, timeoutMs: 60_000, intervalMs: 200 },
  );
}

/** Until every source has told every matches partition `more` times of its time. */
async function untilTicked(world: CorrelatorWorld, more: number): Promise<void> {
  const count = async (): Promise<ReadonlyMap<string, number>> => {
    const ticks = new Map<string, number>();
    for (const { src_topic, src_partition } of await world.matchBatches()) {
      const source = `${src_topic}/${src_partition}`;
      ticks.set(source, (ticks.get(source) ?? 0) + 1);
    }
    return ticks;
  };
  const before = await count();
  const targets = await world.admin.partitionCount(world.topic('security.matches'));
  await waitFor(
    async () => {
      const now = await count();
      return [...now].every(([source, ticks]) => ticks >= (before.get(source) ?? 0) + more * targets);
    },
    { what: `${more} more ticks of every source`, timeoutMs: 30_000 },
  );
}

async function highestWatermark(world: CorrelatorWorld): Promise<number> {
  return (await world.matchBatches()).reduce((highest, { watermark }) => Math.max(highest, watermark), 0);
}

async function lateEvents(world: CorrelatorWorld): Promise<readonly LateEvent[]> {
  const found: LateEvent[] = [];
  for (const { value } of await world.records('security.late')) {
    const decoded = await world.codec.decode(value ?? Buffer.alloc(0));
    if (decoded.name === 'tracehound.pipeline.v1.LateEvent') found.push(decoded.value);
  }
  return found;
}

const idsOf = (events: readonly { readonly id: string }[]): string[] => events.map(({ id }) => id).sort();

/** What stands in the end: of each alert the last word, without those that another one has swallowed. */
async function standingLines(world: CorrelatorWorld): Promise<readonly string[]> {
  const finals = (await world.alerts()).filter(({ kind }) => kind === 'FINAL');
  const gone = new Set(finals.flatMap(({ recovered, supersedes }) => (recovered ? supersedes : [])));
  const last = new Map<string, CorrelationAlert>();
  for (const alert of finals) {
    if (!gone.has(alert.alert_id) && (last.get(alert.alert_id)?.revision ?? -1) < alert.revision)
      last.set(alert.alert_id, alert);
  }
  return [...last.values()].map(finalLineOf).sort();
}

function finalLineOf({ rule, organization_id, group, first_at, last_at, event_ids }: CorrelationAlert): string {
  const ids = [...event_ids].sort();
  return JSON.stringify([rule.rule_id, organization_id, group[0]?.value, first_at, last_at, ids]);
}

async function recover(world: CorrelatorWorld): Promise<string> {
  const notes: string[] = [];
  const terminal = { out: () => undefined, note: (line: string) => void notes.push(line) };
  await runRecover({ format: 'table' }, { ...world, clusterId: 'local', terminal, now: Date.now });
  return notes.join('\n');
}

/** The rules of the tests, and one more detection, which is heard of as soon as it holds. */
const MORE_RULES = [
  ...TEST_RULES,
  {
    path: 'more.yml',
    content: `title: Any export
id: any_export
level: low
logsource: {product: tracehound}
detection: {s: {event_type: data.export}, condition: s}
`,
  },
];

/** Applies `MORE_RULES` by a clock that is off by so much. */
async function applyMore(world: CorrelatorWorld, publisherOffsetMs: number): Promise<void> {
  const now = (): number => Date.now() + publisherOffsetMs;
  const { changed } = await publishRuleSet({
    ...world,
    files: MORE_RULES,
    latenessMs: LATENESS_MS,
    principal: 'test',
    now,
  });
  expect(changed).toBe(true);
}

/** Sends exports until the rule that `MORE_RULES` adds has found one of them. */
async function untilFound(world: CorrelatorWorld, name: string): Promise<void> {
  const found = async (): Promise<number> => (await world.records('security.findings')).length;
  const before = await found();
  let sent = 0;
  await waitFor(
    async () => {
      await world.send(attackNow(`${name}-${sent++}`).filter(({ kind }) => kind === 'export'));
      return (await found()) > before;
    },
    { what: 'the new rule to hold', timeoutMs: 30_000, intervalMs: 500 },
  );
}

describe('the clock of the brokers', { timeout: 240_000 }, () => {
  it('clock-steps: brokers an hour back and right again: opens come at once, finals when the clock is where it was, E1 and E2 hold', () =>
    withWorld(async (world) => {
      const first = await world.app();
      const before = attackNow('before');
      await world.send(before);
      await untilSaid(world, 'OPEN', before);

      await step(world, -HOUR_MS);
      await untilTicked(world, 3);
      const held = await highestWatermark(world);
      expect(held).toBeLessThanOrEqual(Date.now() - LATENESS_MS - ALLOWANCE_MS);
      const meanwhile = attackNow('meanwhile');
      await world.send(meanwhile);
      await untilSaid(world, 'OPEN', meanwhile);
      // A session that begins now claims less than the one before it: what B has heard stays.
      await world.app();
      const moved = attackNow('moved');
      await world.send(moved);
      await untilSaid(world, 'OPEN', moved);
      await first.stop();
      await untilTicked(world, 10);
      expect(await highestWatermark(world)).toBe(held);
      expect((await world.alerts()).filter(({ kind }) => kind === 'FINAL')).toEqual([]);

      await step(world, 0);
      const after = attackNow('after');
      await world.send(after);
      // By the watermark alone, without an end of the input.
      await untilSaid(world, 'FINAL', [...before, ...meanwhile, ...moved, ...after]);
      expect(await lateEvents(world)).toEqual([]);
      await expectExact(world, [...before, ...meanwhile, ...moved, ...after]);
    }));

  it('clock-steps: brokers an hour ahead and right again: what comes within that hour is late, named as such and recovered', () =>
    withWorld(async (world) => {
      const app = await world.app();
      const before = attackNow('before');
      const straddling = attackNow('straddling');
      const [early, rest] = [straddling.slice(0, 2), straddling.slice(2)];
      await world.send([...before, ...early]);
      await untilSaid(world, 'OPEN', before);

      await step(world, HOUR_MS);
      const ahead = attackNow('ahead');
      await world.send([...rest, ...ahead]);
      // The time of the log has jumped, and with it everything that was open ends.
      await untilSaid(world, 'FINAL', before);
      await untilTicked(world, 3);

      await step(world, 0);
      const after = attackNow('after');
      await world.send(after);
      const late = [...rest, ...ahead, ...after];
      await waitFor(
        async () => {
          const ids = new Set((await lateEvents(world)).map(({ event_id }) => event_id));
          return late.every(({ id }) => ids.has(id));
        },
        { what: 'every event of the hour in security.late', timeoutMs: 30_000 },
      );
      await untilTicked(world, 3);
      const stages = Map.groupBy(await lateEvents(world), ({ stage }) => stage);
      expect(new Set(stages.get('A')?.map(({ event_id }) => event_id))).toEqual(new Set(idsOf([...rest, ...ahead])));
      expect(new Set(stages.get('B')?.map(({ event_id }) => event_id))).toEqual(new Set(idsOf(after)));
      expect(await metricOf(app, /^correlator_verdicts_total\{.*reason="late"/)).toBe(rest.length + ahead.length);
      // From the state of partitions, now and then.
      await waitFor(
        async () => (await metricOf(app, /^correlator_matches\{.*outcome="late"/)) === stages.get('B')?.length,
        { what: 'the metric of what stage B found late' },
      );

      await world.endInput();
      await world.settled(60_000);
      expect(await world.brokenE1()).toEqual([]);
      const all = [...before, ...straddling, ...ahead, ...after];
      expect(await world.finals()).toEqual(oracleLines(before));
      const added = oracleLines(all).length - oracleLines(before).length;
      expect(await recover(world)).toBe(`${late.length} late events, ${added} alerts said, 0 said before`);
      expect(await standingLines(world)).toEqual(oracleLines(all));
      expect(await recover(world)).toBe(`${late.length} late events, 0 alerts said, ${added} said before`);
    }));

  it.each([
    { where: 'an hour back, by a command with the same clock', brokersMs: -HOUR_MS, publisherMs: -HOUR_MS },
    { where: 'right again after an hour ahead', brokersMs: 0, publisherMs: 0 },
  ])('clock-steps: X7 rules that are applied while brokers are $where take effect within seconds', (given) =>
    withWorld(async (world) => {
      const app = await world.app();
      const before = attackNow('before');
      await world.send(before);
      await untilSaid(world, 'OPEN', before);
      if (given.brokersMs === 0) {
        await step(world, HOUR_MS);
        await untilTicked(world, 3);
      }
      await step(world, given.brokersMs);
      await untilTicked(world, 3);
      await applyMore(world, given.publisherMs);
      await untilFound(world, 'meanwhile');
      await step(world, 0);
      // The time of before is passed: nothing that was read meanwhile comes as a surprise.
      await untilTicked(world, 60);
      await untilFound(world, 'after');
      expect((await fetch(`${app.addresses.internal}/health/ready`)).status).toBe(200);
      await world.endInput();
      await world.settled(60_000);
      expect(await world.brokenE1()).toEqual([]);
    }),
  );

  it('clock-steps: X7 an hour back the rules of an hour ago hold, those of now when the clock is right again, and no window is lost', () =>
    withWorld(async (world) => {
      await world.app();
      await applyMore(world, 0);
      await untilFound(world, 'before');
      const straddling = attackNow('straddling');
      await world.send(straddling.slice(0, 2));
      await untilTicked(world, 3);
      await step(world, -HOUR_MS);
      await world.send(straddling.slice(2));
      await untilSaid(world, 'OPEN', straddling, 'takeover');
      await step(world, 0);
      await untilFound(world, 'after');
      const found: string[] = [];
      for (const { value } of await world.records('security.findings')) {
        const decoded = await world.codec.decode(value ?? Buffer.alloc(0));
        if (decoded.name === 'tracehound.pipeline.v1.DetectionFinding') found.push(decoded.value.event_id);
      }
      expect(found.filter((id) => id.startsWith('straddling'))).toEqual([]);
      await world.endInput();
      await world.settled(60_000);
      expect(await world.finals()).toEqual(oracleLines(straddling));
      expect(await world.brokenE1()).toEqual([]);
    }));
});
