import { PLATFORM_ORGANIZATION } from '@tracehound/event-model';

/**
 * Detections remembered per generation; two generations are kept. 2 * 250,000 ids of about 100 bytes are 50 MB, the most
 * this may take whatever comes in.
 */
const GENERATION_MAX = 250_000;

/** Which detections were told already. A copy of an event has no effect (EXACTNESS X6). */
export type RecentFindings = {
  /** True when this event id gave this detection before; remembers it otherwise. */
  isCopy(rule: number, event: { readonly id: string; readonly organization: string }): boolean;
};

/** @see RecentFindings */
export function createRecentFindings(rules: number, generationMax: number = GENERATION_MAX): RecentFindings {
  let young: (Set<string> | undefined)[] = new Array(rules);
  let old: (Set<string> | undefined)[] = new Array(rules);
  let size = 0;
  return {
    isCopy: (rule, { id, organization }) => {
      const key = organization === PLATFORM_ORGANIZATION ? id : `${organization}\u0000${id}`;
      let ids = young[rule];
      if (ids?.has(key) || old[rule]?.has(key)) return true;
      if (size === generationMax) {
        old = young;
        young = new Array(rules);
        size = 0;
        ids = undefined;
      }
      if (!ids) {
        ids = new Set();
        young[rule] = ids;
      }
      ids.add(key);
      size++;
      return false;
    },
  };
}
