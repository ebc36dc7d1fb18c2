import { orderedTail } from './ordered.ts';
import type { Tail } from './tail-type.ts';
import { temporalTail } from './temporal.ts';
import type { WindowRule } from './window-rule.ts';

export function createTail(rule: WindowRule): Tail {
  switch (rule.type) {
    case 'event_count':
      return countTail(rule);
    case 'value_count':
      return valueTail(rule);
    case 'value_sum':
      return sumTail(rule);
    case 'temporal':
      return temporalTail(rule);
    case 'temporal_ordered':
      return orderedTail(rule);
  }
}

/** N neighbouring events within the span: true from the last of them until the first leaves the window. */
function countTail({ threshold, spanMs }: WindowRule): Tail {
  const times: number[] = [];
  let seen = 0;
  return {
    push({ timeMs }) {
      times[seen % threshold] = timeMs;
      seen++;
      if (seen < threshold) return null;
      const toMs = (times[seen % threshold] as number) + spanMs;
      return timeMs <= toMs ? { fromMs: timeMs, toMs } : null;
    },
  };
}

/** After each hit: true until the N-th most recent distinct value leaves the window. */
function valueTail({ threshold, spanMs }: WindowRule): Tail {
  /** Latest time of the N most recent values, oldest first. */
  const recent = new Map<string, number>();
  return {
    push({ timeMs, value: given }) {
      const value = given ?? '';
      recent.delete(value);
      recent.set(value, timeMs);
      if (recent.size < threshold) return null;
      if (recent.size > threshold) recent.delete(recent.keys().next().value as string);
      const toMs = (recent.values().next().value as number) + spanMs;
      return timeMs <= toMs ? { fromMs: timeMs, toMs } : null;
    },
  };
}

/** After each hit: true until so much has left the window that the rest is not enough. */
function sumTail({ sum, spanMs }: WindowRule): Tail {
  const hits: { timeMs: number; number: number }[] = [];
  let start = 0;
  let total = 0;
  const enough = (value: number): boolean => (sum.inclusive ? value >= sum.value : value > sum.value);
  return {
    push({ timeMs, number }) {
      hits.push({ timeMs, number: number ?? 0 });
      total += number ?? 0;
      if (!enough(total)) return null;
      // The latest start from which the rest is still enough.
      while (start < hits.length - 1 && enough(total - (hits[start] as { number: number }).number)) {
        total -= (hits[start] as { number: number }).number;
        start++;
      }
      const toMs = (hits[start] as { timeMs: number }).timeMs + spanMs;
      if (start > 1024) {
        hits.splice(0, start);
        start = 0;
      }
      return timeMs <= toMs ? { fromMs: timeMs, toMs } : null;
    },
  };
}
