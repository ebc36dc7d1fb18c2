import type { CorrelationDefinition, StepExpression } from '@tracehound/sigma';
import { meetsBounds } from '@tracehound/sigma';
import { type EventWindow, WINDOW_HITS_MAX } from './event-window.ts';
import { ExactSum } from './exact-sum.ts';
import { type FirmEvent, numberOf } from './firm-event.ts';
import type { FirmHit } from './machine-types.ts';
import { NumberOrder } from './number-order.ts';
import { OrderedChains } from './ordered-chains.ts';
import { type OrderedPlan, orderedPlanOf } from './ordered-plan.ts';
import { type Conjunction, conjunctionsOf, StepMatching } from './step-condition.ts';

/**
 * A condition over the events of a window whose both ends move: events are added at its end and removed at its front, each
 * in O(log n) or O(steps).
 */
export type WindowCondition = {
  add(event: FirmEvent): void;
  remove(event: FirmEvent): void;
  /** The window begins at `fromMs` and holds exactly the events added and not removed. */
  holds(fromMs: number): boolean;
  /** Whether c, which holds, names the positive hit. */
  names(hit: FirmHit): boolean;
  /** Distinct values, the sum, else distinct ids. */
  count(): number;
  /** A sketch stood in for the numbers. */
  isApprox(): boolean;
};

export function createWindowCondition(definition: CorrelationDefinition, window: EventWindow): WindowCondition {
  switch (definition.type) {
    case 'event_count':
      return countCondition(definition, window);
    case 'value_count':
    case 'value_rarity':
      return valueCondition(definition, window);
    case 'value_sum':
    case 'value_avg':
      return sumCondition(definition, window);
    case 'value_percentile':
      return percentileCondition(definition, window);
    case 'temporal':
      return temporalCondition(definition, window);
    case 'temporal_ordered':
      return orderedCondition(definition, window);
  }
}

/** Of rules with a step negated before the first stage: 2,048 hits cost about 0.1 ms per anchor at most. */
const REPEATED_HITS_MAX = 2048;

/** Section 9: distinct values, the sum, else the distinct ids that the window names. */
export function countWindow(
  { type }: CorrelationDefinition,
  {
    events,
    isNamed,
    condition,
  }: {
    readonly events: readonly FirmEvent[];
    readonly isNamed: (hit: FirmHit) => boolean;
    readonly condition: WindowCondition;
  },
): number {
  if (type === 'value_count' || type === 'value_sum') return condition.count();
  return events.filter((event) => event.hits.some(isNamed)).length;
}

const EXACT = { names: () => true, isApprox: () => false };
const STATELESS = { ...EXACT, add: () => undefined, remove: () => undefined };

function countCondition({ bounds }: CorrelationDefinition, window: EventWindow): WindowCondition {
  return {
    ...STATELESS,
    holds: () => window.length > 0 && meetsBounds(window.length, bounds),
    count: () => window.length,
  };
}

/** Counts per value, and how many values have each count: the shares are looked at once per distinct count, O(sqrt n). */
function valueCondition({ bounds, type }: CorrelationDefinition, window: EventWindow): WindowCondition {
  const counts = new Map<string, number>();
  const valuesWith = new Map<number, number>();
  const shift = (key: number, by: number): void => {
    if (key === 0) return;
    const next = (valuesWith.get(key) ?? 0) + by;
    if (next === 0) valuesWith.delete(key);
    else valuesWith.set(key, next);
  };
  const change = (event: FirmEvent, by: 1 | -1): void => {
    for (const value of new Set(event.hits.map((hit) => hit.value ?? ''))) {
      const before = counts.get(value) ?? 0;
      shift(before, -1);
      shift(before + by, 1);
      if (before + by === 0) counts.delete(value);
      else counts.set(value, before + by);
    }
  };
  const isRare = (count: number): boolean => meetsBounds((100 * count) / window.length, bounds);
  const isRarity = type === 'value_rarity';
  return {
    ...EXACT,
    add: (event) => change(event, 1),
    remove: (event) => change(event, -1),
    holds: () => {
      if (counts.size === 0) return false;
      return isRarity ? [...valuesWith.keys()].some(isRare) : meetsBounds(counts.size, bounds);
    },
    names: (hit) => !isRarity || isRare(counts.get(hit.value ?? '') ?? 0),
    count: () => (isRarity ? window.length : counts.size),
  };
}

function sumCondition({ bounds, type }: CorrelationDefinition, window: EventWindow): WindowCondition {
  const sum = new ExactSum();
  const value = (): number => (type === 'value_sum' ? sum.value : sum.value / window.length);
  return {
    ...EXACT,
    add: (event) => sum.add(numberOf(event)),
    remove: (event) => sum.remove(numberOf(event)),
    holds: () => window.length > 0 && meetsBounds(value(), bounds),
    count: () => (type === 'value_sum' ? sum.value : window.length),
  };
}

function percentileCondition({ bounds, percentile }: CorrelationDefinition, window: EventWindow): WindowCondition {
  const order = new NumberOrder();
  return {
    ...EXACT,
    add: (event) => order.add(numberOf(event)),
    remove: (event) => order.remove(numberOf(event)),
    holds: () => {
      const value = order.percentile(percentile ?? 50, () => window.slice(0).map(numberOf));
      return value !== undefined && meetsBounds(value, bounds);
    },
    count: () => window.length,
    isApprox: () => !order.isExact,
  };
}

/** Events of one set of steps are interchangeable, so only the number of each kind is kept. */
function temporalCondition(definition: CorrelationDefinition, window: EventWindow): WindowCondition {
  const conjunctions = conjunctionsOf(definition.temporal as StepExpression);
  const perStep = new Map<number, number>();
  const kinds = new Map<string, { readonly steps: readonly number[]; count: number }>();
  const change = (event: FirmEvent, by: 1 | -1): void => {
    const steps = [...new Set(event.hits.map(({ step }) => step))].sort((a, b) => a - b);
    for (const step of steps) perStep.set(step, (perStep.get(step) ?? 0) + by);
    const key = steps.join();
    const kind = kinds.get(key) ?? { steps, count: 0 };
    kind.count += by;
    if (kind.count === 0) kinds.delete(key);
    else kinds.set(key, kind);
  };
  const has = (step: number): boolean => (perStep.get(step) ?? 0) > 0;
  const holdTogether = ({ positive }: Conjunction): boolean => {
    if (definition.reuse || [...kinds.values()].every(({ steps }) => steps.length === 1)) return true;
    const own = [...kinds.values()];
    const matching = new StepMatching(
      own.map(({ steps }) => steps),
      own.map(({ count }) => count),
    );
    return positive.every((step) => matching.serve(step));
  };
  return {
    ...EXACT,
    add: (event) => change(event, 1),
    remove: (event) => change(event, -1),
    holds: () => conjunctions.some((one) => one.positive.every(has) && !one.negative.some(has) && holdTogether(one)),
    count: () => window.length,
  };
}

/**
 * One pass of chains over all events answers every window, whose latest complete chain must begin in it. Only where a step is
 * negated before the first stage is the window itself gone through, and only if the pass without it found a chain; such
 * rules keep few hits (`windowHitsMax`).
 */
function orderedCondition(definition: CorrelationDefinition, window: EventWindow): WindowCondition {
  const plan = orderedPlanOf(definition);
  const chains = new OrderedChains(plan, { hasStart: false, keepsHits: false });
  return {
    ...EXACT,
    add: (event) => chains.take(event),
    remove: () => undefined,
    holds: (fromMs) => {
      chains.settle();
      if (chains.latestStart < fromMs) return false;
      return plan.leading.length === 0 || holdsFromStart(plan, window);
    },
    count: () => window.length,
  };
}

function holdsFromStart(plan: OrderedPlan, window: EventWindow): boolean {
  const chains = new OrderedChains(plan, { hasStart: true, keepsHits: false });
  let last: FirmEvent | undefined;
  for (let index = 0; index < window.length; index++) {
    const event = window.at(index) as FirmEvent;
    if (last && last.timeMs !== event.timeMs) {
      chains.settle();
      if (chains.isOver && chains.latestStart === Number.NEGATIVE_INFINITY) return false;
    }
    chains.take(event);
    last = event;
  }
  chains.settle();
  return chains.latestStart > Number.NEGATIVE_INFINITY;
}

/** Hits an anchor's window may hold: what a window is gone through for again and again must be short. */
export function windowHitsMax(definition: CorrelationDefinition): number {
  return definition.ordered[0]?.negated ? REPEATED_HITS_MAX : WINDOW_HITS_MAX;
}
