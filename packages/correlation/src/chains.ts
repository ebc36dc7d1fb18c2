import type { CorrelationRule, RuleSetCompiled } from '@tracehound/sigma';
import { NO_SOURCE } from './alert.ts';
import type { FirmChainHit } from './firm/machine.ts';
import type { Hit } from './hit.ts';

/** A hit of an inner correlation on its way to a step of an outer one. */
export type ChainHit = { readonly outer: CorrelationRule; readonly groupKey: string; readonly hit: Hit };

/** X11: what the hit of an inner correlation gives to the correlations that stand on it, by (rule, step). */
export function chainHits(
  set: RuleSetCompiled,
  inner: {
    readonly rule: CorrelationRule;
    readonly groupKey: string;
    readonly organization: string;
    readonly id: string;
    readonly chain: FirmChainHit;
  },
): readonly ChainHit[] {
  const { rule, chain } = inner;
  const newest = chain.evidence.at(-1);
  return set.chainMatchesOf(rule.index, inner.groupKey).matches.flatMap((match) => {
    const outer = set.correlations[set.inOrganization(match.rule, inner.organization)];
    if (!outer || (countsBursts(outer) && !chain.isNewBurst)) return [];
    const hit: Hit = {
      timeMs: chain.timeMs,
      id: inner.id,
      step: match.step,
      value: match.value,
      number: match.number,
      source: NO_SOURCE,
      sourceOffset: newest?.sourceOffset ?? 0,
      matchesOffset: newest?.matchesOffset ?? 0,
      instance: null,
      sequence: null,
    };
    return [{ outer, groupKey: match.group_key, hit }];
  });
}

/** Counts and sums of chain hits take one per burst of the inner group (semantics section 7). */
function countsBursts(rule: CorrelationRule): boolean {
  const { type } = rule.definition;
  return type === 'event_count' || type === 'value_count' || type === 'value_sum';
}
