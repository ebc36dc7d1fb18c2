import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ADDRESS_KEYS, openStack, type Stack } from '@tracehound/stack';
import { endedByFullDisk, fillDisk, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GatewayApp } from '../src/app.ts';
import {
  anEvent,
  type GatewayWorld,
  metricsOf,
  openWorld,
  postEvents,
  readiness,
  ready,
  sharedServers,
} from './gateway-world.fixture.ts';

/** Servers of our own, because the shared ones must not be stopped. */
const environment: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries(process.env).filter(([key]) => !Object.values<string>(ADDRESS_KEYS).includes(key)),
);

let directory: string;
let stack: Stack;
let world: GatewayWorld;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tracehound-gateway-test-'));
  stack = await openStack({ directory, mode: 'native', kinds: ['kafka', 'registry', 'redis-edge'], environment });
  world = await openWorld(sharedServers(stack.addresses), 'gw');
});

afterAll(async () => {
  await world?.close();
  await stack?.stop({ wipe: true });
  await rm(directory, { recursive: true, force: true });
});

async function checkOf(app: GatewayApp, name: string): Promise<{ ok: boolean; detail: string } | undefined> {
  return (await readiness(app)).checks.find((check) => check.name === name);
}

describe('kafka-down', () => {
  test('503 with retry and Retry-After while down, readiness says why, recovers by itself, nothing acknowledged is lost', async () => {
    const app = await world.start({ TRACEHOUND_GATEWAY_PRODUCE_TIMEOUT: '1s' });
    await ready(app);
    const acknowledged = new Set<string>();
    const sendUntilDurable = async (event: { event_id: string }): Promise<number> => {
      const answer = await postEvents(app, event);
      const [result] = answer.body.results ?? [];
      if (result?.status === 'accepted' || result?.status === 'duplicate') acknowledged.add(event.event_id);
      return answer.status;
    };
    expect(await sendUntilDurable(anEvent())).toBe(200);
    await stack.part('kafka-1').kill('SIGKILL');
    const unlucky = anEvent();
    const answer = await postEvents(app, unlucky);
    expect(answer).toMatchObject({
      status: 503,
      body: {
        code: 'not_acknowledged',
        retry: 1,
        results: [{ status: 'retry', event_id: unlucky.event_id, code: 'produce_unknown' }],
      },
    });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    const down = await waitFor(
      async () => ((await checkOf(app, 'kafka'))?.ok === false ? checkOf(app, 'kafka') : null),
      {
        what: 'readiness to notice',
        timeoutMs: 30_000,
      },
    );
    expect(down.detail).not.toBe('');
    await stack.part('kafka-1').restart();
    await waitFor(async () => (await sendUntilDurable(unlucky)) === 200, {
      what: 'the event to be taken',
      timeoutMs: 60_000,
    });
    await ready(app);
    const keys = (await world.events()).map(({ record }) => record.key?.toString());
    for (const eventId of acknowledged) expect(keys).toContain(`acme|${eventId}`);
    expect(acknowledged).toContain(unlucky.event_id);
    await app.stop();
  });
});

describe('broker-pause', () => {
  test('a frozen broker: 503 with Retry-After within the time-out, the copy sent again is one event', async () => {
    const app = await world.start({ TRACEHOUND_GATEWAY_PRODUCE_TIMEOUT: '1s' });
    await ready(app);
    const event = anEvent();
    await stack.part('kafka-1').pause();
    const begun = performance.now();
    const answer = await postEvents(app, event);
    expect(performance.now() - begun).toBeLessThan(8_000);
    expect(answer).toMatchObject({
      status: 503,
      body: { code: 'not_acknowledged', results: [{ status: 'retry', event_id: event.event_id }] },
    });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    await stack.part('kafka-1').resume();
    await waitFor(async () => (await postEvents(app, event)).status === 200, {
      what: 'the event to be taken',
      timeoutMs: 60_000,
    });
    await ready(app);
    // What was on its way when the broker froze may be in the log too: under the same key, so that it is one event (X6).
    const copies = (await world.events()).filter(({ record }) => String(record.key) === `acme|${event.event_id}`);
    expect(copies.length).toBeGreaterThanOrEqual(1);
    expect((await postEvents(app, event)).body.results?.[0]?.status).toBe('duplicate');
    await app.stop();
  });
});

describe('disk-full', () => {
  test('disk-full: 503 with Retry-After and not ready while the only broker has no room, then nothing acknowledged is lost', {
    timeout: 120_000,
  }, async () => {
    const app = await world.start({ TRACEHOUND_GATEWAY_PRODUCE_TIMEOUT: '1s' });
    await ready(app);
    const acknowledged = new Set<string>();
    const send = async (events: readonly { event_id: string }[]) => {
      const answer = await postEvents(app, events);
      for (const { status, event_id } of answer.body.results ?? []) {
        if (event_id !== null && (status === 'accepted' || status === 'duplicate')) acknowledged.add(event_id);
      }
      return answer;
    };
    const some = () => Array.from({ length: 100 }, () => anEvent());
    expect((await send(some())).status).toBe(200);
    await fillDisk(stack, 'kafka-1');
    const refused = await waitFor(
      async () => {
        const events = some();
        const answer = await send(events);
        return answer.status === 503 && { events, answer };
      },
      { what: 'a write to be refused', timeoutMs: 60_000 },
    );
    expect(Number(refused.answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    await endedByFullDisk(stack, 'kafka-1');
    await waitFor(async () => (await checkOf(app, 'kafka'))?.ok === false && (await readiness(app)).status === 503, {
      what: 'the gateway not to be ready',
      timeoutMs: 30_000,
    });
    await stack.part('kafka-1').restart();
    await waitFor(async () => (await send(refused.events)).status === 200, {
      what: 'the events to be taken',
      timeoutMs: 60_000,
    });
    await ready(app);
    const keys = new Set((await world.events()).map(({ record }) => record.key?.toString()));
    for (const { event_id } of refused.events) expect(acknowledged).toContain(event_id);
    expect([...acknowledged].filter((eventId) => !keys.has(`acme|${eventId}`))).toEqual([]);
    await app.stop();
  });
});

describe('registry-down', () => {
  test('with its ids cached a gateway goes on; a new one is not ready until the registry is back', async () => {
    const app = await world.start();
    await ready(app);
    await stack.part('registry').kill('SIGKILL');
    expect((await postEvents(app, anEvent())).status).toBe(200);
    const late = await world.start();
    await waitFor(async () => (await checkOf(late, 'schemas'))?.detail.includes('SEC_AVRO'), {
      what: 'readiness to say why',
    });
    expect(await postEvents(late, anEvent())).toMatchObject({
      status: 503,
      body: { results: [{ status: 'retry', code: 'registry_unavailable' }] },
    });
    await stack.part('registry').restart();
    await ready(late);
    expect((await postEvents(late, anEvent())).status).toBe(200);
    await app.stop();
    await late.stop();
  });
});

describe('edge-redis-down', () => {
  test.each(['kill', 'pause'] as const)(
    '%s: events are taken, told and flagged dedup unknown, and it heals',
    async (fault) => {
      const app = await world.start({ TRACEHOUND_GATEWAY_DEDUP_TIMEOUT: '100ms' });
      await ready(app);
      const event = anEvent();
      await waitFor(async () => (await postEvents(app, event)).body.results?.[0]?.status === 'duplicate', {
        what: 'the check to work',
      });
      const part = stack.part('redis-edge');
      await part[fault]();
      const begun = performance.now();
      const answer = await postEvents(app, event);
      expect(answer).toMatchObject({
        status: 200,
        body: { accepted: 1, results: [{ status: 'accepted', dedup: 'unknown' }] },
      });
      expect(performance.now() - begun).toBeLessThan(2_000);
      expect((await metricsOf(app)).get('gateway_dedup_unknown_total')).toBe(1);
      expect((await readiness(app)).status).toBe(200);
      await (fault === 'kill' ? part.restart() : part.resume());
      const other = anEvent();
      await waitFor(async () => (await postEvents(app, other)).body.results?.[0]?.status === 'duplicate', {
        what: 'the check to work again',
        timeoutMs: 30_000,
      });
      await app.stop();
    },
  );
});

test('a gateway may start before its servers and becomes ready when they are there', async () => {
  await stack.part('kafka-1').kill('SIGKILL');
  await stack.part('redis-edge').kill('SIGKILL');
  const app = await world.start({ TRACEHOUND_GATEWAY_PRODUCE_TIMEOUT: '1s' });
  expect((await readiness(app)).status).toBe(503);
  expect((await postEvents(app, anEvent())).status).toBe(503);
  await stack.part('kafka-1').restart();
  await ready(app);
  await waitFor(async () => (await postEvents(app, anEvent())).status === 200, { what: 'events to be taken' });
  await stack.part('redis-edge').restart();
  await app.stop();
});
