import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ADDRESS_KEYS, openStack, registerService } from '@tracehound/stack';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runDoctor } from '../src/commands/doctor.ts';
import { runDown } from '../src/commands/down.ts';
import { runStatus } from '../src/commands/status.ts';
import type { Terminal } from '../src/terminal.ts';

/** Without the addresses of the shared test servers, so that the commands look at their own folder. */
const environment: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries(process.env).filter(([key]) => !Object.values<string>(ADDRESS_KEYS).includes(key)),
);

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tracehound-commands-test-'));
});
afterAll(async () => {
  await runDown({ directory, wipe: true, environment }, recording().terminal);
  await rm(directory, { recursive: true, force: true });
});

function recording(): { terminal: Terminal; out: string[]; notes: string[] } {
  const out: string[] = [];
  const notes: string[] = [];
  const terminal: Terminal = {
    out: (text) => void out.push(text),
    note: (text) => void notes.push(text),
    noteColours: false,
    outColours: false,
    width: 100,
  };
  return { terminal, out, notes };
}

type Answer = {
  well?: boolean;
  ok?: boolean;
  stopped?: string[];
  servers?: { name: string; state: string }[];
  services?: { name: string; state: string; detail: string }[];
  checks?: { name: string; result: string; remedy: string; detail: string }[];
};

async function json(run: (terminal: Terminal) => Promise<number>): Promise<{ code: number; answer: Answer }> {
  const { terminal, out } = recording();
  const code = await run(terminal);
  expect(out).toHaveLength(1);
  return { code, answer: JSON.parse(out[0] ?? '') as Answer };
}

const status = (): Promise<{ code: number; answer: Answer }> =>
  json((terminal) => runStatus({ directory, format: 'json', environment }, terminal));
const doctor = (): Promise<{ code: number; answer: Answer }> =>
  json((terminal) => runDoctor({ directory, format: 'json', environment }, terminal));
const down = (): Promise<{ code: number; answer: Answer }> =>
  json((terminal) => runDown({ directory, format: 'json', environment }, terminal));

describe('status, doctor and down', () => {
  it('say that nothing is there', async () => {
    const { terminal, out } = recording();
    expect(await runStatus({ directory, environment }, terminal)).toBe(1);
    expect(out.join()).toContain('tracehound up');
    expect((await down()).answer.stopped).toEqual([]);
    expect((await doctor()).answer.checks).toContainEqual(expect.objectContaining({ name: 'servers', result: 'note' }));
  });

  it('show a server that died, with the remedy, and fail', async () => {
    const stack = await openStack({ directory, mode: 'native', kinds: ['redis-state', 'redis-edge'], environment });
    expect(await status()).toMatchObject({ code: 0, answer: { well: true } });
    await stack.part('redis-edge').kill();

    const seen = await status();
    expect(seen.code).toBe(1);
    expect(seen.answer.servers).toContainEqual(expect.objectContaining({ name: 'redis-edge', state: 'stopped' }));
    const advice = await doctor();
    expect(advice.code).toBe(1);
    expect(advice.answer.checks).toContainEqual(
      expect.objectContaining({
        name: 'redis-edge',
        result: 'failed',
        remedy: expect.stringContaining('tracehound up'),
      }),
    );
  });

  it('fail a state Redis that may evict', async () => {
    const stack = await openStack({ directory, mode: 'native', kinds: ['redis-state', 'redis-edge'], environment });
    const healthy = (await doctor()).answer.checks;
    expect(healthy).toContainEqual(
      expect.objectContaining({ name: 'redis state policy', result: 'ok', detail: 'noeviction' }),
    );
    await redisCli(stack.part('redis-state').address, 'CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    const advice = await doctor();
    expect(advice.code).toBe(1);
    expect(advice.answer.checks).toContainEqual(
      expect.objectContaining({ name: 'redis state policy', result: 'failed', detail: 'allkeys-lru' }),
    );
  });

  it('show why a service is not ready and end it before the servers', async () => {
    const health = createServer((_request, response) => {
      const checks = [{ name: 'kafka', ok: false, detail: 'no broker answers' }];
      response
        .writeHead(503, { 'content-type': 'application/json' })
        .end(JSON.stringify({ status: 'not ready', checks }));
    });
    await new Promise<void>((resolve) => health.listen(0, '127.0.0.1', resolve));
    const address = health.address();
    const internal = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    const service = spawn('sleep', ['60'], { stdio: 'ignore' });
    const ended = once(service, 'exit');
    try {
      await registerService(directory, { name: 'sink-audit', pid: service.pid ?? 0, internal, public: null });
      expect((await status()).answer.services).toEqual([
        expect.objectContaining({ name: 'sink-audit', state: 'not ready', detail: 'kafka: no broker answers' }),
      ]);
      const { code, answer } = await down();
      expect(code).toBe(0);
      expect(answer.stopped).toEqual(['sink-audit', 'redis-state', 'redis-edge']);
      expect(await ended).toEqual([null, 'SIGTERM']);
      expect((await down()).answer.stopped).toEqual([]);
    } finally {
      service.kill('SIGKILL');
      health.close();
    }
  });

  it('check the shared servers through the environment and leave them alone', async () => {
    const folder = join(directory, 'elsewhere');
    const { terminal, out } = recording();
    expect(await runDoctor({ directory: folder, format: 'json', environment: process.env }, terminal)).toBe(0);
    const names = (JSON.parse(out[0] ?? '') as Answer).checks?.map(({ name, result }) => `${name} ${result}`);
    expect(names).toContain('registry compatibility ok');
    expect(names).toContain('postgres version ok');
    expect(names).toContain('kafka durability note');
    await runDown({ directory: folder, environment: process.env, wipe: true }, terminal);
    expect(await runStatus({ directory: folder, environment: process.env }, terminal)).toBe(0);
  });
});

async function redisCli(address: string, ...command: readonly string[]): Promise<void> {
  const [host = '', port = ''] = address.split(':');
  const child = spawn('redis-cli', ['-h', host, '-p', port, ...command], { stdio: 'ignore' });
  expect(await once(child, 'exit')).toEqual([0, null]);
}
