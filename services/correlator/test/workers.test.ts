import { waitFor } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import { correlatorWorld } from './correlator-world.fixture.ts';
import { eventsOf, expectExact, flowing, sendSliced } from './stream.fixture.ts';

type Health = { readonly status: string; readonly checks: readonly { readonly name: string }[] };

describe('one correlator of two workers', () => {
  it('shares the partitions, survives kill -9 of a worker exactly, and speaks as one', async () => {
    const world = await correlatorWorld();
    try {
      const events = eventsOf(11);
      const parent = world.spawn({ TRACEHOUND_CORRELATOR_WORKERS: '2' });
      const internal = await parent.internal;
      const victim = await waitFor(() => pidOf(parent.log(), 1), { what: 'the second worker' });
      const ready = async (): Promise<Health> => {
        const health = await waitFor(
          async () => {
            const response = await fetch(`${internal}/health/ready`);
            return response.ok ? ((await response.json()) as Health) : false;
          },
          { what: `both workers to be ready\n${parent.log()}`, timeoutMs: 60_000 },
        );
        return health as Health;
      };
      const metrics = async (): Promise<string> => (await fetch(`${internal}/metrics`)).text();
      const names = (await ready()).checks.map(({ name }) => name);
      expect(names).toContain('worker 0: kafka');
      expect(names).toContain('worker 1: kafka');

      await sendSliced(world, events, async (slice) => {
        if (slice === 1) await flowing(world);
        if (slice !== 3) return;
        process.kill(victim, 'SIGKILL');
        await waitFor(async () => (await metrics()).includes('correlator_worker_restarts_total{process="parent"} 1'), {
          what: `the worker to be replaced\n${parent.log()}`,
          timeoutMs: 30_000,
        });
      });
      await expectExact(world, events);

      await ready();
      const page = await metrics();
      expect(page).toContain('correlator_workers{process="parent"} 2');
      for (const worker of [0, 1]) {
        const acquired = new RegExp(`^correlator_partitions_acquired_total{[^}]*process="${worker}"} [1-9]`, 'm');
        await waitFor(async () => acquired.test(await metrics()), { what: `worker ${worker} to own a partition` });
      }
      await parent.kill('SIGTERM');
      expect((await parent.ended).code).toBe(0);
      expect(parent.times('"worker ended"')).toBe(1);
    } finally {
      await world.close();
    }
  });

  it('more workers than allowed: it ends with code 2 and names the key', async () => {
    const world = await correlatorWorld();
    try {
      const parent = world.spawn({ TRACEHOUND_CORRELATOR_WORKERS: '65' });
      expect((await parent.ended).code).toBe(2);
      expect(parent.log()).toContain('TRACEHOUND_CORRELATOR_WORKERS');
    } finally {
      await world.close();
    }
  });
});

/** Process of a worker, from the line about its start; undefined before it. */
function pidOf(log: string, worker: number): number | undefined {
  return log
    .split('\n')
    .filter((line) => line.includes('"worker started"'))
    .map((line) => JSON.parse(line) as { worker: number; pid: number })
    .find((line) => line.worker === worker)?.pid;
}
