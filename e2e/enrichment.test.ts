import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Deployment, loadScenario, readAlertLog, startDeployment, waitSettled } from '@tracehound/cli';
import type { AuthenticationEvent } from '@tracehound/event-model';
import { testStack, waitFor } from '@tracehound/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from './play-on.fixture.ts';

const DAY_MS = 86_400_000;
const EVENTS = join(ROOT, 'e2e', 'scenarios', 'ssh-bruteforce', 'events.ndjson');

let deployment: Deployment;
let edge: Redis;

beforeAll(async () => {
  const stack = await testStack();
  edge = new Redis(stack.redisEdgeUrl);
  deployment = await startDeployment({
    root: ROOT,
    directory: mkdtempSync(join(tmpdir(), 'tracehound-enrichment-')),
    addresses: stack,
    namespace: stack.namespace(),
    // A file of events is played under the shipped rules: they are what is wanted here.
    rules: loadScenario(ROOT, EVENTS).rules,
    // The chain speaks when no event within it can change what its stages say.
    latenessMs: 5_000,
    receiverUrl: 'http://127.0.0.1:9/',
  });
});

afterAll(async () => {
  await deployment?.stop();
  await edge?.quit();
});

type Login = { readonly actor: string; readonly platform: string; readonly atMs?: number; readonly payload?: object };

async function logIn({ actor, platform, atMs, payload }: Login): Promise<void> {
  const key = readFileSync(deployment.secrets.apiKeyFile, 'utf8').trim();
  const response = await fetch(`${deployment.gatewayUrl}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      event_type: 'auth.login.success',
      // Without a time it is the gateway's, which no slow machine makes late.
      ...(atMs === undefined ? {} : { occurred_at: new Date(atMs).toISOString() }),
      organization_id: 'acme',
      actor: { type: 'user', id: actor },
      source: { platform },
      ...(payload ? { payload } : {}),
    }),
  });
  expect(response.status, await response.text()).toBe(200);
}

/** What lies in Kafka, by account. */
async function loginsOf(actor: string): Promise<readonly AuthenticationEvent[]> {
  const topic = deployment.topic('security.events');
  const found: AuthenticationEvent[] = [];
  for (const { partition } of await deployment.admin.offsets(topic)) {
    for await (const { value } of deployment.kafka.read({ topic, partition })) {
      if (value === null) continue; // A marker of time (X4).
      const decoded = await deployment.codec.decode(value);
      if (decoded.name !== 'tracehound.events.v1.AuthenticationEvent') continue;
      if (decoded.value.envelope.actor?.id === actor) found.push(decoded.value);
    }
  }
  return found.toSorted((a, b) => a.envelope.event_time - b.envelope.event_time);
}

/** A login of long ago, until the gateway keeps it: the state is written beside the answer, and a first write may be lost. */
async function leavePast(actor: string): Promise<void> {
  await waitFor(
    async () => {
      await logIn({ actor, platform: 'web', atMs: Date.now() - 70 * DAY_MS });
      return (await edge.keys(`*enrich:days-idle*|${actor}`)).length > 0;
    },
    { what: `the gateway knows ${actor}`, timeoutMs: 30_000, intervalMs: 250 },
  );
}

/** Accounts the chain over `days_idle` has spoken of. */
async function wokenAccounts(): Promise<Set<string>> {
  const log = await readAlertLog(deployment, Date.now() + 10_000);
  return new Set(
    log
      .filter(({ rule }) => rule.title === 'Dormant account wakes on two platforms')
      .flatMap(({ group }) => group.map(({ value }) => value ?? '')),
  );
}

describe('X2 what an account did before is told by the gateway alone', () => {
  it('an account that slept alerts by what the gateway knows; one whose client says that it slept does not', async () => {
    await leavePast('sleeper');
    const forged = { days_idle: '99', 'geo.speed_kmh': '5000', device_is_new: 'true', network_is_new: 'true' };
    // The forged ones first, so that they are done when the other account's alert is there.
    await logIn({ actor: 'liar', platform: 'web', payload: forged });
    await logIn({ actor: 'liar', platform: 'rust-cli', payload: forged });
    await logIn({ actor: 'sleeper', platform: 'web' });
    await logIn({ actor: 'sleeper', platform: 'rust-cli' });

    await waitFor(async () => (await wokenAccounts()).has('sleeper'), {
      what: 'the alert about the account that slept',
      timeoutMs: 60_000,
    });
    await waitSettled({ ...deployment, timeoutMs: 60_000, hopeless: () => deployment.hopeless() });
    expect(await wokenAccounts()).toEqual(new Set(['sleeper']));

    expect((await loginsOf('sleeper')).map(({ payload }) => payload['days_idle'])).toContain('70');
    const [first, second] = await loginsOf('liar');
    for (const login of [first, second]) {
      for (const name of Object.keys(forged)) {
        expect(login?.envelope.redactions).toContain(`payload.${name}:reserved`);
      }
    }
    expect(first?.payload).not.toHaveProperty('days_idle');
    expect(second?.payload['days_idle']).not.toBe('99');
  });
});
