import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishRuleSet } from '@tracehound/cli';
import { APPROVALS_HEADER, approvalsOf, approve, type RuleActivation } from '@tracehound/event-model';
import { waitFor } from '@tracehound/testkit';
import { afterAll, expect, it } from 'vitest';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { sendExternal } from './external-events.fixture.ts';
import { metricOf } from './stream.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracehound-breaker-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

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

let sent = 0;

async function flood(world: CorrelatorWorld, events: number): Promise<void> {
  const fields = { kind: 'call', targets: Array.from({ length: 12 }, (_, n) => `t${n}`) };
  await sendExternal(
    world,
    'mallory',
    Array.from({ length: events }, () => ({ id: `flood-${sent++}`, fields })),
  );
}

const ACTIVATION = 'tracehound.pipeline.v1.RuleActivation';

async function activations(world: CorrelatorWorld) {
  return Promise.all(
    (await world.records('detection.activations')).map(async ({ value, headers }) => {
      const decoded = await world.codec.decode(value ?? Buffer.alloc(0));
      return { activation: decoded.value as RuleActivation, approvals: approvalsOf(headers[APPROVALS_HEADER]) };
    }),
  );
}

it('X7 under signed activations a flood trips its rule by the breaker key, which can do nothing else', async () => {
  const world = await correlatorWorld({ publish: false });
  const pair = (keyId: string) => ({ keyId, ...generateKeyPairSync('ed25519') });
  const [ada, tripper] = [pair('ada'), pair('tripper')];
  const entry = ({ keyId, publicKey }: typeof ada) => ({
    key_id: keyId,
    public_key: publicKey.export({ type: 'spki', format: 'pem' }),
  });
  const secret = tripper.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const files = { keys: join(folder, 'keys.json'), breaker: join(folder, 'breaker.pem') };
  writeFileSync(files.keys, JSON.stringify({ keys: [entry(ada), { ...entry(tripper), role: 'breaker' }] }));
  writeFileSync(files.breaker, secret);
  try {
    await world.codec.prepare(['tracehound.events.v1.ExternalEvent', ACTIVATION]);
    const { kafka, codec, namespace } = world;
    await publishRuleSet({ kafka, codec, namespace, files: FILES, principal: 'ada', keys: [ada] });
    const app = await world.app({
      TRACEHOUND_RULE_KEYS_FILE: files.keys,
      TRACEHOUND_CORRELATOR_BREAKER_KEY_FILE: files.breaker,
      TRACEHOUND_CORRELATOR_BREAKER_PER_EVENT: '8',
      TRACEHOUND_CORRELATOR_BREAKER_MATCHES: '40',
    });
    await flood(world, 8);
    const [, tripped] = await waitFor(
      async () => {
        const known = await activations(world);
        return known.length > 1 && known;
      },
      { what: 'the activation of the breaker', timeoutMs: 30_000 },
    );
    expect(tripped?.activation).toMatchObject({
      principal: 'system:breaker',
      breakers: [{ organization_id: 'mallory', rule_id: 'many_calls' }],
    });
    expect(tripped?.approvals.map(({ key_id }) => key_id)).toEqual(['tripper']);
    // It takes effect some seconds later, by append time: matches of new events are withheld from then on.
    await waitFor(
      async () => {
        await flood(world, 1);
        return (await metricOf(app, /^correlator_matches_withheld_total/)) > 0;
      },
      { what: 'matches that are withheld', timeoutMs: 30_000, intervalMs: 250 },
    );

    // Whoever has got hold of the key wants other rules in force.
    const forged: RuleActivation = {
      ...(tripped?.activation as RuleActivation),
      activation_id: 'forged',
      ruleset_id: 'another',
      effective_at: Date.now() + 8_000,
      based_on: tripped?.activation.activation_id ?? null,
    };
    const headers = { [APPROVALS_HEADER]: JSON.stringify([approve(forged, tripper)]) };
    const value = world.codec.encode(ACTIVATION, forged);
    await world.producer.send(world.topic('detection.activations'), [{ key: 'another', value, headers }]);
    await waitFor(
      async () => {
        await flood(world, 1);
        return (await metricOf(app, /^correlator_rule_records_ignored_total\{reason="breaker_refused"\}/)) === 1;
      },
      { what: 'the forged activation is passed over and counted', timeoutMs: 30_000, intervalMs: 250 },
    );
    const log = world.log();
    expect(log).toContain('proposing a breaker');
    for (const line of secret.split('\n').filter((text) => text !== '')) expect(log).not.toContain(line);
  } finally {
    await world.close();
  }
}, 90_000);
