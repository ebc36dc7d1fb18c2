import type { Stack } from '@tracehound/stack';
import { describeStackTiers, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';

await describeStackTiers('a stack of real servers', (open) => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await open();
  }, 300_000);
  afterAll(() => stack?.stop({ wipe: true }));

  it('reports every server as running, with a fact it told itself', async () => {
    const status = await stack.status();
    expect(status.map(({ name, state }) => `${name} ${state}`).sort()).toEqual([
      'kafka-1 running',
      'postgres running',
      'redis-edge running',
      'redis-state running',
      'registry running',
    ]);
    const facts = Object.fromEntries(status.map(({ name, detail }) => [name, detail]));
    expect(facts['registry']).toBe('compatibility FULL_TRANSITIVE');
    expect(facts['kafka-1']).toBe('1 of 1 brokers');
    expect(facts['postgres']).toMatch(/^PostgreSQL 1[5-9]/);
  });

  it('sees a server that was killed and starts it again on the same address', async () => {
    const part = stack.part('redis-state');
    await part.kill('SIGKILL');
    expect(await part.health()).toMatchObject({ ok: false });
    await part.restart();
    expect(await part.health()).toEqual({ ok: true, detail: 'PONG' });
  });

  it('freezes and thaws a server with all its processes', async () => {
    const part = stack.part('postgres');
    await part.pause();
    expect(await part.health()).toMatchObject({ ok: false });
    await part.resume();
    await waitFor(async () => (await part.health()).ok, { what: 'PostgreSQL after a thaw' });
  });
});
