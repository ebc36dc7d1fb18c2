import { describe, expect, it } from 'vitest';
import { createRandom } from '../../oracle/random.ts';
import { HitQueue, type QueuedHit } from './hit-queue.ts';

type Group = { readonly name: string };
type Plain = {
  readonly timeMs: number;
  readonly id: string;
  readonly step: number;
  readonly value: string | null;
  readonly origin: { readonly instance: string; readonly sequence: number } | null;
};

function plainHit(random: ReturnType<typeof createRandom>, index: number, timeMs: number): Plain {
  return {
    timeMs,
    id: `e${index}`,
    step: random.below(3),
    value: index > 3_000 && random.chance(0.5) ? `v${index}` : null,
    origin: index > 6_000 && random.chance(0.5) ? { instance: 'i', sequence: index } : null,
  };
}

describe('HitQueue', () => {
  it('hands out what was put in, by time, through growth, around the end of its ring, and with stragglers', () => {
    const random = createRandom(11);
    const queue = new HitQueue<Group>();
    const waiting = new Map<string, { readonly hit: Plain; readonly group: Group }>();
    const into: QueuedHit<Group>[] = [];
    let newestMs = 0;
    let lastMs = 0;
    let most = 0;
    const take = (): void => {
      const timeMs = queue.nextMs;
      expect(timeMs).toBeGreaterThanOrEqual(lastMs);
      lastMs = timeMs;
      const count = queue.takeInstant(into);
      expect(count).toBeGreaterThan(0);
      for (const { group, ...hit } of into.slice(0, count)) {
        const known = waiting.get(hit.id);
        expect({ ...hit, group }).toEqual({ ...known?.hit, group: known?.group });
        expect(hit.timeMs).toBe(timeMs);
        waiting.delete(hit.id);
      }
      expect([...waiting.values()].every(({ hit }) => hit.timeMs > timeMs)).toBe(true);
    };
    for (let index = 0; index < 9_000; index++) {
      newestMs += random.below(3);
      // Below what was taken nothing comes: whoever feeds the queue sees to it.
      const timeMs = Math.max(lastMs + 1, random.chance(0.3) ? newestMs - random.below(5_000) : newestMs);
      const hit = plainHit(random, index, timeMs);
      const group = { name: `g${random.below(9)}` };
      waiting.set(hit.id, { hit, group });
      queue.add(group, hit);
      most = Math.max(most, queue.size);
      if (index % 3 === 0 && index > 5_000) take();
    }
    expect(most).toBeGreaterThan(4_096);
    expect(queue.size).toBe(waiting.size);
    while (queue.size > 0) take();
    expect(queue.nextMs).toBe(Number.POSITIVE_INFINITY);
    expect(waiting.size).toBe(0);
  });
});
