import type { CorrelationDefinition, StepExpression } from '@tracehound/sigma';
import { meetsBounds } from '@tracehound/sigma';
import { leastCount } from '../window-rule.ts';
import type { EventWindow } from './event-window.ts';
import { ExactSum } from './exact-sum.ts';
import { type FirmEvent, inTotalOrder, numberOf } from './firm-event.ts';
import type { FirmHit } from './machine-types.ts';
import type { MonotoneState } from './monotone-state-type.ts';
import { OrderedChains } from './ordered-chains.ts';
import { orderedPlanOf } from './ordered-plan.ts';
import { createTemporalState } from './temporal-state.ts';

/** Ids of the evidence of a sum. */
const SUM_EVIDENCE_MAX = 64;

export function createMonotoneState(definition: CorrelationDefinition, window: EventWindow): MonotoneState {
  switch (definition.type) {
    case 'value_count':
      return valueState(definition, window);
    case 'value_sum':
      return sumState(definition, window);
    case 'temporal':
      return createTemporalState(definition.temporal as StepExpression, { window, reuse: definition.reuse });
    case 'temporal_ordered':
      return orderedState(definition, window);
    default:
      return countState(definition, window);
  }
}

function countState({ bounds }: CorrelationDefinition, window: EventWindow): MonotoneState {
  const least = leastCount(bounds);
  return {
    take: () => undefined,
    drop: () => undefined,
    latestStart: () => window.at(-least)?.timeMs ?? Number.NEGATIVE_INFINITY,
    evidence: () => window.slice(0, least).flatMap((event) => event.hits),
    count: () => window.length,
  };
}

/** Of one value: its hits that evidence may name (X10.5), by bucket of the span. */
type ValueTrace = { bucket: number; first: FirmHit; last: FirmHit; before: FirmHit | null; beforeBucket: number };

function valueState({ bounds, spanMs }: CorrelationDefinition, window: EventWindow): MonotoneState {
  const least = leastCount(bounds);
  /** In the order of their latest hit, oldest first; all values of the window. */
  const traces = new Map<string, ValueTrace>();
  /** Latest times of the `least` most recent values, oldest first. */
  const recent = new Map<string, number>();
  const takeHit = (hit: FirmHit): void => {
    const value = hit.value ?? '';
    const bucket = Math.floor(hit.timeMs / spanMs);
    const trace = traces.get(value);
    traces.delete(value);
    if (trace?.bucket === bucket) traces.set(value, { ...trace, last: hit });
    else {
      traces.set(value, {
        bucket,
        first: hit,
        last: hit,
        before: trace?.last ?? null,
        beforeBucket: trace?.bucket ?? 0,
      });
    }
    recent.delete(value);
    recent.set(value, hit.timeMs);
    if (recent.size <= least) return;
    for (const oldest of recent.keys()) {
      recent.delete(oldest);
      break;
    }
  };
  const named = (trace: ValueTrace, fromMs: number, bucket: number): FirmHit => {
    if (trace.bucket !== bucket) return trace.last;
    const isBefore = trace.before && trace.beforeBucket === bucket - 1 && trace.before.timeMs >= fromMs;
    return isBefore && trace.before ? trace.before : trace.first;
  };
  return {
    take: (event) => event.hits.forEach(takeHit),
    drop: (event) => {
      for (const hit of event.hits) {
        const value = hit.value ?? '';
        const last = traces.get(value)?.last;
        if (last?.id !== hit.id || last.timeMs !== hit.timeMs) continue;
        traces.delete(value);
        recent.delete(value);
      }
    },
    latestStart: () => {
      if (recent.size < least) return Number.NEGATIVE_INFINITY;
      const [timeMs = Number.NEGATIVE_INFINITY] = recent.values();
      return timeMs;
    },
    evidence: ({ fromMs, atMs }) => {
      const bucket = Math.floor(atMs / spanMs);
      return window.length === 0 ? [] : inTotalOrder([...traces.values()].map((one) => named(one, fromMs, bucket)));
    },
    count: () => traces.size,
  };
}

function sumState({ bounds }: CorrelationDefinition, window: EventWindow): MonotoneState {
  const whole = new ExactSum();
  /** Sum of the shortest tail of the window that meets the bounds, or of the whole window. */
  const tail = new ExactSum();
  let tailLength = 0;
  const shorten = (): void => {
    while (tailLength > 0) {
      const value = numberOf(window.at(-tailLength) as FirmEvent);
      tail.remove(value);
      if (!meetsBounds(tail.value, bounds)) {
        tail.add(value);
        return;
      }
      tailLength--;
    }
  };
  return {
    take: (event) => {
      whole.add(numberOf(event));
      tail.add(numberOf(event));
      tailLength++;
      if (meetsBounds(tail.value, bounds)) shorten();
    },
    drop: (event) => {
      whole.remove(numberOf(event));
      if (tailLength <= window.length) return;
      tailLength = window.length;
      tail.remove(numberOf(event));
    },
    latestStart: () => {
      if (window.length === 0 || !meetsBounds(tail.value, bounds)) return Number.NEGATIVE_INFINITY;
      return window.at(-Math.max(tailLength, 1))?.timeMs ?? Number.NEGATIVE_INFINITY;
    },
    evidence: () => window.slice(Math.max(0, window.length - SUM_EVIDENCE_MAX)).flatMap((event) => event.hits),
    count: () => whole.value,
  };
}

function orderedState(definition: CorrelationDefinition, window: EventWindow): MonotoneState {
  const plan = orderedPlanOf(definition);
  const chains = new OrderedChains(plan, { hasStart: false, keepsHits: true });
  return {
    take: (event) => chains.take(event),
    drop: (event) => chains.forget(event.timeMs),
    latestStart: () => {
      chains.settle();
      return chains.latestStart;
    },
    evidence: ({ fromMs }) => chains.evidence(fromMs),
    count: () => window.length,
  };
}
