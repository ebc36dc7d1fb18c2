import type { CorrelationDefinition } from '@tracehound/sigma';
import type { Span } from './chain-search.ts';
import { countOf, evidenceOf, holds } from './condition.ts';
import { finalOf } from './final.ts';
import { byTotalOrder, type Final, frameLengthMs, type OracleEvent } from './model.ts';

/** Section 3: sliding, suppress, monotone. `hits` are those of one group, in total order. */
export function episodeFinals(definition: CorrelationDefinition, hits: readonly OracleEvent[]): readonly Final[] {
  const parts = episodes(definition, truth(definition, hits));
  return parts.map(({ fromMs, toMs }, index) => {
    const window = { fromMs: fromMs - definition.spanMs, toMs: fromMs };
    const left = within(hits, window);
    const evidence = evidenceOf(definition, left, { window, leftMs: fromMs });
    const nextMs = parts[index + 1]?.fromMs ?? Number.POSITIVE_INFINITY;
    const all = within(hits, { fromMs: window.fromMs, toMs: Math.min(toMs + definition.spanMs, nextMs - 1) });
    return finalOf(hits, {
      evidence,
      lastAtMs: toMs,
      leftMs: fromMs,
      // X10.4: the largest of the evidence; at a true left end that is the event that made c true.
      triggerId: evidence.toSorted(byTotalOrder).at(-1)?.id ?? null,
      count: countOf(definition, { left, all }),
    });
  });
}

export function within(hits: readonly OracleEvent[], { fromMs, toMs }: Span): readonly OracleEvent[] {
  return hits.filter(({ timeMs }) => fromMs <= timeMs && timeMs <= toMs);
}

/**
 * X10.2. The window changes only when an event enters (at its time) or leaves (one millisecond after its time plus
 * the span); frames cut. Between two such instants c is constant, so it is looked at once per stretch.
 */
function truth(definition: CorrelationDefinition, hits: readonly OracleEvent[]): readonly Span[] {
  const { spanMs } = definition;
  const first = hits[0];
  const last = hits.at(-1);
  if (!first || !last) return [];
  const instants = new Set(hits.flatMap(({ timeMs }) => [timeMs, timeMs + spanMs + 1]));
  const frameMs = frameLengthMs(spanMs);
  for (let cut = Math.ceil(first.timeMs / frameMs) * frameMs; cut <= last.timeMs + spanMs; cut += frameMs) {
    instants.add(cut);
  }
  const sorted = [...instants].sort((a, b) => a - b);
  return sorted.flatMap((fromMs, index) => {
    const nextMs = sorted[index + 1];
    const window = { fromMs: fromMs - spanMs, toMs: fromMs };
    const isTrue = nextMs !== undefined && holds(definition, within(hits, window), window);
    return isTrue ? [{ fromMs, toMs: nextMs - 1 }] : [];
  });
}

/** X10.3: runs of true stretches with gaps of at most one span, cut at frames and, from its left end, by `suppress`. */
function episodes(definition: CorrelationDefinition, stretches: readonly Span[]): readonly Span[] {
  const frameMs = frameLengthMs(definition.spanMs);
  const frame = (timeMs: number): number => Math.floor(timeMs / frameMs);
  const runs: Span[][] = [];
  for (const stretch of stretches) {
    const run = runs.at(-1);
    const before = run?.at(-1);
    if (
      run &&
      before &&
      stretch.fromMs - before.toMs <= definition.spanMs &&
      frame(stretch.fromMs) === frame(before.fromMs)
    )
      run.push(stretch);
    else runs.push([stretch]);
  }
  return runs.flatMap((run) => cutBySuppress(run, definition.suppressMs));
}

/** A part ends at its left end + D; what is true after that begins a new part. */
function cutBySuppress(run: readonly Span[], suppressMs: number | null): readonly Span[] {
  const parts: Span[] = [];
  let left = run;
  while (left[0]) {
    const { fromMs } = left[0];
    const endMs = suppressMs === null ? Number.POSITIVE_INFINITY : fromMs + suppressMs;
    const inside = left.filter((stretch) => stretch.fromMs <= endMs);
    parts.push({ fromMs, toMs: Math.min(endMs, inside.at(-1)?.toMs ?? endMs) });
    left = left
      .filter((stretch) => stretch.toMs > endMs)
      .map((stretch) => ({ fromMs: Math.max(stretch.fromMs, endMs + 1), toMs: stretch.toMs }));
  }
  return parts;
}
