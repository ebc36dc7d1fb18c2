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

/** The first reason any of these services gives for not being ready; waits for one. */
async function saysWhy(deployment: Deployment, names: readonly ServiceName[]): Promise<string> {
  let reason: string | null = null;
  await waitFor(
    async () => {
      for (const name of names) reason ??= (await deployment.services.get(name)?.notReady()) ?? null;
      return reason !== null && reason !== 'not answering yet';
    },
    { timeoutMs: AWAY_MS + 20_000, what: `${names.join(' or ')} says why it is not ready` },
  );
  return reason ?? '';
}

async function playWithout(
  part: PartName,
  names: readonly ServiceName[],
): Promise<{ result: PlayResult; reason: string }> {
  let reason = '';
  const { result } = await playOn({
    addresses: stack.addresses,
    namespace: `out-${part}-${Date.now().toString(36)}`,
    scenario,
    meanwhile: async (deployment) => {
      await stack.part(part).kill();
      try {
        reason = await saysWhy(deployment, names);
        await delay(AWAY_MS); // The outage itself is a duration: nothing to wait for.
      } finally {
        await stack.part(part).restart();
      }
    },
    timeoutMs: 150_000,
  });
  return { result, reason };
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
    const { result, reason } = await playWithout('postgres', ['sink-audit', 'alerter']);
    expect(reason).toMatch(/postgres/i);
    expectNothingLost(result);
  });

  it('Redis state', async () => {
    const { result, reason } = await playWithout('redis-state', ['correlator']);
    expect(reason).toMatch(/redis/i);
    expectNothingLost(result);
  });

  it('Kafka', async () => {
    const { result, reason } = await playWithout('kafka-1', [
      'producer-gateway',
      'correlator',
      'sink-audit',
      'alerter',
    ]);
    expect(reason).toMatch(/kafka|broker|produce/i);
    expectNothingLost(result);
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
