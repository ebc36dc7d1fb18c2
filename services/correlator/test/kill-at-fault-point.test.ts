import { sfc32, waitFor } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import { correlatorWorld } from './correlator-world.fixture.ts';
import { mixedEvents, oracleLines } from './events.fixture.ts';

/** Point and pass, so that it lies in the middle of the stream. */
const FAULTS = [
  'a:after-decode:3',
  'a:before-matches:4',
  'a:after-matches:5',
  'a:before-commit:4',
  'b:after-apply:40',
  'b:before-flush:6',
  'b:after-flush:5',
  'b:after-emit:2',
  'b:before-commit:4',
];

describe.concurrent('kill -9 at a fault point', () => {
  for (const [index, fault] of FAULTS.entries()) {
    it(`${fault}: E1 and E2 hold`, { timeout: 120_000 }, async () => {
      const world = await correlatorWorld();
      try {
        const seed = 700 + index;
        const events = mixedEvents({ random: sfc32(seed), count: 240, endMs: Date.now(), spreadMs: 60_000 });
        const victim = world.spawn({ TRACEHOUND_FAULT: fault });
        for (let slice = 0; slice < 8; slice++) {
          await world.send(events.slice(slice * 30, (slice + 1) * 30));
          const sent = slice;
          await waitFor(
            async () =>
              victim.child.signalCode !== null || (await world.records('security.matches')).length >= (sent + 1) * 4,
            { what: `${fault} to be worked on\n${victim.log()}`, timeoutMs: 30_000, intervalMs: 50 },
          );
        }
        expect((await victim.ended).signal).toBe('SIGKILL');
        const heir = world.spawn();
        await world.endInput();
        await world.settled(60_000).catch((error: unknown) => {
          throw new Error(`seed ${seed}\n${heir.log()}`, { cause: error });
        });
        expect(await world.finals()).toEqual(oracleLines(events));
        expect(await world.brokenE1()).toEqual([]);
        heir.child.kill('SIGTERM');
        expect(await heir.ended).toEqual({ code: 0, signal: null });
      } finally {
        await world.close();
      }
    });
  }
});
