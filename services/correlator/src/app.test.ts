import { createMemoryRegistry } from '@tracehound/avro';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { createLogger } from '@tracehound/telemetry';
import { waitFor } from '@tracehound/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { attack, oracleLines } from '../test/events.fixture.ts';
import { createWorld, type TestWorld } from '../test/world.fixture.ts';
import { MemoryStateStore } from './adapters/memory-state-store.ts';
import { type CorrelatorApp, createApp } from './app.ts';
import { loadCorrelatorConfig } from './config.ts';

const running: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).reverse()) await stop();
});

type Setting = {
  readonly world: TestWorld;
  readonly app: CorrelatorApp;
  readonly store: MemoryStateStore;
  readonly lines: string[];
};

async function setUp(options: { publish?: boolean; env?: Record<string, string> } = {}): Promise<Setting> {
  const memory = createMemoryKafka({ now: () => Date.now() });
  const registry = createMemoryRegistry();
  const kafka = memory.client();
  const world = await createWorld({
    kafka,
    registry,
    namespace: '',
    ...(options.publish === undefined ? {} : { publish: options.publish }),
  });
  const store = new MemoryStateStore();
  const config = loadCorrelatorConfig({
    TRACEHOUND_KAFKA_BROKERS: 'memory:1',
    TRACEHOUND_REGISTRY_URL: 'http://memory',
    TRACEHOUND_REDIS_STATE_URL: 'redis://memory',
    TRACEHOUND_CORRELATOR_TICK: '50ms',
    TRACEHOUND_CORRELATOR_FLUSH: '20ms',
    TRACEHOUND_CORRELATOR_COMMIT: '10ms',
    ...options.env,
  });
  const lines: string[] = [];
  const logger = createLogger({ service: 'correlator', write: (line) => lines.push(line) });
  const app = createApp(config, { kafka, registry, store, logger });
  running.push(() => app.stop());
  await app.start();
  return { world, app, store, lines };
}

async function readiness(app: CorrelatorApp): Promise<{ status: number; checks: Record<string, string> }> {
  const response = await fetch(`${app.addresses.internal}/health/ready`);
  const body = (await response.json()) as { checks: { name: string; ok: boolean; detail: string }[] };
  return {
    status: response.status,
    checks: Object.fromEntries(body.checks.map((check) => [check.name, check.detail])),
  };
}

describe('the whole correlator in memory', () => {
  it('carries an attack from events to alerts, E2 against the oracle', async () => {
    const { world, lines } = await setUp();
    const events = attack({ name: 'mallory', endMs: Date.now() });
    await world.send(events);
    await world.endInput();
    await world.settled().catch((error) => {
      console.log(lines.join(''));
      throw error;
    });
    const wanted = oracleLines(events);
    expect(wanted.length).toBeGreaterThanOrEqual(2);
    expect(await world.finals()).toEqual(wanted);
  });

  it('says in readiness that it waits for rules, and goes on by itself', async () => {
    const { world, app } = await setUp({ publish: false });
    await waitFor(async () => (await readiness(app)).checks['rules'] === 'no rule activation is published yet', {
      what: 'readiness to name the missing activation',
    });
    expect((await readiness(app)).status).toBe(503);
    expect(world.namespace).toBe('');
  });
});
