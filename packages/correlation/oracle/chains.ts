import { createHash } from 'node:crypto';
import type { CorrelationRule } from '@tracehound/sigma';
import { alertOf, finalsOf, type OracleOptions } from './final-alerts.ts';
import { type Final, type FinalAlert, frameLengthMs, isMonotone, type OracleEvent } from './model.ts';

/** What the oracle needs to know of a correlation of a set; compiled rules fit. */
export type ChainRule = Pick<
  CorrelationRule,
  'uid' | 'semanticHash' | 'definition' | 'stepSources' | 'depth' | 'groupBy'
> & {
  /** Fields of the group key per step, aliases resolved; `groupBy` for every step when left out. */
  readonly groupFields?: readonly (readonly string[])[];
  /** Fields counted or summed by `value_*` rules. */
  readonly valueFields?: readonly string[];
};
export type ChainRuleSet = { readonly correlations: readonly ChainRule[] };

/**
 * Final alerts per correlation of the set, chains resolved from the lowest depth up. `eventsPerRule` are, per
 * correlation, the hits its detection steps have (on time); hits from inner correlations are made here.
 */
export function finalsOfRuleSet(
  ruleSet: ChainRuleSet,
  eventsPerRule: readonly (readonly OracleEvent[])[],
  options: OracleOptions = {},
): readonly (readonly FinalAlert[])[] {
  const finals: FinalAlert[][] = ruleSet.correlations.map(() => []);
  const given: OracleEvent[][] = ruleSet.correlations.map(() => []);
  const byDepth = [...ruleSet.correlations.entries()].sort(([, a], [, b]) => a.depth - b.depth);
  for (const [index, rule] of byDepth) {
    const hits = [...(eventsPerRule[index] ?? []), ...chainHits(ruleSet, rule, given)];
    const mode = rule.definition.onMatch;
    finals[index] = finalsOf(rule.definition, hits, { ...options, mode }).map(alertOf);
    given[index] = hitsGiven(rule, finalsOf(rule.definition, hits, { ...options, mode: 'every' }));
  }
  return finals;
}

/** Section 7: one hit per final where windows decide; else the first of mode `every` per minute and group. */
function hitsGiven(rule: ChainRule, finals: readonly Final[]): OracleEvent[] {
  const { definition } = rule;
  const thinned = definition.window.kind === 'sliding' && isMonotone(definition);
  const hits = finals
    .map((final) => ({
      organization: final.organization,
      group: final.group,
      id: `chain:${alertIdOf(rule, final)}`,
      timeMs: final.triggerId === null ? final.newestMs : final.lastAtMs,
      leftMs: final.leftMs,
      step: 0,
      value: null,
      trigger: final.triggerId ?? '',
    }))
    .sort((a, b) => a.timeMs - b.timeMs || a.leftMs - b.leftMs || (a.trigger < b.trigger ? -1 : 1));
  const spoken = new Set<string>();
  return hits.filter(({ organization, group, timeMs }) => {
    const minute = JSON.stringify([organization, group, Math.floor(timeMs / 60_000)]);
    if (thinned && spoken.has(minute)) return false;
    spoken.add(minute);
    return true;
  });
}

/** What the inner correlations give to the steps of an outer one, in the outer one's groups. */
function chainHits(ruleSet: ChainRuleSet, outer: ChainRule, given: readonly (readonly OracleEvent[])[]): OracleEvent[] {
  const { type } = outer.definition;
  const countsBursts = type === 'event_count' || type === 'value_count' || type === 'value_sum';
  return outer.stepSources.flatMap((source, step) => {
    const inner = source.kind === 'correlation' ? ruleSet.correlations[source.correlation] : undefined;
    if (source.kind !== 'correlation' || !inner) return [];
    const hits = given[source.correlation] ?? [];
    const counted = countsBursts ? hits.filter((_, index) => beginsBurst(hits, index, inner.definition.spanMs)) : hits;
    return counted.flatMap((hit) => regrouped(hit, { inner, outer, step }));
  });
}

/** A chain hit is counted only if its inner group had none in the inner rule's span before it; `hits` are in their order. */
function beginsBurst(hits: readonly OracleEvent[], index: number, spanMs: number): boolean {
  const hit = hits[index];
  return !hits
    .slice(0, index)
    .some(
      (other) =>
        other.organization === hit?.organization && other.group === hit.group && other.timeMs >= hit.timeMs - spanMs,
    );
}

/** The hit in the outer rule's group, by the values of the inner group-by fields; none when one is lacking. */
function regrouped(
  hit: OracleEvent,
  { inner, outer, step }: { readonly inner: ChainRule; readonly outer: ChainRule; readonly step: number },
): OracleEvent[] {
  const values = JSON.parse(hit.group) as unknown[];
  const pick = (fields: readonly string[]): string | null => {
    const places = fields.map((field) => inner.groupBy.indexOf(field));
    return places.includes(-1) ? null : JSON.stringify(places.map((place) => values[place]));
  };
  const group = pick(outer.groupFields?.[step] ?? outer.groupBy);
  const fields = outer.valueFields ?? [];
  const value = fields.length > 0 ? pick(fields) : null;
  if (group === null || (fields.length > 0 && value === null)) return [];
  return [{ ...hit, group, step, value, number: value === null ? null : numberOf(value) }];
}

/** The first value of a tuple as a number: `["n:5"]` and `["s:5"]` are 5. */
function numberOf(tuple: string): number | null {
  const text = String((JSON.parse(tuple) as unknown[])[0])
    .slice(2)
    .trim();
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : null;
}

/** X9, written from the page: the id chain hits are named by and ordered with. */
function alertIdOf(rule: ChainRule, final: Final): string {
  const parts = [
    final.organization,
    rule.uid,
    rule.semanticHash,
    final.group,
    String(frameOf(rule, final)),
    final.triggerId ?? `due:${final.lastAtMs}`,
  ];
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex').slice(0, 32);
}

/** Section 5: number of a tumbling window, start of a session; X10.3: number of the frame of the left end. */
function frameOf({ definition }: ChainRule, final: Final): number {
  switch (definition.window.kind) {
    case 'tumbling':
      return Math.floor(final.leftMs / definition.spanMs);
    case 'session':
      return final.leftMs;
    case 'sliding':
      return Math.floor(final.leftMs / frameLengthMs(definition.spanMs));
  }
}
