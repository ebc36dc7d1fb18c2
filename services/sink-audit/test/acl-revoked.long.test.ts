import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStack, type Stack } from '@tracehound/stack';
import { type TopicRight, type TopicRights, topicRights, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loginFailure } from './event.fixture.ts';
import { sinkWorld } from './sink-world.fixture.ts';

let directory: string;
let stack: Stack;
let rights: TopicRights;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tracehound-acl-'));
  const kinds = ['kafka', 'registry', 'postgres'] as const;
  stack = await openStack({ directory, mode: 'native', kinds, kafkaAuthorizer: true });
  rights = await topicRights(stack.addresses.kafkaBrokers);
}, 120_000);
afterAll(async () => {
  await rights?.close();
  await stack?.stop({ wipe: true });
  await rm(directory, { recursive: true, force: true });
});

async function lagOf(app: { addresses: { internal: string } }): Promise<number> {
  const text = await (await fetch(`${app.addresses.internal}/metrics`)).text();
  return [...text.matchAll(/^sink_lag_records\{.*\} (\d+)$/gm)].reduce((sum, [, records]) => sum + Number(records), 0);
}

const CASES = [
  ['read', 'security.events'],
  ['write', 'security.event-detected'],
] as const satisfies readonly (readonly [TopicRight, string])[];

it.each(CASES)(
  'acl-revoked: no right to %s %s: it says so and waits; with it again every event is one row, announced',
  { timeout: 90_000 },
  async (right, name) => {
    const world = await sinkWorld({ environment: { ...process.env, ...stack.environment() } });
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
      await rights.revoke(world.topic(name), right);
      // Rows and readiness are told apart: what cannot be read is in the log and in the lag, what cannot be written stops
      // its partitions.
      await waitFor(
        async () => {
          await sendSome();
          return right === 'read'
            ? log.some((line) => line.includes('SEC_KAFKA_UNAUTHORIZED')) && (await lagOf(app)) > 0
            : (await readiness()).status === 503;
        },
        { what: 'the sink to say that it cannot go on', timeoutMs: 30_000, intervalMs: 500 },
      );
      if (right === 'write') expect(await (await readiness()).text()).toContain('SEC_SINK_PUBLISH_FAILED');
      await rights.grant(world.topic(name), right);
      await sendSome();
      await world.caughtUp(60_000);
      await waitFor(async () => (await readiness()).ok, { what: 'the sink to be ready again', timeoutMs: 30_000 });
      const { rows } = await world.database.admin.query<Record<string, bigint>>(
        `SELECT count(*) AS stored, count(DISTINCT (topic_id, kafka_partition, kafka_offset)) AS positions,
           count(DISTINCT event_id) AS ids, (SELECT count(*) FROM audit.gap) AS gaps FROM audit.event`,
      );
      const all = BigInt(sent.length);
      expect(rows[0]).toEqual({ stored: all, positions: all, ids: all, gaps: 0n });
      await waitFor(
        async () => {
          const records = await world.records('security.event-detected');
          return new Set(records.map((record) => record.key?.toString())).size === sent.length;
        },
        { what: 'every announcement', timeoutMs: 30_000 },
      );
    } finally {
      await world.close();
    }
  },
);
