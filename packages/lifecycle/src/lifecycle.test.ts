import { describe, expect, test } from 'vitest';
import { createLifecycle, type LifecycleLogger } from './lifecycle.ts';

function recorder(): { log: string[]; logger: LifecycleLogger } {
  const log: string[] = [];
  const write = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
    log.push(`${message}: ${String(fields?.['resource'])}`);
  };
  return { log, logger: { info: write, warn: write, error: write } };
}

describe('lifecycle', () => {
  test('starts in order and stops in reverse', async () => {
    const seen: string[] = [];
    const lifecycle = createLifecycle(recorder().logger);
    for (const name of ['a', 'b', 'c']) {
      lifecycle.add(name, {
        start: async () => void seen.push(`+${name}`),
        stop: async () => void seen.push(`-${name}`),
      });
    }
    await lifecycle.start();
    await lifecycle.stop();
    await lifecycle.stop();
    expect(seen).toEqual(['+a', '+b', '+c', '-c', '-b', '-a']);
  });

  test('rolls back what had started when a later one fails, and throws that error', async () => {
    const seen: string[] = [];
    const { logger, log } = recorder();
    const lifecycle = createLifecycle(logger)
      .add('a', { stop: () => void seen.push('-a') })
      .add('b', { stop: () => void seen.push('-b') })
      .add('c', {
        start: () => {
          throw new Error('no c');
        },
        stop: () => void seen.push('-c'),
      })
      .add('d', { start: () => void seen.push('+d') });
    await expect(lifecycle.start()).rejects.toThrow('no c');
    expect(seen).toEqual(['-b', '-a']);
    expect(log).toEqual(['start failed, rolling back: c']);
  });

  test('a failing or hanging stop does not keep the others', async () => {
    const seen: string[] = [];
    const { logger, log } = recorder();
    const lifecycle = createLifecycle(logger)
      .add('a', { stop: () => void seen.push('-a') })
      .add('hangs', { stop: () => new Promise(() => undefined), stopTimeoutMs: 10 })
      .add('fails', { stop: () => Promise.reject(new Error('x')) });
    await lifecycle.start();
    await lifecycle.stop();
    expect(seen).toEqual(['-a']);
    expect(log).toEqual(['stop failed, going on: fails', 'stop took too long, going on: hangs']);
  });

  test('stop during start waits, then stops what came up and starts no more', async () => {
    const seen: string[] = [];
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const lifecycle = createLifecycle(recorder().logger)
      .add('slow', { start: () => gate, stop: () => void seen.push('-slow') })
      .add('next', { start: () => void seen.push('+next') });
    const starting = expect(lifecycle.start()).rejects.toMatchObject({ code: 'SEC_LIFECYCLE_STOPPED' });
    const stopping = lifecycle.stop();
    release();
    await Promise.all([starting, stopping]);
    expect(seen).toEqual(['-slow']);
  });
});
