import type { GroupTable } from './group-table.ts';
import type { GroupRef } from './live-group.ts';

/** Part of the limit that is made free at once, so that a flood does not pay for a look at all groups per event. */
const FREED_PART = 1 / 8;

/**
 * The groups to let go: fewest completed steps first, then the stalest (least due), then by id. A function of the state alone:
 * the order in which groups came, or were loaded, does not matter.
 */
export function evictable(
  table: GroupTable,
  limits: { readonly groupsMax: number; readonly bytesMax: number; readonly bytes: number },
): readonly GroupRef[] {
  const candidates = [...table.refs()].map((ref) => ({ ref, steps: ref.steps, dueMs: ref.dueMs }));
  candidates.sort((a, b) => a.steps - b.steps || a.dueMs - b.dueMs || (a.ref.id < b.ref.id ? -1 : 1));
  const groupsToFree = table.size - Math.floor(limits.groupsMax * (1 - FREED_PART));
  const bytesToFree = limits.bytes - limits.bytesMax * (1 - FREED_PART);
  const isFull = table.size > limits.groupsMax;
  const gone: GroupRef[] = [];
  let freed = 0;
  for (const { ref } of candidates) {
    if (isFull ? gone.length >= groupsToFree : freed >= bytesToFree) break;
    freed += ref.weight;
    gone.push(ref);
  }
  return gone;
}
