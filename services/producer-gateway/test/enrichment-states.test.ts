import { createEnrichment, type EnrichableEvent, newDevice } from '@tracehound/enrich';
import { connectRedis, type Redis } from '@tracehound/redis';
import { sfc32, testStack, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRedisEnrichmentStates } from '../src/adapters/redis-enrichment-states.ts';
import type { EnrichedEvent } from '../src/domain/intake-event.ts';
import type { EnrichmentStates } from '../src/ports.ts';
import { createRecallStage } from '../src/stages/recall.ts';

let redis: Redis;
let namespace: () => string;

beforeAll(async () => {
  const stack = await testStack();
  namespace = stack.namespace;
  redis = await connectRedis(stack.redisEdgeUrl, { role: 'edge' });
});
afterAll(() => redis.disconnect());

test('a state is written over the one it was made from, or the other one is told', async () => {
  const states = createRedisEnrichmentStates({ redis, namespace: namespace() });
  const change = { id: 'new_device:acme|eve', keptMs: 60_000 };
  expect(await states.load([change.id])).toEqual([null]);
  expect(await states.save([{ ...change, before: null, state: 'one' }])).toEqual([]);
  const late = [
    { ...change, before: null, state: 'two' },
    { ...change, id: 'new_device:acme|bob', before: null, state: 'of bob' },
    { ...change, id: 'new_device:acme|gone', before: 'forgotten meanwhile', state: 'anew' },
  ];
  expect(await states.save(late)).toEqual([
    { id: change.id, state: 'one' },
    { id: 'new_device:acme|gone', state: null },
  ]);
  expect(await states.load(late.map(({ id }) => id))).toEqual(['one', 'of bob', null]);
  expect(await states.save([{ ...change, before: 'one', state: 'two' }])).toEqual([]);
});

test('the library is loaded again by a server that has lost it', async () => {
  const states = createRedisEnrichmentStates({ redis, namespace: namespace() });
  await redis.call('FUNCTION', 'DELETE', 'tracehound_enrich_v1').catch(() => undefined);
  const change = { id: 'new_device:acme|eve', keptMs: 60_000, before: null, state: 'one' };
  expect(await states.save([change])).toEqual([]);
});

test('four gateways see one account at once: the state knows every device, in any interleaving', async () => {
  const ns = namespace();
  let written = 0;
  const forgotten: unknown[] = [];
  const random = sfc32(47);
  const createGateway = () => {
    const states = createRedisEnrichmentStates({ redis, namespace: ns });
    const watched: EnrichmentStates = {
      load: (ids) => states.load(ids),
      async save(changed) {
        const others = await states.save(changed);
        if (others.length === 0) written++;
        return others;
      },
    };
    return createRecallStage({
      enrichment: createEnrichment([newDevice]),
      states: watched,
      onForgotten: (error) => forgotten.push(error),
    });
  };
  const gateways = [createGateway(), createGateway(), createGateway(), createGateway()] as const;
  const gatewayOf = (index: number) => gateways[(index % 4) as 0 | 1 | 2 | 3];
  const devices = Array.from({ length: 16 }, (_, index) => `device-${index}`);
  await Promise.all(random.shuffle(devices).map((device, index) => gatewayOf(index)([loginFrom(device, index)])));
  await waitFor(async () => written === devices.length || forgotten.length > 0, { what: 'all writes to end' });
  expect(forgotten).toEqual([]);
  const again = await Promise.all(devices.map((device, index) => gatewayOf(0)([loginFrom(device, 100 + index)])));
  const said = again
    .flat()
    .map((verdict) =>
      verdict.kind === 'ok' && 'payload' in verdict.value.record ? verdict.value.record.payload : null,
    );
  expect(said).toEqual(devices.map(() => expect.objectContaining({ device_is_new: 'false' })));
});

/** What the recall stage looks at of an event; the rest of it plays no part here. */
function loginFrom(deviceId: string, index: number): EnrichedEvent {
  const enrichable: EnrichableEvent = {
    ...{ eventId: `event-${index}`, eventType: 'auth.login.success', outcome: 'SUCCESS', organization: 'acme' },
    ...{ timeMs: 1_800_000_000_000 + index, actorId: 'eve', deviceId, asn: null, place: null },
  };
  return { enrichable, record: { payload: { device_id: deviceId }, envelope: {} } } as unknown as EnrichedEvent;
}
