import { createRegistry } from '@tracehound/avro';
import { createKafkaJsClient } from '@tracehound/kafka';
import { sfc32, type TestStack, testStack } from '@tracehound/testkit';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CorrelatorApp, createApp } from '../src/app.ts';
import { loadCorrelatorConfig } from '../src/config.ts';
import { environmentFor } from './correlator-process.fixture.ts';
import { attack, mixedEvents, oracleLines } from './events.fixture.ts';
import { createWorld, type TestWorld, type TestWorldOptions } from './world.fixture.ts';

let stack: TestStack;
const cleanUp: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  stack = await testStack();
});
afterEach(async () => {
  for (const stop of cleanUp.splice(0).reverse()) await stop();
});

async function world(options: Partial<TestWorldOptions> = {}): Promise<TestWorld> {
  const made = await createWorld({
    kafka: createKafkaJsClient({ brokers: stack.kafkaBrokers, clientId: 'correlator-test' }),
    registry: createRegistry({ url: stack.registryUrl }),
    namespace: stack.namespace(),
    ...options,
  });
  cleanUp.push(() => made.close());
  return made;
}

async function app(namespace: string, env: Record<string, string> = {}): Promise<CorrelatorApp> {
  const config = loadCorrelatorConfig({ ...environmentFor(stack, namespace), ...env });
  const made = createApp(config);
  cleanUp.push(() => made.stop());
  await made.start();
  return made;
}

describe('events to alerts on real servers', () => {
  it('E2 gives the alerts of the oracle for attacks among noise', async () => {
    const seed = 20_261;
    const made = await world();
    const random = sfc32(seed);
    const endMs = Date.now();
    const events = [
      ...attack({ name: 'mallory', endMs }),
      ...mixedEvents({ random, count: 400, endMs, spreadMs: 120_000 }),
    ];
    await app(made.namespace);
    await made.send(random.shuffle(events));
    await made.endInput();
    await made.settled();
    const wanted = oracleLines(events);
    expect(wanted.length).toBeGreaterThan(10);
    expect(await made.finals()).toEqual(wanted);
  });
});
