import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withFileLock } from './file-lock.ts';
import { identifyProcess } from './process-identity.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'file-lock-'));
  path = join(folder, 'lock');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('lets one body run at a time', async () => {
  let inside = 0;
  let most = 0;
  const body = async (): Promise<void> => {
    inside += 1;
    most = Math.max(most, inside);
    await new Promise((resolve) => setImmediate(resolve));
    inside -= 1;
  };
  await Promise.all([withFileLock(path, body), withFileLock(path, body), withFileLock(path, body)]);
  expect(most).toBe(1);
});

it('is released when the body throws', async () => {
  await expect(withFileLock(path, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(await withFileLock(path, () => Promise.resolve('again'))).toBe('again');
});

it.each([
  ['a number nobody has', { pid: 2 ** 22 + 1, startedAt: 'x' }],
  ['a number that now belongs to another process', { pid: process.pid, startedAt: 'an earlier start' }],
])('is taken over from a holder that died: %s', async (_name, holder) => {
  await writeFile(path, JSON.stringify(holder));
  expect(await withFileLock(path, () => readFile(path, 'utf8'))).toBe(JSON.stringify(identifyProcess(process.pid)));
});

it('names the holder and gives up after its time', async () => {
  await writeFile(path, JSON.stringify(identifyProcess(process.pid)));
  const waited: number[] = [];
  const attempt = withFileLock(path, () => Promise.resolve(), {
    timeoutMs: 120,
    onWait: (holder) => waited.push(holder),
  });
  await expect(attempt).rejects.toMatchObject({ code: 'SEC_STACK_LOCKED' });
  expect(waited).toEqual([process.pid]);
});
