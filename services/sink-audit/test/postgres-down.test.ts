import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ADDRESS_KEYS, openStack, type Stack } from '@tracehound/stack';
import { waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logins, type SinkWorld, sinkWorld } from './sink-world.fixture.ts';

/** A PostgreSQL of our own, because the shared one must not be stopped. */
const environment: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries(process.env).filter(([key]) => !Object.values<string>(ADDRESS_KEYS).includes(key)),
);
const DOWN_MS = 5_000;

let directory: string;
let stack: Stack;
let world: SinkWorld;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tracehound-sink-test-'));
  stack = await openStack({ directory, mode: 'native', kinds: ['postgres'], environment });
  world = await sinkWorld({ postgresUrl: stack.addresses.postgresUrl });
});

afterAll(async () => {
  await world?.close();
  await stack?.stop({ wipe: true });
  await rm(directory, { recursive: true, force: true });
});

type Ready = { status: string; checks: { name: string; ok: boolean; detail: string }[] };

async function readiness(internal: string): Promise<{ code: number; body: Ready }> {
  const response = await fetch(`${internal}/health/ready`);
  return { code: response.status, body: (await response.json()) as Ready }; // Our own endpoint (contracts, section 1).
}

describe('postgres-down', () => {
  it('killed for 5 s while events come: readiness says why, nothing is lost or doubled, it catches up by itself', async () => {
    const app = await world.app({ TRACEHOUND_SINK_BATCH_ROWS_MAX: '500' });
    await waitFor(async () => (await readiness(app.addresses.internal)).code === 200, { what: 'the sink to be ready' });
    let sent = 0;
    let isSending = true;
    const sending = (async () => {
      while (isSending) {
        await world.send(logins(50));
        sent += 50;
        await sleep(10); // 5,000 events/s at most: the test is about loss, not about speed.
      }
    })();
    await waitFor(() => sent >= 500, { what: 'the first events' });
    const postgres = stack.part('postgres');
    await postgres.kill('SIGKILL');
    const downSince = performance.now();
    const down = await waitFor(
      async () => {
        const ready = await readiness(app.addresses.internal);
        return ready.code === 503 && ready.body.checks.find(({ name, ok }) => name === 'postgres' && !ok) && ready;
      },
      { what: 'readiness to say that PostgreSQL is away' },
    );
    expect(down.body.checks.find(({ name }) => name === 'postgres')?.detail).toContain('PostgreSQL');
    await waitFor(() => performance.now() - downSince >= DOWN_MS, { what: 'the end of the outage' });
    isSending = false;
    await sending;
    await postgres.restart();
    await world.caughtUp(45_000);
    await waitFor(async () => (await readiness(app.addresses.internal)).code === 200, {
      what: 'the sink to be ready again',
    });
    const { rows } = await world.database.admin.query<{ stored: bigint; positions: bigint; ids: bigint }>(
      `SELECT count(*) AS stored, count(DISTINCT (topic_id, kafka_partition, kafka_offset)) AS positions,
         count(DISTINCT event_id) AS ids FROM audit.event`,
    );
    expect(rows[0]).toEqual({ stored: BigInt(sent), positions: BigInt(sent), ids: BigInt(sent) });
  });
});
