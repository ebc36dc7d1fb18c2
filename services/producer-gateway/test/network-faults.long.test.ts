import { type FaultyServers, LINK_FAULTS, openFaultyServers, waitFor, whileDisturbed } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GatewayApp } from '../src/app.ts';
import {
  anEvent,
  type GatewayWorld,
  metricsOf,
  openWorld,
  postEvents,
  ready,
  sharedServers,
} from './gateway-world.fixture.ts';

let servers: FaultyServers;
let world: GatewayWorld;
beforeAll(async () => {
  servers = await openFaultyServers({ kinds: ['kafka', 'registry', 'redis-edge'], store: 'redis-edge' });
  world = await openWorld(sharedServers(servers.stack.addresses), 'gw');
}, 120_000);
afterAll(async () => {
  await world?.close();
  await servers?.stop();
});

type Answer = { readonly status: number; readonly retryAfter: string | null; readonly ms: number };

/** A sender that keeps what was not acknowledged and sends it again, as the SDK does; one event at a time. */
function sender(app: GatewayApp) {
  const acknowledged: string[] = [];
  const answers: Answer[] = [];
  let isOver = false;
  const sending = (async () => {
    while (!isOver) {
      const event = anEvent();
      for (let isTaken = false; !isTaken; ) {
        const begun = performance.now();
        const answer = await postEvents(app, event);
        const retryAfter = answer.headers.get('retry-after');
        answers.push({ status: answer.status, retryAfter, ms: performance.now() - begun });
        isTaken = answer.status === 200;
      }
      acknowledged.push(event.event_id);
    }
  })();
  return {
    acknowledged,
    answers,
    more: (count: number) => {
      const enough = acknowledged.length + count;
      return waitFor(() => acknowledged.length >= enough, { what: `${count} more events`, timeoutMs: 60_000 });
    },
    async end() {
      isOver = true;
      await sending;
    },
  };
}

async function expectInLog(acknowledged: readonly string[]): Promise<void> {
  const keys = new Set((await world.events()).map(({ record }) => record.key?.toString()));
  expect(acknowledged.filter((id) => !keys.has(`acme|${id}`))).toEqual([]);
}

describe('between the gateway and the broker', () => {
  test.each(LINK_FAULTS)(
    'toxi-kafka: $type: 503 with Retry-After or an acknowledgement that holds, and it goes on by itself',
    { timeout: 120_000 },
    async (toxic) => {
      const app = await world.start({
        TRACEHOUND_KAFKA_BROKERS: servers.kafkaBehindLink(),
        TRACEHOUND_GATEWAY_PRODUCE_TIMEOUT: '2s',
      });
      try {
        await ready(app);
        const stream = sender(app);
        await whileDisturbed(servers.kafka, toxic, async (phase) => {
          if (phase !== 'disturbed') await stream.more(50);
        });
        await stream.end();
        await ready(app);
        for (const { status, retryAfter } of stream.answers) {
          if (status !== 200) expect([status, Number(retryAfter) >= 1]).toEqual([503, true]);
        }
        const refused = stream.answers.filter(({ status }) => status === 503).length;
        if (toxic.type === 'timeout' || toxic.type === 'reset_peer') expect(refused).toBeGreaterThan(0);
        expect(Math.max(...stream.answers.map(({ ms }) => ms))).toBeLessThan(8_000);
        await expectInLog(stream.acknowledged);
      } finally {
        await app.stop();
      }
    },
  );
});

describe('between the gateway and the edge Redis', () => {
  test.each(LINK_FAULTS)(
    'toxi-redis: $type: every event is taken, told within the bound of the look-up, and copies are known again',
    { timeout: 120_000 },
    async (toxic) => {
      const app = await world.start({
        TRACEHOUND_REDIS_EDGE_URL: servers.storeBehindLink(servers.stack.addresses.redisEdgeUrl),
        TRACEHOUND_GATEWAY_DEDUP_TIMEOUT: '100ms',
      });
      try {
        await ready(app);
        const stream = sender(app);
        await whileDisturbed(servers.store, toxic, (phase) => stream.more(phase === 'disturbed' ? 10 : 50));
        await stream.end();
        expect(stream.answers.filter(({ status }) => status !== 200)).toEqual([]);
        expect(Math.max(...stream.answers.map(({ ms }) => ms))).toBeLessThan(3_000);
        expect((await metricsOf(app)).get('gateway_dedup_unknown_total')).toBeGreaterThan(0);
        await expectInLog(stream.acknowledged);
        const again = anEvent();
        await waitFor(async () => (await postEvents(app, again)).body.results?.[0]?.status === 'duplicate', {
          what: 'the check to work again',
          timeoutMs: 30_000,
        });
      } finally {
        await app.stop();
      }
    },
  );
});
