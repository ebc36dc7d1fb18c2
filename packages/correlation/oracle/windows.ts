import type { CorrelationDefinition } from '@tracehound/sigma';
import type { Span } from './chain-search.ts';
import { countOf, evidenceOf, holds, namedHits } from './condition.ts';
import { within } from './episodes.ts';
import { finalOf } from './final.ts';
import { type Final, frameLengthMs, isMonotone, meetsAll, type OracleEvent } from './model.ts';
import { positiveSteps } from './steps.ts';

/** Most ids a final names where all positives of a window are evidence: the first in total order. */
const WINDOW_IDS_MAX = 512;

export function positivesOf(definition: CorrelationDefinition, hits: readonly OracleEvent[]): readonly OracleEvent[] {
  const steps = positiveSteps(definition);
  return steps ? hits.filter(({ step }) => steps.has(step)) : hits;
}

/** The final of a window that is looked at as a whole, if c holds of it. */
function wholeWindow(
  definition: CorrelationDefinition,
  hits: readonly OracleEvent[],
  at: { readonly window: Span; readonly lastAtMs: number; readonly leftMs: number },
): Final | undefined {
  const positives = positivesOf(definition, hits);
  const first = positives[0];
  if (!first || !holds(definition, hits, at.window)) return undefined;
  const named = namedHits(definition, positives);
  const ids = [...new Set(named.map(({ id }) => id))].slice(0, WINDOW_IDS_MAX);
  return finalOf(hits, {
    evidence: named.filter(({ id }) => ids.includes(id)),
    firstAtMs: first.timeMs,
    lastAtMs: at.lastAtMs,
    leftMs: at.leftMs,
    triggerId: null,
    count: countOf(definition, { left: named, all: named }),
  });
}

/** Section 4 (X10.14): sliding, suppress, not monotone. */
export function anchorFinals(definition: CorrelationDefinition, hits: readonly OracleEvent[]): readonly Final[] {
  const frameMs = frameLengthMs(definition.spanMs);
  const frame = ({ timeMs }: OracleEvent): number => Math.floor(timeMs / frameMs);
  const finals: Final[] = [];
  let uncovered = positivesOf(definition, hits);
  while (uncovered[0]) {
    const anchor = uncovered[0];
    const window = { fromMs: anchor.timeMs, toMs: anchor.timeMs + definition.spanMs };
    const final = wholeWindow(definition, within(hits, window), {
      window,
      lastAtMs: window.toMs,
      leftMs: anchor.timeMs,
    });
    if (final) finals.push({ ...final, firstAtMs: anchor.timeMs });
    const covered = (hit: OracleEvent): boolean =>
      final ? hit.timeMs <= window.toMs && frame(hit) === frame(anchor) : hit.id === anchor.id;
    uncovered = uncovered.filter((hit) => !covered(hit));
  }
  return finals;
}

/** Section 5: the final of one tumbling window or one session. */
function closedWindow(
  definition: CorrelationDefinition,
  hits: readonly OracleEvent[],
  at: { readonly window: Span; readonly lastAtMs: number; readonly leftMs: number },
): readonly Final[] {
  if (!isMonotone(definition)) {
    const final = wholeWindow(definition, hits, at);
    return final ? [final] : [];
  }
  for (const { timeMs } of hits) {
    const left = within(hits, { fromMs: at.window.fromMs, toMs: timeMs });
    if (!holds(definition, left, at.window)) continue;
    const evidence = evidenceOf(definition, left, { window: at.window, leftMs: null });
    const count = countOf(definition, { left, all: hits });
    return [finalOf(hits, { ...at, evidence, triggerId: null, count })];
  }
  return [];
}

/** Section 5: [k * span, (k + 1) * span). */
export function tumblingFinals(definition: CorrelationDefinition, hits: readonly OracleEvent[]): readonly Final[] {
  const { spanMs } = definition;
  const numbers = [...new Set(hits.map(({ timeMs }) => Math.floor(timeMs / spanMs)))];
  return numbers.flatMap((number) => {
    const window = { fromMs: number * spanMs, toMs: (number + 1) * spanMs - 1 };
    return closedWindow(definition, within(hits, window), { window, lastAtMs: window.toMs, leftMs: window.fromMs });
  });
}

/** Section 5: hits no further apart than the gap, no session longer than the span. */
export function sessionFinals(definition: CorrelationDefinition, hits: readonly OracleEvent[]): readonly Final[] {
  if (definition.window.kind !== 'session') return [];
  const { gapMs } = definition.window;
  const sessions: { fromMs: number; toMs: number }[] = [];
  for (const { timeMs } of positivesOf(definition, hits)) {
    const session = sessions.at(-1);
    if (session && timeMs - session.toMs <= gapMs && timeMs - session.fromMs <= definition.spanMs)
      session.toMs = timeMs;
    else sessions.push({ fromMs: timeMs, toMs: timeMs });
  }
  return sessions.flatMap((window) =>
    closedWindow(definition, within(hits, window), { window, lastAtMs: window.toMs, leftMs: window.fromMs }),
  );
}

/**
 * Section 8: the expected groups of one organization, in every window from the first whole one after `firstMs` to
 * the one that holds `untilMs`. `hits` are those of the organization, all groups.
 */
export function expectedFinals(
  definition: CorrelationDefinition,
  hits: readonly OracleEvent[],
  { firstMs, untilMs }: { readonly firstMs: number; readonly untilMs: number },
): readonly Final[] {
  const { spanMs } = definition;
  const head = hits[0];
  if (!head) return [];
  const finals: Final[] = [];
  for (let fromMs = (Math.floor(firstMs / spanMs) + 1) * spanMs; fromMs <= untilMs; fromMs += spanMs) {
    const window = { fromMs, toMs: fromMs + spanMs - 1 };
    for (const group of definition.expect) {
      const inside = within(hits, window).filter((hit) => hit.group === group);
      if (inside.length > 0) {
        finals.push(...closedWindow(definition, inside, { window, lastAtMs: window.toMs, leftMs: fromMs }));
      } else if (meetsAll(definition.bounds, 0)) {
        const silent = { evidence: [], firstAtMs: fromMs, lastAtMs: window.toMs, leftMs: fromMs };
        finals.push(finalOf([{ ...head, group }], { ...silent, triggerId: null, count: 0 }));
      }
    }
  }
  return finals;
}
