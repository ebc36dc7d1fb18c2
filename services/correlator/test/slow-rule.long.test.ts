import { publishRuleSet } from '@tracehound/cli';
import type { RuleActivation } from '@tracehound/event-model';
import { waitFor } from '@tracehound/testkit';
import { expect, it } from 'vitest';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { sendExternal } from './external-events.fixture.ts';
import { metricOf } from './stream.fixture.ts';

/** One detection reads long texts to their ends. */
const FILES = [
  {
    path: 'slow.yml',
    content: `title: Slow
id: slow
name: slow
logsource: {product: mesh}
detection: {s: {kind: call, body|re: 'x(ab|ba)*y.*z'}, condition: s}
---
title: Quick
id: quick
name: quick
logsource: {product: mesh}
detection: {s: {kind: call}, condition: s}
---
title: Calls that a slow rule counts
id: slow_calls
correlation: {type: event_count, rules: [slow], group-by: [user], timespan: 10s, condition: {gte: 2}}
---
title: Calls
id: calls
correlation: {type: event_count, rules: [quick], group-by: [user], timespan: 10s, condition: {gte: 2}}
`,
  },
];
const LONG = `${'xabba'.repeat(4_000)}xyz`;

let sent = 0;

/** Events of one organization; each matches both detections. */
async function call(world: CorrelatorWorld, organization: string, events: number): Promise<readonly string[]> {
  const ids = Array.from({ length: events }, () => `${organization}-${sent++}`);
  const fields = { kind: 'call', user: 'u', body: organization === 'mallory' ? LONG : 'xyz' };
  await sendExternal(
    world,
    organization,
    ids.map((id) => ({ id, fields })),
  );
  return ids;
}

async function newestActivation(world: CorrelatorWorld): Promise<RuleActivation> {
  const last = (await world.records('detection.activations')).at(-1);
  return (await world.codec.decode(last?.value ?? Buffer.alloc(0))).value as RuleActivation;
}

/** Ids of events by the correlation they match, `organization rule`. */
async function matched(world: CorrelatorWorld, rules: readonly string[]): Promise<ReadonlyMap<string, Set<string>>> {
  const found = new Map<string, Set<string>>();
  for (const { matches } of await world.matchBatches()) {
    for (const { organization_id, rule, event_id } of matches) {
      const key = `${organization_id} ${rules[rule]}`;
      found.set(key, (found.get(key) ?? new Set()).add(event_id));
    }
  }
  return found;
}

it('slow-rule: a detection over its time budget is tripped for the organization that costs most, and says so', async () => {
  const world = await correlatorWorld({ publish: false });
  try {
    await world.codec.prepare(['tracehound.events.v1.ExternalEvent']);
    const { kafka, codec, namespace } = world;
    await publishRuleSet({ kafka, codec, namespace, files: FILES, principal: 'test' });
    const app = await world.app({
      TRACEHOUND_CORRELATOR_BREAKER_RULE_SHARE: '1',
      TRACEHOUND_CORRELATOR_BREAKER_RULE_TIME: '10',
    });
    const tripped = await waitFor(
      async () => {
        await call(world, 'mallory', 100);
        await call(world, 'acme', 10);
        const newest = await newestActivation(world);
        return newest.breakers.length > 0 && newest;
      },
      { what: `a breaker\n${world.log()}`, timeoutMs: 90_000, intervalMs: 100 },
    );
    expect(tripped).toMatchObject({
      principal: 'system:breaker',
      breakers: [{ organization_id: 'mallory', rule_id: 'slow' }],
      reason: expect.stringMatching(/% of a core over 10 s in this rule alone/),
    });
    await waitFor(
      async () => {
        await call(world, 'mallory', 1);
        return (await metricOf(app, /^correlator_detections_skipped_total/)) > 0;
      },
      { what: 'an event about which the detection is not asked', timeoutMs: 30_000, intervalMs: 250 },
    );
    const [mallory, acme] = [await call(world, 'mallory', 5), await call(world, 'acme', 5)];
    await world.endInput();
    await world.settled(60_000);

    const found = await matched(world, ['slow_calls', 'calls']);
    const has = (rule: string, ids: readonly string[]) => ids.map((id) => found.get(rule)?.has(id) ?? false);
    const [all, none] = [Array(5).fill(true), Array(5).fill(false)];
    expect(has('mallory slow_calls', mallory)).toEqual(none);
    expect(has('mallory calls', mallory)).toEqual(all);
    expect(has('acme slow_calls', acme)).toEqual(all);
    const degraded = (await world.alerts()).filter(({ kind }) => kind === 'DEGRADED');
    expect(
      new Set(degraded.map(({ organization_id, rule, reason }) => `${organization_id} ${rule.rule_id} ${reason}`)),
    ).toEqual(new Set(['mallory slow_calls breaker']));
  } finally {
    await world.close();
  }
}, 180_000);
