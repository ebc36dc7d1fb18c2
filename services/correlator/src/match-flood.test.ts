import { createMemoryRegistry } from '@tracehound/avro';
import { publishRuleSet } from '@tracehound/cli';
import type { CorrelationAlert, MatchBatch } from '@tracehound/event-model';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { createLogger } from '@tracehound/telemetry';
import { waitFor } from '@tracehound/testkit';
import { afterEach, expect, it } from 'vitest';
import { createWorld, MEMORY_ENVIRONMENT, type TestWorld } from '../test/world.fixture.ts';
import { MemoryStateStore } from './adapters/memory-state-store.ts';
import { createApp } from './app.ts';
import { loadCorrelatorConfig } from './config.ts';

const running: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).reverse()) await stop();
});

/** Groups by a field that may hold many values: one event makes a match for each. */
const FILES = [
  {
    path: 'fan.yml',
    content: `title: Call
name: call
logsource: {product: mesh}
detection: {s: {kind: call}, condition: s}
---
title: Many calls of one target
id: many_calls
name: many_calls
correlation: {type: event_count, rules: [call], group-by: [targets], timespan: 10s, condition: {gte: 3}}
`,
  },
];

const TEXT = 'STRING' as const;

async function call(world: TestWorld, at: { id: string; organization: string; timeMs: number; targets: number }) {
  const targets = Array.from({ length: at.targets }, (_, n) => ({ type: TEXT, text: `t${n}` }));
  const value = world.codec.encode('tracehound.events.v1.ExternalEvent', {
    envelope: {
      event_id: at.id,
      event_type: 'external.event',
      family: 'external',
      category: 'external',
      event_time: at.timeMs,
      event_time_source: 'OCCURRED',
      received_at: at.timeMs,
      intake_org: at.organization,
      cluster_id: 'local',
      source: { platform: 'mesh' },
    },
    log_source: { product: 'mesh', service: null, category: null },
    fields: [
      { name: 'kind', is_list: false, values: [{ type: TEXT, text: 'call' }] },
      { name: 'targets', is_list: true, values: targets },
    ],
  });
  const [result] = await world.producer.send('security.events', [{ key: `${at.organization}|${at.id}`, value }]);
  if (result?.ok !== true) throw result?.error;
}

async function decoded<T>(world: TestWorld, topic: 'security.matches' | 'detection.activations'): Promise<T[]> {
  const values = await Promise.all(
    (await world.records(topic)).map(async ({ value }) =>
      value === null ? null : (await world.codec.decode(value)).value,
    ),
  );
  return values.filter((value) => value !== null) as T[];
}

const eventIds = async (world: TestWorld, organization: string): Promise<Set<string>> =>
  new Set(
    (await decoded<MatchBatch>(world, 'security.matches'))
      .flatMap(({ matches }) => matches)
      .filter(({ organization_id }) => organization_id === organization)
      .map(({ event_id }) => event_id),
  );

it('X7 a match flood trips its rule for its organization by an activation, says so, and takes matches again by itself', async () => {
  const clock = { nowMs: 1_800_000_000_000 };
  const memory = createMemoryKafka({ now: () => clock.nowMs });
  const registry = createMemoryRegistry();
  const world = await createWorld({ kafka: memory.client(), registry, namespace: '', publish: false });
  await world.codec.prepare(['tracehound.events.v1.ExternalEvent']);
  await publishRuleSet({ kafka: memory.client(), codec: world.codec, files: FILES, principal: 'test' });
  const app = createApp(
    loadCorrelatorConfig({
      ...MEMORY_ENVIRONMENT,
      TRACEHOUND_CORRELATOR_BREAKER_PER_EVENT: '8',
      TRACEHOUND_CORRELATOR_BREAKER_MATCHES: '40',
    }),
    {
      kafka: memory.client(),
      registry,
      store: new MemoryStateStore(),
      logger: createLogger({ service: 'correlator', write: () => undefined }),
    },
  );
  running.push(() => app.stop());
  await app.start();

  const send = async (prefix: string): Promise<void> => {
    for (let n = 0; n < 4; n++) {
      const timeMs = clock.nowMs + n;
      await call(world, { id: `${prefix}-m${n}`, organization: 'mallory', timeMs, targets: 12 });
      await call(world, { id: `${prefix}-a${n}`, organization: 'acme', timeMs, targets: 1 });
    }
  };
  await send('flood');
  const activations = await waitFor(
    async () => {
      const known = await decoded<{ effective_at: number; principal: string; based_on: string | null }>(
        world,
        'detection.activations',
      );
      return known.length > 1 && known;
    },
    { what: 'the activation of the breaker' },
  );
  expect(activations).toHaveLength(2);
  const tripped = activations[1];
  expect(tripped).toMatchObject({
    principal: 'system:breaker',
    breakers: [{ organization_id: 'mallory', rule_id: 'many_calls' }],
  });
  expect(tripped?.effective_at).toBeGreaterThanOrEqual(clock.nowMs + 5_000);

  clock.nowMs = tripped?.effective_at ?? 0;
  await send('tripped');
  clock.nowMs += 600_000;
  await send('again');
  await world.endInput();
  await world.settled();

  const names = (prefix: string, letter: string): string[] => [0, 1, 2, 3].map((n) => `${prefix}-${letter}${n}`);
  expect(await eventIds(world, 'mallory')).toEqual(new Set([...names('flood', 'm'), ...names('again', 'm')]));
  expect(await eventIds(world, 'acme')).toEqual(
    new Set(['flood', 'tripped', 'again'].flatMap((prefix) => names(prefix, 'a'))),
  );
  const alerts: readonly CorrelationAlert[] = await world.alerts();
  const degraded = alerts.filter(({ kind }) => kind === 'DEGRADED');
  // Every partition that could have had matches says so, and nobody else is degraded.
  expect(
    new Set(degraded.map(({ organization_id, rule, reason }) => `${organization_id} ${rule.rule_id} ${reason}`)),
  ).toEqual(new Set(['mallory many_calls breaker']));
  expect(degraded).toHaveLength(4);
  for (const range of degraded) {
    expect(range.first_at).toBeLessThanOrEqual(tripped?.effective_at ?? 0);
    expect(range.last_at).toBeGreaterThanOrEqual((tripped?.effective_at ?? 0) + 600_000);
  }
  // The others are exact all the time: their first episode goes on while mallory is tripped.
  const finals = alerts.filter(({ kind, organization_id }) => kind === 'FINAL' && organization_id === 'acme');
  expect(finals.map(({ event_ids }) => event_ids)).toEqual([
    names('flood', 'a').slice(0, 3),
    names('again', 'a').slice(0, 3),
  ]);
  expect(finals[0]?.last_at).toBe((tripped?.effective_at ?? 0) + 1 + 10_000);
  expect(finals.every((final) => !final.degraded)).toBe(true);
}, 30_000);
