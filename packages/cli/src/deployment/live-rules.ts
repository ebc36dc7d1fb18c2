import { frameOf } from '@tracehound/correlation';
import { TOPICS } from '@tracehound/event-model';
import {
  type CorrelationRule,
  loadRuleSet,
  type RuleFile,
  type RuleSetCompiled,
  type SigmaProblem,
} from '@tracehound/sigma';

/**
 * Why rules of the set would be wrong on a deployment, one problem a rule; empty when all may run. Each partition of
 * `security.matches` is an engine of its own, and hits do not travel between them yet: a chain finds only the inner
 * hits of its own partition, and every partition that has not seen an expected group would miss it. Offline
 * (`detect`, `backtest`, `rules test`) one engine sees everything, so there they run.
 */
export function liveProblems({ correlations }: Pick<RuleSetCompiled, 'correlations'>): readonly SigmaProblem[] {
  return correlations.flatMap((rule) => {
    const reason = liveReason(rule);
    if (reason === null) return [];
    const message = `${named(rule)} cannot run on several partitions yet: ${reason}; leave it out, or run it with 'tracehound detect'`;
    return [{ ...placeOf(rule), message }];
  });
}

/**
 * Rules whose state could not be rebuilt when it is lost (X7, X12), one problem a rule: what they need of `security.matches` goes
 * further back than that topic is kept.
 */
export function horizonProblems({ correlations }: Pick<RuleSetCompiled, 'correlations'>): readonly SigmaProblem[] {
  const keptDays = Math.floor(TOPICS['security.matches'].retentionMs / DAY_MS);
  return correlations.flatMap((rule) => {
    const days = Math.ceil(horizonMs(rule) / DAY_MS);
    if (days <= keptDays) return [];
    const message = `${named(rule)} could not be rebuilt: it needs ${days} days of security.matches, which keeps ${keptDays}; shorten its timespan, or run it with 'tracehound detect'`;
    return [{ ...placeOf(rule), message }];
  });
}

function named(rule: CorrelationRule): string {
  return `'${rule.name ?? rule.uid}'`;
}

function placeOf({ path, line }: CorrelationRule): Omit<SigmaProblem, 'message'> {
  return { path, line, column: 1, code: 'unsupported' };
}

function liveReason({ depth, definition }: CorrelationRule): string | null {
  if (depth > 0) return 'it stands on other correlations (a chain), whose hits may come from another partition';
  if (definition.expect.length > 0) return 'x-corr.expect would alert on every partition that does not see the group';
  return null;
}

const DAY_MS = 86_400_000;

/** The most that X12 reads back, frame_start(W - 2 span) - span, whatever the time. */
function horizonMs({ definition: { spanMs } }: CorrelationRule): number {
  return frameOf(spanMs) + 3 * spanMs;
}

/**
 * The files whose rules may all run on a deployment, and the problems of those left out. Whole files go: what else
 * they hold, and what stands on that, goes with them.
 */
export function liveFiles(files: readonly RuleFile[]): {
  readonly files: readonly RuleFile[];
  readonly leftOut: readonly SigmaProblem[];
} {
  const leftOut: SigmaProblem[] = [];
  let kept = files;
  for (;;) {
    const set = loadRuleSet(kept, { onProblem: 'refuse-rule' });
    const problems = [...liveProblems(set), ...(leftOut.length > 0 ? set.refused : [])];
    if (problems.length === 0) return { files: kept, leftOut };
    leftOut.push(...problems);
    const paths = new Set(problems.map(({ path }) => path));
    kept = kept.filter(({ path }) => !paths.has(path));
  }
}
