import type { CorrelationDefinition } from '@tracehound/sigma';
import { isMonotone } from '@tracehound/sigma';
import { firstTimeOf } from '../hit.ts';
import { namedHits } from './anchor-mode.ts';
import { positiveTest } from './definition-facts.ts';
import { EventWindow } from './event-window.ts';
import type { FirmEvent } from './firm-event.ts';
import type { FirmHit } from './machine-types.ts';
import { createMonotoneState } from './monotone-state.ts';
import { countWindow, createWindowCondition } from './window-condition.ts';

export type WindowDecision = {
  readonly firstAtMs: number;
  readonly evidence: readonly FirmHit[];
  readonly count: number;
  readonly approx: boolean;
};

/**
 * Decides a whole tumbling window or session (semantics section 5): one pass over its events, which then are let go, so a
 * constant number of steps per event. Null when it does not fire.
 */
export function decideWindow(
  definition: CorrelationDefinition,
  events: readonly FirmEvent[],
  fromMs: number,
): WindowDecision | null {
  return isMonotone(definition) ? decideMonotone(definition, events) : decideWhole(definition, events, fromMs);
}

/** Evidence at t0, the first time at which the hits up to it meet the condition. */
function decideMonotone(definition: CorrelationDefinition, events: readonly FirmEvent[]): WindowDecision | null {
  const window = new EventWindow();
  const state = createMonotoneState(definition, window);
  const countsAtLeft = definition.type === 'value_count' || definition.type === 'value_sum';
  let evidence: readonly FirmHit[] | null = null;
  let countAtLeft = 0;
  for (const [index, event] of events.entries()) {
    window.push(event);
    state.take(event);
    const isLastOfTime = events[index + 1]?.timeMs !== event.timeMs;
    if (evidence || !isLastOfTime || state.latestStart() === Number.NEGATIVE_INFINITY) continue;
    evidence =
      definition.type === 'value_count'
        ? firstOfValues(window.hits())
        : state.evidence({ fromMs: Number.NEGATIVE_INFINITY, atMs: event.timeMs });
    countAtLeft = state.count();
  }
  if (!evidence || evidence.length === 0) return null;
  const firstAtMs = firstTimeOf(evidence);
  return { firstAtMs, evidence, count: countsAtLeft ? countAtLeft : state.count(), approx: false };
}

/** Windows that do not slide name the first hit of each value. */
function firstOfValues(hits: readonly FirmHit[]): FirmHit[] {
  const first = new Map<string | null, FirmHit>();
  for (const hit of hits) if (!first.has(hit.value)) first.set(hit.value, hit);
  return [...first.values()];
}

function decideWhole(
  definition: CorrelationDefinition,
  events: readonly FirmEvent[],
  fromMs: number,
): WindowDecision | null {
  const isPositive = positiveTest(definition);
  const positives = events.filter((event) => event.hits.some(({ step }) => isPositive(step)));
  const first = positives[0];
  if (!first) return null;
  const window = new EventWindow();
  const condition = createWindowCondition(definition, window);
  for (const event of events) {
    window.push(event);
    condition.add(event);
  }
  if (!condition.holds(fromMs)) return null;
  const isNamed = (hit: FirmHit): boolean => isPositive(hit.step) && condition.names(hit);
  return {
    firstAtMs: first.timeMs,
    evidence: namedHits(events, isNamed),
    count: countWindow(definition, { events, isNamed, condition }),
    approx: condition.isApprox(),
  };
}
