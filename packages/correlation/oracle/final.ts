import { sortedIds } from './condition.ts';
import type { Final, OracleEvent } from './model.ts';

/** Puts a final together; `hits` (of the group, not empty) lend it the group's name. */
export function finalOf(
  hits: readonly OracleEvent[],
  parts: Pick<Final, 'lastAtMs' | 'leftMs' | 'triggerId' | 'count'> & {
    readonly evidence: readonly OracleEvent[];
    /** Where the evidence does not say it. */
    readonly firstAtMs?: number;
  },
): Final {
  const head = hits[0];
  if (!head) throw new RangeError('a final of a group without hits');
  const times = parts.evidence.map(({ timeMs }) => timeMs);
  return {
    organization: head.organization,
    group: head.group,
    firstAtMs: parts.firstAtMs ?? Math.min(...times),
    lastAtMs: parts.lastAtMs,
    eventIds: sortedIds(parts.evidence),
    triggerId: parts.triggerId,
    count: parts.count,
    leftMs: parts.leftMs,
    newestMs: times.length > 0 ? Math.max(...times) : parts.lastAtMs,
  };
}
