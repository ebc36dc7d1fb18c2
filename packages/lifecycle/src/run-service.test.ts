import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const fixture = fileURLToPath(new URL('./run-service.fixture.ts', import.meta.url));

async function run(
  mode: string,
  options: { signal?: NodeJS.Signals; fault?: string; args?: string[] } = {},
): Promise<{ code: number | null; signal: string | null; out: string }> {
  const child = spawn(
    process.execPath,
    [
      '--conditions=@tracehound/source',
      '--disable-warning=ExperimentalWarning',
      fixture,
      mode,
      ...(options.args ?? []),
    ],
    { env: { PATH: process.env['PATH'], TRACEHOUND_FAULT: options.fault ?? '' } },
  );
  let out = '';
  let signalled = false;
  const collect = (chunk: Buffer): void => {
    out += chunk.toString();
    if (options.signal && !signalled && out.includes('up')) signalled = child.kill(options.signal);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, out };
}

describe('runService', () => {
  test('drains on SIGTERM and ends with 0', async () => {
    const { code, out } = await run('serve', { signal: 'SIGTERM' });
    expect(out).toContain('stopped');
    expect(code).toBe(0);
  });

  test('ends with 2 and names the keys when the configuration is bad', async () => {
    const { code, out } = await run('bad-config');
    expect(code).toBe(2);
    expect(out).toContain('TRACEHOUND_X: is required');
  });

  test.each(['start-fails', 'rejects', 'fatal'])('%s: stops the app and ends with 1', async (mode) => {
    const { code, out } = await run(mode);
    expect(code).toBe(1);
    expect(out).toContain('"msg":"fatal"');
    expect(out).toContain('stopped');
  });

  test('a drain beyond its bound ends with 1', async () => {
    const { code, out } = await run('hangs', { signal: 'SIGINT' });
    expect(code).toBe(1);
    expect(out).toContain('drain took too long');
  });

  test('--help prints and starts nothing', async () => {
    const { code, out } = await run('serve', { args: ['--help'] });
    expect(code).toBe(0);
    expect(out).toBe('help text\n');
  });
});

describe('faultPoint', () => {
  test('kills at the n-th pass of that name, nothing runs after it', async () => {
    const { signal, out } = await run('fault', { fault: 'other, f:here:3' });
    expect(signal).toBe('SIGKILL');
    expect(out).toBe('pass 1\npass 2\n');
  });

  test('is free when nothing is armed', async () => {
    const { out } = await run('fault', {});
    expect(out).toContain('pass 5');
  });
});
