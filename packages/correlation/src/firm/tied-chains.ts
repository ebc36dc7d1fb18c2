import type { FirmEvent } from './firm-event.ts';
import type { FirmHit } from './machine-types.ts';
import { mayPrecede, type OrderedPlan } from './ordered-plan.ts';

/** A hit that ends a chain of the first stages, with the latest start such a chain can have. */
export type StageEntry = { readonly hit: FirmHit; readonly stage: number; readonly startMs: number };

/** The events of one time and what had been reached before it. */
export type Instant = {
  readonly timeMs: number;
  readonly events: readonly FirmEvent[];
  readonly hits: readonly FirmHit[];
  /** Stages whose next may not follow across this instant: a step negated between them is in it. */
  readonly blocked: readonly boolean[];
  readonly before: readonly ({ readonly startMs: number; readonly timeMs: number } | null)[];
  /** No chain may begin any more. */
  readonly isLed: boolean;
};

/** Hits of one step and one instant that the search through a tie looks at, the latest ones. */
const TIED_HITS_MAX = 32;
/** Nodes that the search through one tie may visit. */
const TIED_STEPS_MAX = 20_000;

/** What each hit of the instant reaches, in the order of the hits, then of the stages. */
export function startsOfInstant(instant: Instant, plan: OrderedPlan): StageEntry[] {
  const isAlone = instant.events.length === 1 && !plan.reuse;
  if (isAlone || plan.strict) return entriesFrom(instant, plan, (_, stage) => enter(instant, plan, stage));
  if (isPlain(instant, plan)) {
    const starts = startsOfPlainTie(instant, plan);
    return entriesFrom(instant, plan, (_, stage) => starts[stage] as number);
  }
  return startsBySearch(instant, plan);
}

function entriesFrom(
  { hits }: Instant,
  plan: OrderedPlan,
  startOf: (hit: FirmHit, stage: number) => number,
): StageEntry[] {
  const entries: StageEntry[] = [];
  for (const hit of hits) {
    for (const stage of plan.stagesOf.get(hit.step) ?? []) {
      const startMs = startOf(hit, stage);
      if (startMs > Number.NEGATIVE_INFINITY) entries.push({ hit, stage, startMs });
    }
  }
  return entries;
}

/** The start of a chain whose stage is the first in this instant. */
function enter({ timeMs, before, blocked, isLed }: Instant, plan: OrderedPlan, stage: number): number {
  if (stage === 0) return isLed ? Number.NEGATIVE_INFINITY : timeMs;
  const reached = before[stage - 1];
  if (!reached || blocked[stage - 1] || timeMs - reached.timeMs > plan.gapMs) return Number.NEGATIVE_INFINITY;
  return reached.startMs;
}

/** Hits of a step are interchangeable: no event has two, nothing is numbered, each step has one run. */
function isPlain({ events, hits }: Instant, plan: OrderedPlan): boolean {
  return (
    plan.hasPlainSteps &&
    !plan.reuse &&
    events.every((event) => event.hits.length === 1) &&
    hits.every(({ instance, sequence }) => instance === null || sequence === null)
  );
}

/** Per stage; a run takes as many stages in the instant as it has hits there. O(stages * runs). */
function startsOfPlainTie(instant: Instant, plan: OrderedPlan): Float64Array {
  const counts = new Map<number, number>();
  for (const { step } of instant.hits) counts.set(step, (counts.get(step) ?? 0) + 1);
  const starts = new Float64Array(plan.stages.length).fill(Number.NEGATIVE_INFINITY);
  for (const [stage, step] of plan.stages.entries()) {
    const runFrom = plan.stagesOf.get(step)?.[0] ?? stage;
    const lowest = Math.max(runFrom, stage - (counts.get(step) ?? 0) + 1);
    for (let first = lowest; first <= stage; first++) {
      const tied = first === runFrom && first > 0 && !instant.blocked[first - 1] ? starts[first - 1] : undefined;
      const startMs = Math.max(enter(instant, plan, first), tied ?? Number.NEGATIVE_INFINITY);
      starts[stage] = Math.max(starts[stage] as number, startMs);
    }
  }
  return starts;
}

/** Numbered events, events of several steps, steps that come twice, reuse: a bounded search, the latest hits first. */
function startsBySearch(instant: Instant, plan: OrderedPlan): StageEntry[] {
  const latest = new Map<number, FirmHit[]>();
  for (const hit of instant.hits.toReversed()) {
    const own = latest.get(hit.step) ?? [];
    if (own.length < TIED_HITS_MAX) own.push(hit);
    latest.set(hit.step, own);
  }
  let steps = TIED_STEPS_MAX;
  const chain: { readonly hit: FirmHit; readonly stage: number }[] = [];
  const isFree = (hit: FirmHit, stage: number): boolean =>
    !chain.some((used) => used.hit.id === hit.id && (!plan.reuse || plan.entries[used.stage] === plan.entries[stage]));
  const startOf = (hit: FirmHit, stage: number): number => {
    let best = enter(instant, plan, stage);
    if (stage === 0 || instant.blocked[stage - 1]) return best;
    chain.push({ hit, stage });
    for (const other of latest.get(plan.stages[stage - 1] as number) ?? []) {
      if (steps-- <= 0 || best === instant.timeMs) break;
      if (isFree(other, stage - 1) && mayPrecede(other, hit, plan)) best = Math.max(best, startOf(other, stage - 1));
    }
    chain.pop();
    return best;
  };
  return entriesFrom(instant, plan, (hit, stage) => startOf(hit, stage));
}
