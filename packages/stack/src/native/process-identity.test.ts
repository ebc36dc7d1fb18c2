import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { identifyProcess, isAlive, processTree } from './process-identity.ts';

it('identifies this process the same way twice', () => {
  expect(identifyProcess(process.pid)).not.toBeNull();
  expect(identifyProcess(process.pid)).toEqual(identifyProcess(process.pid));
});

it('does not take a process for an earlier one with the same number', () => {
  const identity = { pid: process.pid, startedAt: 'another boot:1' };
  expect(isAlive(identity)).toBe(false);
});

it('follows a child from its start to its end', async () => {
  const child = spawn('sleep', ['30'], { stdio: 'ignore' });
  const identity = identifyProcess(child.pid ?? 0);
  expect(identity).not.toBeNull();
  expect(processTree(process.pid)).toContain(child.pid);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(identity !== null && isAlive(identity)).toBe(false);
});
