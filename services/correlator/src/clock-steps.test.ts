import { createMemoryRegistry } from '@tracehound/avro';
import { publishRuleSet, runRecover } from '@tracehound/cli';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { createLogger } from '@tracehound/telemetry';
import { waitFor } from '@tracehound/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { attack, OVERRIDE_RULES, oracleLines } from '../test/events.fixture.ts';
import { createWorld, MEMORY_ENVIRONMENT, type TestWorld } from '../test/world.fixture.ts';
import { MemoryStateStore } from './adapters/memory-state-store.ts';
import { createApp } from './app.ts';
import { loadCorrelatorConfig } from './config.ts';

const HOUR_MS = 3_600_000;

const running: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).reverse()) await stop();
});

/** Rules of ten seconds of lateness on brokers whose clock the test steps; services and tools have the right time. */
async function setUp() {
  const clock = { offsetMs: 0 };
  const memory = createMemoryKafka({ now: () => Date.now() + clock.offsetMs });
  const registry = createMemoryRegistry();
  const world = await createWorld({ kafka: memory.client(), registry, namespace: '', latenessMs: 10_000 });
  const fatal: unknown[] = [];
  const app = createApp(loadCorrelatorConfig(MEMORY_ENVIRONMENT), {
    kafka: memory.client(),
    registry,
    store: new MemoryStateStore(),
    logger: createLogger({ service: 'correlator', write: () => undefined }),
    onFatal: (error) => fatal.push(error),
  });
  running.push(() => app.stop());
  await app.start();
  return { clock, world, fatal };
}

/** Until every source has told every matches partition of an append time beyond this one, ms: the watermark is the least of them. */
async function untilClaimed(world: TestWorld, timeMs: number): Promise<void> {
  const activated = (await world.records('detection.activations'))[0]?.value ?? Buffer.alloc(0);
  const { value } = await world.codec.decode(activated);
  const sources = 'sources' in value ? value.sources.length : 0;
  const claims = async (): Promise<number> => {
    const seen = new Set<string>();
    for (const { partition, value: bytes } of await world.records('security.matches')) {
      const { value: batch } = await world.codec.decode(bytes ?? Buffer.alloc(0));
      if (!('watermark' in batch) || !('src_partition' in batch) || batch.watermark <= timeMs - 11_000) continue;
      seen.add(`${batch.src_topic}/${batch.src_partition} to ${partition}`);
    }
    return seen.size;
  };
  const targets = await world.admin.partitionCount(world.topic('security.matches'));
  await waitFor(async () => (await claims()) === sources * targets, { what: 'claims of that time' });
}

describe('clock-steps: brokers ahead and right again', () => {
  it('X3 what stage B finds behind the watermark is recovered from where it lies', async () => {
    const { clock, world } = await setUp();
    const before = attack({ name: 'before', endMs: Date.now() });
    await world.send(before);
    clock.offsetMs = HOUR_MS;
    await untilClaimed(world, Date.now() + HOUR_MS);
    clock.offsetMs = 0;
    const after = attack({ name: 'after', endMs: Date.now() });
    await world.send([...after, ...after]);
    await waitFor(async () => (await world.records('security.late')).length >= after.length, { what: 'late events' });
    await world.endInput();
    await world.settled();
    expect(await world.finals()).toEqual(oracleLines(before));
    const notes: string[] = [];
    const recover = (flags: object) => {
      const terminal = { out: () => undefined, note: (line: string) => void notes.push(line) };
      return runRecover({ format: 'table', ...flags }, { ...world, clusterId: 'local', terminal, now: Date.now });
    };
    const ofLater = { from: new Date(Date.now() + HOUR_MS / 2).toISOString() };
    for (const flags of [ofLater, {}, {}]) await recover(flags);
    expect(notes).toEqual([
      '0 late events, 0 alerts said, 0 said before',
      '6 late events, 2 alerts said, 0 said before',
      '6 late events, 0 alerts said, 2 said before',
    ]);
    expect(await world.finals()).toEqual(oracleLines([...before, ...after]));
  });

  it('X7 rules applied in that hour hold from their time on, and no read of them stops stage A', async () => {
    const { clock, world, fatal } = await setUp();
    clock.offsetMs = HOUR_MS;
    await untilClaimed(world, Date.now() + HOUR_MS);
    clock.offsetMs = 0;
    const { effectiveAtMs } = await publishRuleSet({
      ...world,
      files: OVERRIDE_RULES,
      latenessMs: 10_000,
      principal: 'test',
    });
    clock.offsetMs = effectiveAtMs - Date.now() + 1_000;
    const rulesets = async (): Promise<number> =>
      new Set((await world.matchBatches()).map(({ ruleset_id }) => ruleset_id)).size;
    await waitFor(async () => (await rulesets()) === 2, { what: 'the new rules to hold' });
    expect(fatal).toEqual([]);
  });
});
