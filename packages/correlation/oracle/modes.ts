import type { CorrelationDefinition } from '@tracehound/sigma';
import { countOf, evidenceOf, holds } from './condition.ts';
import { finalOf } from './final.ts';
import type { Final, OracleEvent } from './model.ts';
import { positivesOf } from './windows.ts';

/** Section 6: sliding, monotone, `every` or `reset`. `hits` are those of one group, in total order. */
export function modeFinals(
  definition: CorrelationDefinition,
  hits: readonly OracleEvent[],
  mode: 'every' | 'reset',
): readonly Final[] {
  const finals: Final[] = [];
  const ordered = definition.type === 'temporal_ordered';
  const contributing = new Set(positivesOf(definition, hits).map(({ id }) => id));
  const events = new Map(hits.filter(({ id }) => contributing.has(id)).map(({ id, timeMs }) => [id, timeMs]));
  let forgotten = new Set<OracleEvent>();
  for (const [id, timeMs] of events) {
    const window = { fromMs: timeMs - definition.spanMs, toMs: timeMs };
    // Ordered: hits of one time are taken together, because they may stand in either order (X2).
    const taken = hits.filter((hit) => hit.timeMs < timeMs || (hit.timeMs === timeMs && (ordered || hit.id <= id)));
    const past = taken.filter((hit) => hit.timeMs >= window.fromMs && !forgotten.has(hit));
    if (!holds(definition, past, window)) continue;
    const evidence = evidenceOf(definition, past, { window, leftMs: timeMs });
    const count = countOf(definition, { left: past, all: past });
    finals.push(finalOf(hits, { evidence, lastAtMs: timeMs, leftMs: timeMs, triggerId: id, count }));
    if (mode === 'reset') forgotten = new Set(taken);
  }
  return finals;
}
