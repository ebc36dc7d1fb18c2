import { loadRuleSet, type RuleFile, type RuleSetCompiled, WARMING_FOLDER } from '@tracehound/sigma';

/** How rules that change fill their windows before they speak (X12). */
export type WarmUp = {
  /** The set in force with what is to come beside it, on trial. */
  readonly files: readonly RuleFile[];
  /** Titles of what warms up. */
  readonly rules: readonly string[];
  /** Time after which every window is full, ms: the longest span, summed along chains, and what clocks may differ by. */
  readonly durationMs: number;
};

/** Events may be stamped this far ahead of their arrival (the gateway's bound), and brokers differ by a second. */
const AHEAD_MS = 61_000;

/** Null when no correlation changes its meaning: then there is nothing to warm up. */
export function warmUpOf(before: RuleSetCompiled, after: RuleSetCompiled): WarmUp | null {
  const toCome = after.files.map(({ path, content }) => ({ path: `${WARMING_FOLDER}${path}`, content }));
  const files = [...inForceOf(before.files), ...toCome];
  const set = loadRuleSet(files);
  const warming = set.correlations.filter(({ isWarming, override }) => isWarming && override === null);
  if (warming.length === 0) return null;
  const horizonsMs = set.correlations.map(() => 0);
  // Inner rules first: a chain is full when its innermost windows were, one span after the other.
  for (const [index, { timespanMs, stepSources }] of [...set.correlations.entries()].toSorted(
    ([, a], [, b]) => a.depth - b.depth,
  )) {
    const inner = stepSources.map((step) => (step.kind === 'correlation' ? (horizonsMs[step.correlation] ?? 0) : 0));
    horizonsMs[index] = timespanMs + Math.max(0, ...inner);
  }
  return {
    files,
    rules: [...new Set(warming.map(({ description }) => description.title))],
    durationMs: Math.max(...warming.map(({ index }) => horizonsMs[index] ?? 0)) + AHEAD_MS,
  };
}

/** Without what warms up beside it. */
export function inForceOf(files: readonly RuleFile[]): readonly RuleFile[] {
  return files.filter(({ path }) => !path.startsWith(WARMING_FOLDER));
}

/** Whether a set is only the way from one to another. */
export function isWarmingUp({ files }: Pick<RuleSetCompiled, 'files'>): boolean {
  return inForceOf(files).length < files.length;
}
