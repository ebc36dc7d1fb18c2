import type { CorrelationDefinition } from '@tracehound/sigma';
import { byTotalOrder, type OracleEvent } from './model.ts';

/** The closed interval hits are looked at in; negated steps at the rim refer to its ends. */
export type Span = { readonly fromMs: number; readonly toMs: number };

/** One place of the chain: a hit of `step`; between it and the place before it none of `absent` may happen. */
type Place = { readonly entry: number; readonly step: number; readonly absent: readonly number[] };

/** `runs` places per positive step; negated steps become conditions on the way to the next place. */
function placesOf(definition: CorrelationDefinition): { places: readonly Place[]; trailing: readonly number[] } {
  const places: Place[] = [];
  let absent: number[] = [];
  for (const [entry, { step, runs, negated }] of definition.ordered.entries()) {
    if (negated) absent.push(step);
    else {
      for (let run = 0; run < runs; run++) places.push({ entry, step, absent: run === 0 ? absent : [] });
      absent = [];
    }
  }
  return { places, trailing: absent };
}

export type ChainQuestion = {
  readonly hits: readonly OracleEvent[];
  readonly window: Span;
};

/**
 * Section 2, temporal_ordered: the chain with the latest last hit, then the latest hit before it, and so on;
 * undefined when there is none. Tries everything, from the end, and remembers only what cannot be completed.
 */
export function latestChain(
  definition: CorrelationDefinition,
  question: ChainQuestion,
): readonly OracleEvent[] | undefined {
  const { places, trailing } = placesOf(definition);
  const hits = question.hits.filter(({ timeMs }) => question.window.fromMs <= timeMs && timeMs <= question.window.toMs);
  const latestFirst = hits.toSorted((a, b) => byTotalOrder(b, a));
  const happens = (steps: readonly number[], fromMs: number, toMs: number): boolean =>
    hits.some((hit) => steps.includes(hit.step) && fromMs <= hit.timeMs && hit.timeMs <= toMs);
  const hopeless = new Set<string>();

  const search = (
    position: number,
    later: readonly (OracleEvent & { entry: number })[],
  ): readonly OracleEvent[] | undefined => {
    const next = later[0];
    const after = places[position + 1];
    if (position < 0) {
      const leading = places[0]?.absent ?? [];
      return next && !happens(leading, question.window.fromMs, next.timeMs) ? later : undefined;
    }
    const place = places[position] as Place;
    // What was used before matters only among events of one time: ids have one time each.
    const used = later.filter((hit) => hit.timeMs === next?.timeMs).map((hit) => `${hit.entry}:${hit.id}`);
    const key = JSON.stringify([position, next?.id, used]);
    if (hopeless.has(key)) return undefined;
    for (const hit of latestFirst) {
      if (hit.step !== place.step || happens(definition.until, hit.timeMs, hit.timeMs)) continue;
      if (!next) {
        if (happens(trailing, hit.timeMs, question.window.toMs)) continue;
      } else {
        if (later.some((other) => other.id === hit.id && !(definition.reuse && other.entry !== place.entry))) continue;
        if (!mayPrecede(hit, next, definition)) continue;
        if (definition.gapMs !== null && next.timeMs - hit.timeMs > definition.gapMs) continue;
        if (happens([...(after?.absent ?? []), ...definition.until], hit.timeMs, next.timeMs)) continue;
      }
      const chain = search(position - 1, [{ ...hit, entry: place.entry }, ...later]);
      if (chain) return chain;
    }
    hopeless.add(key);
    return undefined;
  };
  return search(places.length - 1, []);
}

/** X2: <= between distinct events; equal times of one source instance go by its sequence numbers; strict needs <. */
function mayPrecede(a: OracleEvent, b: OracleEvent, { strict }: CorrelationDefinition): boolean {
  if (a.timeMs < b.timeMs) return true;
  if (a.timeMs > b.timeMs || strict) return false;
  if (a.id === b.id) return true;
  const numbered = a.instance != null && a.instance === b.instance && a.sequence != null && b.sequence != null;
  return numbered ? (a.sequence as number) < (b.sequence as number) : true;
}
