import type { SeededRandom } from '@tracehound/testkit';
import { attack, type TestEvent } from '../test/events.fixture.ts';

/** Accounts and addresses change with time, so that groups stay small enough for a brute-force oracle. */
const SLOT_MS = 20_000;
/** Events come out of order by up to this, well inside the allowed lateness. */
const DISORDER_MS = 8_000;

/** A stream without end: noise of several organizations, attacks in it, and one event in a hundred far too late. */
export function createTraffic(random: SeededRandom, latenessMs: number): (nowMs: number, count: number) => TestEvent[] {
  let number = 0;

  function noise(nowMs: number): TestEvent {
    const slot = Math.floor(nowMs / SLOT_MS);
    const isLate = random.below(100) === 0;
    return {
      id: `n${number++}`,
      kind: random.pick(['login_failed', 'login_failed', 'login_ok', 'export'] as const),
      organization: random.pick(['acme', 'umbrella', 'initech']),
      actor: `actor-${slot}-${random.below(40)}`,
      address: `address-${slot}-${random.below(60)}`,
      trace: Buffer.from(`${slot}-${random.below(200)}`)
        .toString('hex')
        .padEnd(32, '0')
        .slice(0, 32),
      timeMs: nowMs - (isLate ? 3 * latenessMs : random.below(DISORDER_MS)),
    };
  }

  return (nowMs, count) => {
    const events = Array.from({ length: count }, () => noise(nowMs));
    if (random.below(3) === 0)
      events.push(...attack({ name: `x${number++}`, endMs: nowMs, size: 3 + random.below(4) }));
    return random.shuffle(events);
  };
}
