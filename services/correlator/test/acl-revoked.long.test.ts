import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStack, type Stack } from '@tracehound/stack';
import { type TopicRights, topicRights, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { correlatorWorld } from './correlator-world.fixture.ts';
import { eventsOf, expectExact, flowing, sendSliced } from './stream.fixture.ts';

/** A broker of its own that looks at rights. */
let directory: string;
let stack: Stack;
let rights: TopicRights;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tracehound-acl-'));
  const kinds = ['kafka', 'registry', 'redis-state'] as const;
  stack = await openStack({ directory, mode: 'native', kinds, kafkaAuthorizer: true });
  rights = await topicRights(stack.addresses.kafkaBrokers);
}, 120_000);
afterAll(async () => {
  await rights?.close();
  await stack?.stop({ wipe: true });
  await rm(directory, { recursive: true, force: true });
});

describe('acl-revoked', () => {
  it.each([
    ['read', 'security.events', 71],
    ['write', 'security.matches', 72],
    ['read', 'security.matches', 73],
    ['write', 'security.alerts', 74],
  ] as const)(
    'acl-revoked: no right to %s %s in the middle of a stream; with it again E1 and E2 hold',
    {
      timeout: 180_000,
    },
    async (right, name, seed) => {
      const world = await correlatorWorld({
        environment: stack.environment(),
        redisStateUrl: stack.addresses.redisStateUrl,
      });
      try {
        const events = eventsOf(seed);
        await world.app();
        await sendSliced(world, events, async (slice) => {
          if (slice === 1) await flowing(world);
          if (slice === 2) await rights.revoke(world.topic(name), right);
          if (slice !== 4) return;
          await waitFor(async () => world.log().includes('SEC_KAFKA_UNAUTHORIZED'), {
            what: `a log line that says what is missing\n${world.log()}`,
            timeoutMs: 60_000,
          });
          await rights.grant(world.topic(name), right);
        });
        await expectExact(world, events);
      } finally {
        await world.close();
      }
    },
  );
});
