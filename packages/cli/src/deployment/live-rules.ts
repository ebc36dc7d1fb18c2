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
 * Why rules of the set must not run on a deployment, one problem a rule; empty when all may. Their state could not be rebuilt when
 * it is lost (X7, X12): what they need of `security.matches`, and what the rules they stand on need, goes further back than that
 * topic is kept. Offline (`detect`, `backtest`, `rules test`) they run.
 */
export function liveProblems({ correlations }: Pick<RuleSetCompiled, 'correlations'>): readonly SigmaProblem[] {
  const keptDays = Math.floor(TOPICS['security.matches'].retentionMs / DAY_MS);
  const horizons = horizonsMs(correlations);
  return correlations.flatMap((rule, index) => {
    const days = Math.ceil((horizons[index] ?? 0) / DAY_MS);
    if (days <= keptDays) return [];
    const { path, line, name, uid } = rule;
    const message = `'${name ?? uid}' could not be rebuilt: it needs ${days} days of security.matches, which keeps ${keptDays}; shorten its timespan, or run it with 'tracehound detect'`;
    return [{ path, line, column: 1, code: 'unsupported' as const, message }];
  });
}

const DAY_MS = 86_400_000;

/** The most that X12 reads back, frame_start(W - 2 span) - span, whatever the time; horizons add up along chains (X11). */
function horizonsMs(correlations: readonly CorrelationRule[]): readonly number[] {
  const below = correlations.map(() => 0);
  const horizons = correlations.map(({ definition: { spanMs } }) => frameOf(spanMs) + 3 * spanMs);
  const upwards = [...correlations.entries()].toSorted(([, a], [, b]) => a.depth - b.depth);
  for (const [index, { feeds }] of upwards) {
    const ownMs = (horizons[index] ?? 0) + (below[index] ?? 0);
    horizons[index] = ownMs;
    for (const { correlation } of feeds) below[correlation] = Math.max(below[correlation] ?? 0, ownMs);
  }
  return horizons;
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
