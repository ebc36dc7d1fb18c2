import type { CorrelationRule, RuleSetCompiled } from '@tracehound/sigma';

/** A correlation that lacks hits while a rule is tripped. */
export type Reached = {
  /** Of the correlation itself; what holds in an organization is `inOrganization` of it. */
  readonly index: number;
  /** The rule itself, or one that stands on it as a detection: its own matches are withheld. */
  readonly isDirect: boolean;
  /** Correlations it stands on that are reached too, earlier in the list. */
  readonly inner: readonly number[];
};

const reachedBySet = new WeakMap<RuleSetCompiled, Map<string, readonly Reached[]>>();

/**
 * What a breaker of the rule reaches, inner correlations first: a correlation, or a detection and all that stand on it, and what stands
 * on those in turn (X11). Empty for a rule that the set does not have. Looked up once per set and rule.
 */
export function reachedBy(set: RuleSetCompiled, ruleId: string): readonly Reached[] {
  let known = reachedBySet.get(set);
  if (!known) {
    known = new Map();
    reachedBySet.set(set, known);
  }
  let reached = known.get(ruleId);
  if (!reached) {
    reached = reach(set, ruleId);
    known.set(ruleId, reached);
  }
  return reached;
}

function reach({ correlations, detections }: RuleSetCompiled, ruleId: string): readonly Reached[] {
  const reached: Reached[] = [];
  const isReached = new Set<number>();
  const isDirect = ({ uid, stepSources }: CorrelationRule): boolean =>
    uid === ruleId ||
    stepSources.some((step) => step.kind === 'detection' && detections[step.detection]?.id === ruleId);
  const themselves = correlations.filter(({ override }) => override === null);
  for (const rule of themselves.toSorted((a, b) => a.depth - b.depth || a.index - b.index)) {
    const inner = rule.stepSources.flatMap((step) =>
      step.kind === 'correlation' && isReached.has(step.correlation) ? [step.correlation] : [],
    );
    const direct = isDirect(rule);
    if (!direct && inner.length === 0) continue;
    isReached.add(rule.index);
    reached.push({ index: rule.index, isDirect: direct, inner: [...new Set(inner)] });
  }
  return reached;
}
