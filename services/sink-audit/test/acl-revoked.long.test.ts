import { namespaced } from '@tracehound/config';
import { openStackWithRights, type StackWithRights, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loginFailure } from './event.fixture.ts';
import { expectOneRowEach } from './exactness.fixture.ts';
import { type SinkWorld, sinkWorld } from './sink-world.fixture.ts';

let own: StackWithRights;
beforeAll(async () => {
  own = await openStackWithRights(['kafka', 'registry', 'postgres']);
}, 120_000);
afterAll(() => own?.close());

/** What readiness says of each. */
const CASES = [
  ['read security.events', /security\.events\/\d+ may not be read \(SEC_KAFKA_UNAUTHORIZED\)/],
  ['write security.event-detected', /SEC_SINK_PUBLISH_FAILED/],
  ['be in its group', /the consumer group may not be joined \(SEC_KAFKA_UNAUTHORIZED\)/],
] as const;
type What = (typeof CASES)[number][0];

async function setRight(world: SinkWorld, what: What, change: 'revoke' | 'grant'): Promise<void> {
  const groupId = namespaced(world.namespace, 'sink-audit');
  if (what === 'be in its group')
    await (change === 'revoke' ? own.rights.revokeGroup(groupId) : own.rights.grantGroup(groupId));
  else if (what === 'read security.events') await own.rights[change](world.topic('security.events'), 'read');
  else await own.rights[change](world.topic('security.event-detected'), 'write');
}

it.each(CASES)(
  'acl-revoked: no right to %s: it says so and waits; with it again every event is one row, announced',
  { timeout: 120_000 },
  async (what, said) => {
    const world = await sinkWorld({ environment: { ...process.env, ...own.stack.environment() } });
    try {
      const log: string[] = [];
      const app = await world.app({ TRACEHOUND_LOG_LEVEL: 'warn' }, (line) => log.push(line));
      const readiness = () => fetch(`${app.addresses.internal}/health/ready`);
      const sent: string[] = [];
      const sendSome = async (): Promise<void> => {
        const events = Array.from({ length: 40 }, () => loginFailure({ severity: 'HIGH' }));
        await world.send(events);
        sent.push(...events.map((event) => `acme|${event.envelope.event_id}`));
      };
      await sendSome();
      await world.caughtUp();
      await setRight(world, what, 'revoke');
      await waitFor(
        async () => {
          await sendSome();
          const answer = await readiness();
          return answer.status === 503 && said.test(await answer.text());
        },
        { what: 'readiness to say what the sink may not do', timeoutMs: 60_000, intervalMs: 500 },
      );
      expect(log.filter((line) => line.includes('readiness changed')).join()).toMatch(said);
      await setRight(world, what, 'grant');
      await sendSome();
      await world.caughtUp(60_000);
      await waitFor(async () => (await readiness()).ok, { what: 'the sink to be ready again', timeoutMs: 30_000 });
      await expectOneRowEach(world, sent);
    } finally {
      await world.close();
    }
  },
);
