import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createPool } from '@tracehound/postgres';
import { waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ended, logins, type SinkWorld, sinkWorld } from './sink-world.fixture.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const NODE = ['--conditions=@tracehound/source', MAIN];

let world: SinkWorld;

beforeAll(async () => {
  world = await sinkWorld();
});

afterAll(() => world.close());

/** Address in the `listening` line. */
function internalOf(child: ChildProcess): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const found = /"internal":"(http:[^"]+)"/.exec(text);
      if (found?.[1]) resolve(found[1]);
    });
    child.once('exit', (code) => reject(new Error(`ended with ${code}: ${text.slice(-1_000)}`)));
  });
}

describe('process contract', () => {
  it('creates its database and schema, gets ready, drains on SIGTERM and exits 0', async () => {
    const url = new URL(world.database.url);
    url.pathname = `${url.pathname}_new`;
    const child = spawn(process.execPath, NODE, {
      env: {
        ...world.env,
        PATH: process.env['PATH'],
        TRACEHOUND_POSTGRES_URL: url.href,
        TRACEHOUND_SINK_MIGRATE: 'true',
        TRACEHOUND_LOG_LEVEL: 'info',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    try {
      const internal = await internalOf(child);
      await waitFor(async () => (await fetch(`${internal}/health/ready`)).ok, {
        what: 'the sink to be ready',
        timeoutMs: 30_000,
      });
      expect((await fetch(`${internal}/health/live`)).status).toBe(200);
      await world.send(logins(10));
      const pool = createPool(url.href, { applicationName: 'sink-test', connectionsMax: 1 });
      try {
        await waitFor(
          async () => (await pool.query<{ n: bigint }>('SELECT count(*) AS n FROM audit.event')).rows[0]?.n === 10n,
          { what: 'ten rows' },
        );
        child.kill('SIGTERM');
        expect(await ended(child)).toBe('0');
        const sessions = await pool.query(
          "SELECT 1 FROM pg_stat_activity WHERE application_name = 'sink-audit' AND datname = current_database()",
        );
        expect(sessions.rows).toEqual([]);
      } finally {
        await pool.end();
      }
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('names every bad key and exits 2; --help lists the keys and exits 0', async () => {
    const run = promisify(execFile);
    const bad = { ...world.env, TRACEHOUND_SINK_LINGER: 'soon', TRACEHOUND_SINK_WRITERS_MAX: '0' };
    const failed = await run(process.execPath, NODE, { env: bad }).then(
      () => null,
      (error: unknown) => error as { code: number; stderr: string }, // execFile rejects with these fields.
    );
    expect(failed?.code).toBe(2);
    expect(failed?.stderr).toContain('TRACEHOUND_SINK_LINGER');
    expect(failed?.stderr).toContain('TRACEHOUND_SINK_WRITERS_MAX');
    const help = await run(process.execPath, [...NODE, '--help'], { env: {} });
    expect(help.stdout).toContain('TRACEHOUND_SINK_DETECTED_SEVERITY_MIN');
  });
});

describe('registry-down', () => {
  let proxy: Server;
  const sockets = new Set<Socket>();

  /** A way to the real registry that can be cut. */
  function openProxy(port: number): Promise<number> {
    const target = new URL(world.env['TRACEHOUND_REGISTRY_URL'] ?? '');
    proxy = createServer((socket) => {
      const upstream = connect(Number(target.port), target.hostname);
      for (const side of [socket, upstream]) {
        sockets.add(side);
        side.on('error', () => undefined);
      }
      socket.pipe(upstream).pipe(socket);
    });
    return new Promise(
      (resolve) => proxy.listen(port, '127.0.0.1', () => resolve((proxy.address() as { port: number }).port)), // A TCP address.
    );
  }

  function closeProxy(): Promise<void> {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    return new Promise((resolve) => proxy.close(() => resolve()));
  }

  it('waits without dead letters, says why, and goes on when the registry is back', async () => {
    const port = await openProxy(0);
    await closeProxy();
    const app = await world.app({ TRACEHOUND_REGISTRY_URL: `http://127.0.0.1:${port}` });
    await world.send(logins(20));
    const body = await waitFor(
      async () => {
        const text = await (await fetch(`${app.addresses.internal}/health/ready`)).text();
        return text.includes('partitions wait') && text;
      },
      { what: 'readiness to name the waiting partitions' },
    );
    expect(body).toContain('SEC_AVRO_REGISTRY_UNAVAILABLE');
    await openProxy(port);
    await world.caughtUp();
    await waitFor(async () => (await fetch(`${app.addresses.internal}/health/ready`)).ok, {
      what: 'the sink to be ready',
    });
    expect(await world.records('security.events.dlq')).toEqual([]);
    await app.stop();
    await closeProxy();
  });
});
