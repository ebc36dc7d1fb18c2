import type { AvroCodec } from '@tracehound/avro';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import { formatProblem, type RuleSetCompiled } from '@tracehound/sigma';
import { loadRules, type RuleChoice } from '../events/load-rules.ts';
import type { Progress } from '../events/progress.ts';
import { backtestLines, renderBacktest, totalsOf } from '../render/backtest.ts';
import { counted } from '../render/counted.ts';
import { estimateJson, renderEstimate } from '../render/estimate.ts';
import { runNotes } from '../render/replay.ts';
import { type BacktestRun, createBacktestRun } from '../replay/backtest-run.ts';
import { estimateOf } from '../replay/estimate.ts';
import type { IntakeRange } from '../replay/intake-log.ts';
import { planOf, rangeOf } from '../replay/plan.ts';
import { INTERRUPTED, type ReplayProgress, readAll } from '../replay/read-all.ts';
import { type RulesLog, readRuleSet, readRulesLog } from '../replay/rules-log.ts';
import type { Terminal } from '../terminal.ts';

export type BacktestTopicFlags = RuleChoice & {
  /** The draft. */
  readonly rules: readonly string[];
  /** In place of the rules in force. */
  readonly against?: readonly string[];
  /** RFC 3339, append time of the broker; default: everything that is kept. */
  readonly from?: string;
  readonly to?: string;
  readonly organization?: string;
  readonly trace?: string;
  readonly dryRun?: true;
  /** Alerts shown per rule and change; default 3. */
  readonly examples?: number;
  /** Alerts that wait for a partner at once; default 100,000. */
  readonly pendingMax?: number;
  readonly format: 'table' | 'ndjson' | 'json';
};

export type BacktestTopicContext = {
  readonly kafka: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: AvroCodec;
  readonly namespace: string;
  readonly terminal: Pick<Terminal, 'out' | 'note'>;
  readonly progress?: Progress<ReplayProgress>;
  /** True once the user wants an end: what was decided until then is told. */
  readonly stopped?: () => boolean;
  /** The present, ms. */
  readonly now: () => number;
};

const EXAMPLES_DEFAULT = 3;
/** About 50 MB. */
const PENDING_DEFAULT = 100_000;

/**
 * `tracehound backtest --topic`: a draft and the rules in force over the same range of the log, in one reading, apart from everything
 * live: nothing is written, nobody is told. Memory grows with the rules and open windows, not with the alerts. Exit code 0 whatever
 * differs, 130 when interrupted; then the report says that it is partial.
 */
export async function runBacktestTopic(flags: BacktestTopicFlags, context: BacktestTopicContext): Promise<number> {
  const { kafka, now, terminal, progress, stopped = () => false } = context;
  const range = rangeOf(flags);
  const rulesLog = await readRulesLog(context);
  const after = loaded(flags.rules, flags, context);
  const before =
    flags.against === undefined ? await rulesInForce(rulesLog, range, context) : loaded(flags.against, flags, context);
  const plan = await planOf(range, { rulesLog, ruleSets: [before, after] }, context);
  const run = createBacktestRun({
    plan,
    ruleSets: { before, after },
    codec: context.codec,
    examplesMax: flags.examples ?? EXAMPLES_DEFAULT,
    pendingMax: flags.pendingMax ?? PENDING_DEFAULT,
    ...(flags.organization === undefined ? {} : { organization: flags.organization }),
    ...(flags.trace === undefined ? {} : { traceId: flags.trace }),
  });
  const reading = { kafka, now, parts: plan.parts, toMs: plan.toMs };
  if (flags.dryRun) {
    const estimate = await estimateOf(run, reading);
    terminal.out(flags.format === 'table' ? renderEstimate(estimate) : estimateJson(estimate));
    return 0;
  }
  const isWhole = await readAll(run, { ...reading, progress, stopped });
  report(run, { isPartial: !isWhole, format: flags.format, terminal });
  if (isWhole) return 0;
  terminal.note('interrupted: these are the totals of what was decided until then, a part of the range');
  return INTERRUPTED;
}

function loaded(
  paths: readonly string[],
  choice: RuleChoice,
  { terminal }: Pick<BacktestTopicContext, 'terminal'>,
): RuleSetCompiled {
  const { ruleSet, refused } = loadRules(paths, choice);
  for (const problem of refused) terminal.note(`refused ${formatProblem(problem)}`);
  return ruleSet;
}

/** The set in force at the end of the range: it is what a draft would take the place of. */
async function rulesInForce(
  rulesLog: RulesLog,
  { fromMs, toMs }: IntakeRange,
  context: BacktestTopicContext,
): Promise<RuleSetCompiled> {
  const untilMs = Math.min(toMs, context.now());
  const { ruleset_id: id, effective_at } = rulesLog.at(untilMs);
  const since = effective_at > 0 ? ` since ${new Date(effective_at).toISOString()}` : '';
  context.terminal.note(`compared with the rules in force, set ${id.slice(0, 12)}${since}`);
  const others = new Set(rulesLog.within(fromMs, untilMs).map(({ ruleset_id }) => ruleset_id)).size - 1;
  if (others > 0)
    context.terminal.note(
      `${counted(others, 'other set')} in force earlier in the range: for all of it this one is taken, not what was said then`,
    );
  return readRuleSet(context, id);
}

function report(
  run: BacktestRun,
  {
    isPartial,
    format,
    terminal,
  }: {
    readonly isPartial: boolean;
    readonly format: BacktestTopicFlags['format'];
    readonly terminal: BacktestTopicContext['terminal'];
  },
): void {
  const rows = run.finish();
  switch (format) {
    case 'table':
      terminal.out(renderBacktest(rows, { isPartial }));
      break;
    case 'ndjson':
      for (const line of backtestLines(rows, { isPartial })) terminal.out(line);
      break;
    case 'json':
      terminal.out(JSON.stringify({ partial: isPartial, ...totalsOf(rows), rules: rows }));
      break;
  }
  for (const note of runNotes(run)) terminal.note(note);
  if (run.hurried > 0)
    terminal.note(
      `${counted(run.hurried, 'alert')} compared before their time: what is added or removed may be too much; raise --pending-max or narrow the range`,
    );
}
