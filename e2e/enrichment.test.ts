import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Deployment, loadScenario, readAlertLog, startDeployment, waitSettled } from '@tracehound/cli';
import type { AuthenticationEvent } from '@tracehound/event-model';
import { testStack, waitFor } from '@tracehound/testkit';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { geoDatabase } from './geo-database.fixture.ts';
import { ROOT } from './play-on.fixture.ts';

const DAY_MS = 86_400_000;
const EVENTS = join(ROOT, 'e2e', 'scenarios', 'ssh-bruteforce', 'events.ndjson');

/** Networks for documentation (RFC 5737), put where they are not: Berlin, and two of one maker in Tokyo. */
const BERLIN = { country: 'DE', asn: 64_500, latitude: 52.52, longitude: 13.405 };
const TOKYO = { country: 'JP', latitude: 35.68, longitude: 139.69 };
const GEO_DATABASE = geoDatabase([
  { network: '203.0.113.0/24', ...BERLIN },
  { network: '198.51.100.0/25', ...TOKYO, asn: 64_501 },
  { network: '198.51.100.128/25', ...TOKYO, asn: 64_502 },
]);

let deployment: Deployment;
let edge: Redis;

beforeAll(async () => {
  const stack = await testStack();
  const directory = mkdtempSync(join(tmpdir(), 'tracehound-enrichment-'));
  const geoFile = join(directory, 'geo.mmdb');
  writeFileSync(geoFile, GEO_DATABASE);
  edge = new Redis(stack.redisEdgeUrl);
  deployment = await startDeployment({
    root: ROOT,
    directory,
    addresses: stack,
    namespace: stack.namespace(),
    // A file of events is played under the shipped rules: they are what is wanted here.
    rules: loadScenario(ROOT, EVENTS).rules,
    // The chain speaks when no event within it can change what its stages say.
    latenessMs: 5_000,
    receiverUrl: 'http://127.0.0.1:9/',
    env: { TRACEHOUND_GATEWAY_GEOIP_DB_FILES: geoFile },
  });
});

afterAll(async () => {
  await deployment?.stop();
  await edge?.quit();
});

type Login = {
  readonly actor: string;
  readonly platform: string;
  readonly atMs?: number;
  readonly payload?: object;
  readonly ip?: string;
};

async function logIn({ actor, platform, atMs, payload, ip }: Login): Promise<void> {
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
      ...(ip === undefined ? {} : { network: { ip } }),
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

/** A login again and again until the gateway keeps it: the state is written beside the answer, and a first write may be lost. */
async function leavePast(login: Login, enrichers: readonly string[]): Promise<void> {
  await waitFor(
    async () => {
      await logIn(login);
      const kept = enrichers.map(async (name) => (await edge.keys(`*enrich:${name}*|${login.actor}`)).length > 0);
      return (await Promise.all(kept)).every(Boolean);
    },
    { what: `the gateway knows ${login.actor}`, timeoutMs: 30_000, intervalMs: 250 },
  );
}

/** Accounts that a rule over what the gateway knows has spoken of. */
async function accountsOf(title: string): Promise<Set<string>> {
  const log = await readAlertLog(deployment, Date.now() + 10_000);
  return new Set(
    log.filter(({ rule }) => rule.title === title).flatMap(({ group }) => group.map(({ value }) => value ?? '')),
  );
}

const DORMANT = 'Dormant account wakes on two platforms';
const TRAVEL = 'Impossible travel';

describe('X2 what an account did before is told by the gateway alone', () => {
  it('an account that slept alerts by what the gateway knows; one whose client says that it slept does not', async () => {
    await leavePast({ actor: 'sleeper', platform: 'web', atMs: Date.now() - 70 * DAY_MS }, ['days-idle']);
    const forged = { days_idle: '99', 'geo.speed_kmh': '5000', device_is_new: 'true', network_is_new: 'true' };
    // The forged ones first, so that they are done when the other account's alert is there.
    await logIn({ actor: 'liar', platform: 'web', payload: forged });
    await logIn({ actor: 'liar', platform: 'rust-cli', payload: forged });
    await logIn({ actor: 'sleeper', platform: 'web' });
    await logIn({ actor: 'sleeper', platform: 'rust-cli' });

    await waitFor(async () => (await accountsOf(DORMANT)).has('sleeper'), {
      what: 'the alert about the account that slept',
      timeoutMs: 60_000,
    });
    await waitSettled({ ...deployment, timeoutMs: 60_000, hopeless: () => deployment.hopeless() });
    expect(await accountsOf(DORMANT)).toEqual(new Set(['sleeper']));

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

  it('one account in Berlin and in Tokyo within minutes alerts; one that moves between networks of one city does not', async () => {
    const known = ['geo-speed', 'new-network'];
    // The one that stays first, so that it is done when the other one's alert is there.
    await leavePast({ actor: 'commuter', platform: 'web', ip: '198.51.100.7' }, known);
    await logIn({ actor: 'commuter', platform: 'web', ip: '198.51.100.200' });
    await leavePast({ actor: 'traveller', platform: 'web', ip: '203.0.113.9' }, known);
    await logIn({ actor: 'traveller', platform: 'web', ip: '198.51.100.7' });

    await waitFor(async () => (await accountsOf(TRAVEL)).has('traveller'), {
      what: 'the alert about the account that travelled',
      timeoutMs: 60_000,
    });
    await waitSettled({ ...deployment, timeoutMs: 60_000, hopeless: () => deployment.hopeless() });
    expect(await accountsOf(TRAVEL)).toEqual(new Set(['traveller']));

    const there = (await loginsOf('traveller')).at(-1);
    expect(there?.envelope.network).toMatchObject({ country: 'JP', asn: 64_501, ip: null });
    expect(there?.payload['network_is_new']).toBe('true');
    // 8,900 km; what happens within a minute counts as a minute apart.
    const speed = Number(there?.payload['geo.speed_kmh']);
    expect(speed).toBeGreaterThan(900);
    expect(speed).toBeLessThan(8_950 * 60);
    const moved = (await loginsOf('commuter')).at(-1);
    expect(moved?.envelope.network).toMatchObject({ country: 'JP', asn: 64_502 });
    expect(moved?.payload).toMatchObject({ 'geo.speed_kmh': '0', network_is_new: 'true' });
  });
});
