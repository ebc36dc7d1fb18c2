import type { StepExpression } from '@tracehound/sigma';
import { compareHits } from '../hit.ts';
import type { EventWindow } from './event-window.ts';
import type { FirmHit } from './machine-types.ts';
import type { MonotoneState } from './monotone-state-type.ts';
import { conjunctionsOf, positiveStepsOf, StepMatching } from './step-condition.ts';

/**
 * A temporal condition without `not`. Per step the latest hits suffice, as many as there are steps: a matching that
 * uses an older one can be moved to one of them that is free.
 */
export function createTemporalState(
  expression: StepExpression,
  { window, reuse }: { window: EventWindow; reuse: boolean },
): MonotoneState {
  const steps = [...positiveStepsOf(expression)].sort((a, b) => a - b);
  const latest = new Map<number, FirmHit[]>(steps.map((step) => [step, []]));
  /** Events in `latest` that serve several steps: without them every step stands for itself. */
  const stepsOfEvent = new Map<string, readonly number[]>();
  let combinations: readonly (readonly number[])[] | null = null;
  const conjunctions = (): readonly (readonly number[])[] => {
    combinations ??= conjunctionsOf(expression).map(({ positive }) => positive);
    return combinations;
  };
  const state: MonotoneState = {
    take: (event) => {
      const own = event.hits.filter(({ step }) => latest.has(step));
      if (own.length > 1 && !reuse) stepsOfEvent.set(event.id, [...new Set(own.map(({ step }) => step))]);
      for (const hit of own) {
        const list = latest.get(hit.step) as FirmHit[];
        list.unshift(hit);
        if (list.length > steps.length) list.pop();
      }
    },
    drop: (event) => {
      stepsOfEvent.delete(event.id);
      for (const hit of event.hits) {
        const list = latest.get(hit.step);
        if (list?.at(-1)?.id === hit.id && list.at(-1)?.timeMs === hit.timeMs) list.pop();
      }
    },
    latestStart: () => {
      if (stepsOfEvent.size === 0) return startOf(expression, latest);
      return Math.max(
        Number.NEGATIVE_INFINITY,
        ...conjunctions().map((positive) => startOfMatching(positive, latest, stepsOfEvent)),
      );
    },
    evidence: () => {
      for (const positive of conjunctions()) {
        const chosen = latestMatching(positive, latest, { stepsOfEvent, reuse });
        if (chosen) return chosen.sort(compareHits);
      }
      return [];
    },
    count: () => window.length,
  };
  return state;
}

/** Steps stand for themselves: all = the earliest of their latest hits, any = the latest. */
function startOf(expression: StepExpression, latest: ReadonlyMap<number, readonly FirmHit[]>): number {
  const of = (step: number): number => latest.get(step)?.[0]?.timeMs ?? Number.NEGATIVE_INFINITY;
  switch (expression.op) {
    case 'step':
      return of(expression.step);
    case 'and':
      return Math.min(...expression.of.map((part) => startOf(part, latest)));
    case 'or':
      return Math.max(...expression.of.map((part) => startOf(part, latest)));
    case 'at_least':
      return expression.steps.map(of).sort((a, b) => b - a)[expression.count - 1] ?? Number.NEGATIVE_INFINITY;
    case 'not':
      return Number.NEGATIVE_INFINITY;
  }
}

/** The greatest m such that distinct events from m on serve all the steps: events join from the latest back. */
function startOfMatching(
  positive: readonly number[],
  latest: ReadonlyMap<number, readonly FirmHit[]>,
  stepsOfEvent: ReadonlyMap<string, readonly number[]>,
): number {
  if (positive.some((step) => latest.get(step)?.length === 0)) return Number.NEGATIVE_INFINITY;
  const hits = positive.flatMap((step) => latest.get(step) ?? []).sort((a, b) => compareHits(b, a));
  const ids = [...new Set(hits.map(({ id }) => id))];
  const times = new Map(hits.map(({ id, timeMs }) => [id, timeMs]));
  const first = new Map(hits.map(({ id, step }) => [id, step]));
  const fits = ids.map((id) => stepsOfEvent.get(id) ?? [first.get(id) as number]);
  // Matching from the side of the events: an event joins if it can, and the set served only grows.
  const holder = new Map<number, number>();
  const join = (event: number, seen: Set<number>): boolean => {
    for (const step of fits[event] as readonly number[]) {
      if (!positive.includes(step) || seen.has(step)) continue;
      seen.add(step);
      const held = holder.get(step);
      if (held !== undefined && !join(held, seen)) continue;
      holder.set(step, event);
      return true;
    }
    return false;
  };
  for (const [event, id] of ids.entries()) {
    if (join(event, new Set()) && holder.size === positive.length) return times.get(id) as number;
  }
  return Number.NEGATIVE_INFINITY;
}

/** Lower steps first, each the latest hit with which the rest can still be served; null if they cannot be. */
function latestMatching(
  positive: readonly number[],
  latest: ReadonlyMap<number, readonly FirmHit[]>,
  { stepsOfEvent, reuse }: { stepsOfEvent: ReadonlyMap<string, readonly number[]>; reuse: boolean },
): FirmHit[] | null {
  const chosen: FirmHit[] = [];
  const isFree = (hit: FirmHit): boolean => reuse || !chosen.some(({ id }) => id === hit.id);
  for (const [index, step] of positive.entries()) {
    const rest = positive.slice(index + 1);
    const found = (latest.get(step) ?? []).find((hit) => {
      if (!isFree(hit)) return false;
      if (stepsOfEvent.size === 0) return true;
      chosen.push(hit);
      const left = rest.flatMap((later) => latest.get(later) ?? []).filter(isFree);
      chosen.pop();
      const ids = [...new Set(left.map(({ id }) => id))];
      const matching = new StepMatching(
        ids.map((id) => left.filter((other) => other.id === id).map((other) => other.step)),
        ids.map(() => 1),
      );
      return rest.every((later) => matching.serve(later));
    });
    if (!found) return null;
    chosen.push(found);
  }
  return chosen;
}
