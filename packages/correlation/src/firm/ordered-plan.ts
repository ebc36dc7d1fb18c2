import type { CorrelationDefinition } from '@tracehound/sigma';
import type { FirmHit } from './machine-types.ts';

/** A temporal_ordered condition with its runs written out: one stage for each event of a chain. */
export type OrderedPlan = {
  /** Step of each stage. */
  readonly stages: readonly number[];
  /** Which positive step of the definition each stage is a run of. */
  readonly entries: readonly number[];
  /** Stages of a step, ascending. */
  readonly stagesOf: ReadonlyMap<number, readonly number[]>;
  /** Steps that must not happen between stage i and i + 1. */
  readonly between: readonly (readonly number[])[];
  /** Not from the window's start to the first stage. */
  readonly leading: readonly number[];
  /** Not from the last stage to the window's end. */
  readonly trailing: readonly number[];
  readonly until: readonly number[];
  readonly strict: boolean;
  readonly gapMs: number;
  readonly reuse: boolean;
  /** Each step has its stages in one run: its hits of one instant are interchangeable. */
  readonly hasPlainSteps: boolean;
};

export function orderedPlanOf(definition: CorrelationDefinition): OrderedPlan {
  const stages: number[] = [];
  const entries: number[] = [];
  const between: number[][] = [];
  const leading: number[] = [];
  for (const [entry, { step, runs, negated }] of definition.ordered.entries()) {
    if (negated) (between[stages.length - 1] ?? leading).push(step);
    for (let run = 0; !negated && run < runs; run++) {
      stages.push(step);
      entries.push(entry);
      between.push([]);
    }
  }
  const trailing = between.pop() ?? [];
  const stagesOf = new Map<number, number[]>();
  for (const [stage, step] of stages.entries()) stagesOf.set(step, [...(stagesOf.get(step) ?? []), stage]);
  const hasPlainSteps = [...stagesOf.values()].every((own) => new Set(own.map((stage) => entries[stage])).size === 1);
  return {
    stages,
    entries,
    stagesOf,
    between,
    leading,
    trailing,
    until: definition.until,
    strict: definition.strict,
    gapMs: definition.gapMs ?? Number.POSITIVE_INFINITY,
    reuse: definition.reuse,
    hasPlainSteps,
  };
}

/** X2: times not falling; ties either way unless one source instance numbered them or the rule is strict. */
export function mayPrecede(before: FirmHit, after: FirmHit, plan: OrderedPlan): boolean {
  if (before.timeMs !== after.timeMs) return before.timeMs < after.timeMs;
  if (plan.strict) return false;
  if (before.id === after.id) return plan.reuse;
  const isNumbered = before.instance !== null && before.instance === after.instance;
  if (!isNumbered || before.sequence === null || after.sequence === null) return true;
  return before.sequence < after.sequence;
}
