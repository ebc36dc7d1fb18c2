import type { CorrelationRule } from '@tracehound/sigma';

/** A place of an outer correlation that an inner one feeds. */
export type Feed = {
  readonly outer: CorrelationRule;
  readonly step: number;
  /** For each group-by field of the outer rule its place in the inner group key; undefined where the inner has no such field. */
  readonly groupPlaces: readonly (number | undefined)[];
};

/** Which correlations of a set stand on which others (X11), by the index of the inner one. */
export function feedsOf(correlations: readonly CorrelationRule[]): readonly (readonly Feed[])[] {
  const feeds: Feed[][] = correlations.map(() => []);
  for (const outer of correlations) {
    for (const [step, source] of outer.stepSources.entries()) {
      if (source.kind !== 'correlation') continue;
      const inner = correlations[source.correlation];
      if (!inner) continue;
      const groupPlaces = outer.groupBy.map((field) => {
        const place = inner.groupBy.indexOf(field);
        return place < 0 ? undefined : place;
      });
      feeds[source.correlation]?.push({ outer, step, groupPlaces });
    }
  }
  return feeds;
}

/** Type-tagged values of a group key. */
export function outerGroupKey(feed: Feed, innerGroupKey: string): string | null {
  const values: unknown = JSON.parse(innerGroupKey);
  if (!Array.isArray(values)) return null;
  const chosen = feed.groupPlaces.map((place) => (place === undefined ? undefined : values[place]));
  return chosen.includes(undefined) ? null : JSON.stringify(chosen);
}

/** Counts and sums of chain hits take one per burst of the inner group (semantics section 7). */
export function countsBursts(rule: CorrelationRule): boolean {
  const { type } = rule.definition;
  return type === 'event_count' || type === 'value_count' || type === 'value_sum';
}

/** Counts have one step only: an event that matches several referenced rules counts once. */
export function stepIn(rule: CorrelationRule, step: number): number {
  const { type } = rule.definition;
  return type === 'temporal' || type === 'temporal_ordered' ? step : 0;
}
