import type { CorrelationDefinition, OnMatch } from '@tracehound/sigma';
import { countedHits } from './condition.ts';
import { episodeFinals } from './episodes.ts';
import {
  compareText,
  definitionOfRule,
  type Final,
  type FinalAlert,
  isMonotone,
  type OracleEvent,
  type OracleRule,
} from './model.ts';
import { modeFinals } from './modes.ts';
import { anchorFinals, expectedFinals, sessionFinals, tumblingFinals } from './windows.ts';

export type OracleOptions = {
  /**
   * `expect` only: the highest watermark before the end of input; silent windows that it had passed are decided too.
   * Without it they are decided up to the window of the organization's last hit.
   */
  readonly watermarkMs?: number;
};

/** The final alerts of a set of on-time events, sorted by organization, group and time. */
export function finalAlerts(
  rule: CorrelationDefinition | OracleRule,
  events: readonly OracleEvent[],
  options: OracleOptions = {},
): FinalAlert[] {
  const definition = 'window' in rule ? rule : definitionOfRule(rule);
  return finalsOf(definition, events, { ...options, mode: definition.onMatch }).map(alertOf);
}

/**
 * Section 7: the hits a correlation would give to outer ones, before thinning: mode `every` whatever its own mode,
 * and one per final where windows decide.
 */
export function everyHits(
  definition: CorrelationDefinition,
  events: readonly OracleEvent[],
  options: OracleOptions = {},
): Final[] {
  return finalsOf(definition, events, { ...options, mode: 'every' });
}

export function alertOf(final: Final): FinalAlert {
  const { leftMs: _left, newestMs: _newest, ...alert } = final;
  return alert;
}

export function finalsOf(
  definition: CorrelationDefinition,
  events: readonly OracleEvent[],
  { mode, watermarkMs }: OracleOptions & { readonly mode: OnMatch },
): Final[] {
  const hits = countedHits(definition, events);
  const finals: Final[] = [];
  for (const members of groupsOf(hits, ({ organization, group }) => JSON.stringify([organization, group]))) {
    if (!definition.expect.includes(members[0]?.group ?? '')) finals.push(...groupFinals(definition, members, mode));
  }
  if (definition.expect.length > 0) {
    for (const members of groupsOf(hits, ({ organization }) => organization)) {
      finals.push(...expectedFinals(definition, members, reachOf(definition, members, watermarkMs)));
    }
  }
  return finals.sort(
    (a, b) =>
      compareText(a.organization, b.organization) ||
      compareText(a.group, b.group) ||
      a.leftMs - b.leftMs ||
      compareText(a.triggerId ?? '', b.triggerId ?? ''),
  );
}

/** Section 8: from the first hit of the organization to its last, or as far as whole windows lie below the watermark. */
function reachOf(
  { spanMs }: CorrelationDefinition,
  hits: readonly OracleEvent[],
  watermarkMs = Number.NEGATIVE_INFINITY,
): { firstMs: number; untilMs: number } {
  const times = hits.map(({ timeMs }) => timeMs);
  return { firstMs: Math.min(...times), untilMs: Math.max(...times, watermarkMs - spanMs) };
}

function groupsOf(hits: readonly OracleEvent[], keyOf: (hit: OracleEvent) => string): OracleEvent[][] {
  const groups = new Map<string, OracleEvent[]>();
  for (const hit of hits) groups.set(keyOf(hit), [...(groups.get(keyOf(hit)) ?? []), hit]);
  return [...groups.keys()].sort(compareText).map((key) => groups.get(key) ?? []);
}

/** Sections 3 to 6: which of them speaks. Only monotone rules with a sliding window know modes. */
function groupFinals(definition: CorrelationDefinition, hits: readonly OracleEvent[], mode: OnMatch): readonly Final[] {
  if (definition.window.kind === 'tumbling') return tumblingFinals(definition, hits);
  if (definition.window.kind === 'session') return sessionFinals(definition, hits);
  if (!isMonotone(definition)) return anchorFinals(definition, hits);
  return mode === 'suppress' ? episodeFinals(definition, hits) : modeFinals(definition, hits, mode);
}
