import type { Hit } from './hit.ts';
import type { Segment } from './segment.ts';

/**
 * What must be remembered of the hits so far to say in O(1) what the next one in total order makes true. It is a cache: made
 * from the hits when needed, never written.
 */
export type Tail = {
  /**
   * The interval that begins with this hit, null when it makes nothing true; undefined when the hit has the time of the one
   * before it and the answer needs both: then all hits must be looked at again.
   */
  push(hit: Hit): Segment | null | undefined;
};
