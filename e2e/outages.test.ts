import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { checkPlay, type Deployment, finalAlerts, type PlayResult, type ServiceName } from '@tracehound/cli';
import { openStack, type PartName, type Stack } from '@tracehound/stack';
import { waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { playOn, scenarioOf } from './play-on.fixture.ts';

/** How long a server stays away: 4 s here, 30 s in the long lane (`npm run test:long`). */
const AWAY_MS = process.env['TRACEHOUND_TEST_LONG'] === '1' ? 30_000 : 4_000;

const scenario = scenarioOf('ssh-bruteforce');

let stack: Stack;
let calm: PlayResult;

/** Waits until one of these services says in words why it is not ready, and names what is missing. */
function saysWhy(deployment: Deployment, names: readonly ServiceName[], words: RegExp): Promise<string> {
  return waitFor(
    async () => {
      const services = [...deployment.services.values()].filter((service) => names.includes(service.name));
      const reasons = await Promise.all(services.map((service) => service.notReady()));
      return reasons.find((reason) => reason !== null && words.test(reason));
    },
    { timeoutMs: AWAY_MS + 20_000, what: `${names.join(' or ')} says ${words.source}` },
  );
}

async function playWithout(part: PartName, names: readonly ServiceName[], words: RegExp): Promise<PlayResult> {
  const { result } = await playOn({
    addresses: stack.addresses,
    namespace: `out-${part}-${Date.now().toString(36)}`,
    scenario,
    meanwhile: async (deployment) => {
      await stack.part(part).kill();
      try {
        await saysWhy(deployment, names, words);
        await delay(AWAY_MS); // The outage itself is a duration: nothing to wait for.
      } finally {
        await stack.part(part).restart();
      }
    },
    timeoutMs: 150_000,
  });
  return result;
}

function expectNothingLost(result: PlayResult): void {
  expect(checkPlay(result).filter((check) => !check.ok)).toEqual([]);
  expect(finalAlerts(result.log)).toEqual(finalAlerts(calm.log));
}

describe('a server goes away while events are sent: nothing is lost, readiness says why, it catches up by itself', () => {
  beforeAll(async () => {
    stack = await openStack({ directory: mkdtempSync(join(tmpdir(), 'tracehound-outage-')), mode: 'native' });
    calm = (await playOn({ addresses: stack.addresses, namespace: 'calm', scenario })).result;
    expect(checkPlay(calm).filter((check) => !check.ok)).toEqual([]);
  });
  afterAll(() => stack.stop({ wipe: true }));

  it('PostgreSQL', async () => {
    expectNothingLost(await playWithout('postgres', ['sink-audit', 'alerter'], /postgres/i));
  });

  it('Redis state', async () => {
    expectNothingLost(await playWithout('redis-state', ['correlator'], /redis|state store|SEC_REDIS/i));
  });

  it('Kafka', async () => {
    expectNothingLost(
      await playWithout(
        'kafka-1',
        ['producer-gateway', 'correlator', 'sink-audit', 'alerter'],
        /kafka|broker|produce/i,
      ),
    );
  });

  it('the registry, whose ids the services already know', async () => {
    const { result } = await playOn({
      addresses: stack.addresses,
      namespace: `out-registry-${Date.now().toString(36)}`,
      scenario,
      meanwhile: async () => {
        await stack.part('registry').kill();
        await delay(AWAY_MS); // As above.
        await stack.part('registry').restart();
      },
      timeoutMs: 150_000,
    });
    expectNothingLost(result);
  });

  it('FLUSHALL of the state: the partition is rebuilt from its log', async () => {
    const { Redis } = await import('ioredis');
    const { result } = await playOn({
      addresses: stack.addresses,
      namespace: `out-flushall-${Date.now().toString(36)}`,
      scenario,
      meanwhile: async (deployment) => {
        const topic = deployment.topic('security.alerts');
        await waitFor(async () => (await deployment.admin.offsets(topic)).some(({ high }) => high > 0n), {
          timeoutMs: 60_000,
          what: 'the first alert',
        });
        const redis = new Redis(stack.addresses.redisStateUrl);
        await redis.flushall();
        await redis.quit();
      },
    });
    expectNothingLost(result);
  });
});
