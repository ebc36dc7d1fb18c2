import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ADDRESS_KEYS,
  environmentOf,
  findStack,
  identifyProcess,
  openStack,
  type PartName,
  type Stack,
} from '@tracehound/stack';
import { waitFor } from '@tracehound/testkit';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** Stacks of this file must not be found through the addresses of the shared test stack. */
const environment: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries(process.env).filter(([key]) => !Object.values<string>(ADDRESS_KEYS).includes(key)),
);

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tracehound-stack-test-'));
});

afterAll(async () => {
  await (await findStack({ directory, environment }))?.stop({ wipe: true });
  await rm(directory, { recursive: true, force: true });
});

const open = (): Promise<Stack> => openStack({ directory, mode: 'native', environment });

async function pidsOf(stack: Stack): Promise<Record<string, number | null>> {
  return Object.fromEntries((await stack.status()).map(({ name, pid }) => [name, pid]));
}

async function query(stack: Stack, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: stack.addresses.postgresUrl });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Registers a schema and returns its id, which the registry repeats for the same schema. */
async function registerSchema(stack: Stack): Promise<unknown> {
  const response = await fetch(new URL('/subjects/stack.test/versions', stack.addresses.registryUrl), {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify({ type: 'record', name: 'Probe', fields: [] }) }),
  });
  return response.json();
}

describe('a native stack', () => {
  it('is started once by two callers at the same time', async () => {
    const [first, second] = await Promise.all([open(), open()]);
    expect(await pidsOf(second)).toEqual(await pidsOf(first));
    expect(second.addresses).toEqual(first.addresses);
  });

  it('is found by a second up within 2 s, with nothing restarted', async () => {
    const before = await pidsOf(await open());
    const begun = performance.now();
    const again = await open();
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(await pidsOf(again)).toEqual(before);
  });

  it.each<PartName>(['redis-edge', 'postgres', 'kafka-1'])(
    'shows a killed %s and repairs it with the next up',
    async (name) => {
      const stack = await open();
      const before = await pidsOf(stack);
      await stack.part(name).kill('SIGKILL');
      const seen = (await stack.status()).find((part) => part.name === name);
      expect(seen).toMatchObject({ state: 'stopped', pid: null });

      const repaired = await open();
      const after = await pidsOf(repaired);
      expect(after[name]).not.toBe(before[name]);
      expect({ ...after, [name]: 0 }).toEqual({ ...before, [name]: 0 });
      expect((await repaired.status()).every(({ state }) => state === 'running')).toBe(true);
      expect(repaired.addresses).toEqual(stack.addresses);
    },
  );

  it('thaws a frozen server instead of restarting it', async () => {
    const stack = await open();
    const before = await pidsOf(stack);
    await stack.part('redis-state').pause();
    expect((await stack.status()).find(({ name }) => name === 'redis-state')).toMatchObject({ state: 'unhealthy' });
    expect(await pidsOf(await open())).toEqual(before);
  });

  it('leaves no process behind after down, keeps the data, and finds them again', async () => {
    const stack = await open();
    await query(stack, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const schema = await registerSchema(stack);
    const pids = Object.values(await pidsOf(stack));
    await stack.stop();
    expect(pids.map((pid) => identifyProcess(pid ?? 0))).toEqual(pids.map(() => null));
    expect((await stack.status()).every(({ state }) => state === 'stopped')).toBe(true);

    const again = await open();
    expect(await query(again, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    expect(await registerSchema(again)).toEqual(schema);
  });

  it('never ends a process that only has the number of an earlier server', async () => {
    const stack = await open();
    await stack.part('redis-edge').kill();
    const pidFile = join(directory, 'pids', 'redis-edge.json');
    const stored = JSON.parse(await readFile(pidFile, 'utf8')) as { startedAt: string };
    await writeFile(pidFile, JSON.stringify({ pid: process.pid, startedAt: stored.startedAt }));
    await stack.part('redis-edge').kill(); // would end this test run
    expect((await stack.status()).find(({ name }) => name === 'redis-edge')).toMatchObject({
      state: 'stopped',
      pid: null,
    });
  });

  it('deletes processes and data with wipe', async () => {
    const stack = await open();
    const pids = Object.values(await pidsOf(stack));
    await stack.stop({ wipe: true });
    expect(pids.map((pid) => identifyProcess(pid ?? 0))).toEqual(pids.map(() => null));
    expect(existsSync(join(directory, 'data'))).toBe(false);
    expect(await findStack({ directory, environment })).toBeNull();
  });
});

describe('three brokers', () => {
  it('form one cluster that outlives the death of one', async () => {
    const folder = `${directory}-brokers`;
    const stack = await openStack({ directory: folder, mode: 'native', brokers: 3, kinds: ['kafka'], environment });
    try {
      expect(stack.addresses.kafkaBrokers).toHaveLength(3);
      // Each broker learns of the others by itself, a moment after its own registration.
      for (const part of stack.parts) {
        await waitFor(async () => (await part.health()).detail === '3 of 3 brokers', {
          what: `${part.name} to see all three`,
        });
      }
      await stack.part('kafka-2').kill('SIGKILL');
      expect(await stack.part('kafka-2').health()).toMatchObject({ ok: false });
      expect(await stack.part('kafka-1').health()).toMatchObject({ ok: true });
      await stack.part('kafka-2').restart();
      expect(await stack.part('kafka-2').health()).toMatchObject({ ok: true });
    } finally {
      await stack.stop({ wipe: true });
    }
  });
});

describe('a stack named by the environment', () => {
  it('is used, asked, and never touched', async () => {
    // The shared test servers of this run stand for servers somebody else owns.
    const folder = join(directory, 'unused');
    const stack = await openStack({ directory: folder, environment: { ...environment, ...sharedAddresses() } });
    expect(stack.mode).toBe('env');
    expect((await stack.status()).map(({ state }) => state)).toEqual(stack.parts.map(() => 'running'));
    await expect(stack.part('redis-state').kill()).rejects.toMatchObject({ code: 'SEC_STACK_NOT_OURS' });
    await stack.stop();
    expect((await stack.status()).map(({ state }) => state)).toEqual(stack.parts.map(() => 'running'));
    expect(existsSync(folder)).toBe(false);
  });

  it('says which servers do not answer', async () => {
    const addresses = {
      kafkaBrokers: ['127.0.0.1:1'],
      registryUrl: 'http://127.0.0.1:1',
      redisStateUrl: 'redis://127.0.0.1:1',
      redisEdgeUrl: 'redis://127.0.0.1:1',
      postgresUrl: 'postgres://nobody@127.0.0.1:1/nothing',
    };
    const stack = await openStack({ directory, mode: 'env', environment: environmentOf(addresses) });
    for (const { state, detail } of await stack.status()) {
      expect(state).toBe('unhealthy');
      expect(detail).toMatch(/ECONNREFUSED|bad port/);
    }
  });
});

function sharedAddresses(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => key.startsWith('TRACEHOUND_')));
}
