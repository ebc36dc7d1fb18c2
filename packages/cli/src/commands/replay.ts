import type { AvroCodec } from '@tracehound/avro';
import type { DetectResult } from '@tracehound/detect';
import { namespacedTopic } from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import { formatProblem, type RuleSetCompiled } from '@tracehound/sigma';
import { loadRules } from '../events/load-rules.ts';
import type { Progress } from '../events/progress.ts';
import { createResultWriter } from '../events/result-writer.ts';
import { estimateJson, renderEstimate } from '../render/estimate.ts';
import { renderDiff, renderTimeline, runNotes } from '../render/replay.ts';
import { diffLive, type LiveDiff, type ReplayedFinal } from '../replay/diff-live.ts';
import { estimateOf } from '../replay/estimate.ts';
import { planOf, type ReplayPlan, rangeOf } from '../replay/plan.ts';
import { INTERRUPTED, type ReplayProgress, readAll } from '../replay/read-all.ts';
import { createReplayRun, type ReplayRun, type ReplayRunOptions, type TraceEvent } from '../replay/replay-run.ts';
import { type RulesLog, readRuleSet, readRulesLog } from '../replay/rules-log.ts';
import { createSwitchingRun } from '../replay/switching-run.ts';
import { readAlertLog } from '../scenario/alert-log.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export type ReplayFlags = {
  /** RFC 3339, append time of the broker; default: everything that is kept. */
  readonly from?: string;
  readonly to?: string;
  readonly org?: string;
  readonly trace?: string;
  /** Id or title: only its results. */
  readonly rule?: string;
  /** A draft in place of the rules that were in force. */
  readonly rules?: readonly string[];
  readonly diffLive?: true;
  readonly dryRun?: true;
  readonly format: 'table' | 'ndjson';
};

export type ReplayContext = {
  readonly kafka: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: AvroCodec;
  readonly namespace: string;
  readonly terminal: Terminal;
  readonly stdout: NodeJS.WritableStream;
  readonly progress?: Progress<ReplayProgress>;
  /** True once the user wants an end: what was decided until then is told. */
  readonly stopped?: () => boolean;
  /** The present, ms. */
  readonly now: () => number;
};

/** How long live alerts that may still be on their way are waited for. */
const PATIENCE_MS = 10_000;

/** What is replayed, and with which rules. */
type Plan = ReplayPlan & {
  /** The draft, or the set in force at the end of the range. */
  readonly ruleSet: RuleSetCompiled;
  /** All sets that were in force, by id; one unless the rules changed. */
  readonly ruleSets: ReadonlyMap<string, RuleSetCompiled>;
};

/**
 * `tracehound replay`: the events of a range of the log once more through the engine, apart from everything live: no state
 * store, no notices. Exit code 0; with `--diff-live` 1 when a final alert differs from `security.alerts` (E2); 130 when interrupted.
 */
export async function runReplay(flags: ReplayFlags, context: ReplayContext): Promise<number> {
  const plan = await rulesAndPlan(flags, context);
  const { kafka, now, progress, stopped = () => false } = context;
  const reading = { kafka, now, parts: plan.parts, toMs: plan.toMs, stopped };
  if (flags.dryRun) {
    const estimate = await estimateOf(runOf(plan, flags, { codec: context.codec, ...UNHEARD }), reading);
    context.terminal.out(flags.format === 'ndjson' ? estimateJson(estimate) : renderEstimate(estimate));
    return 0;
  }
  const finals: ReplayedFinal[] = [];
  const trace: TraceEvent[] = [];
  const told: DetectResult[] = [];
  const isTimeline = flags.trace !== undefined && flags.format === 'table';
  const writer = createResultWriter(context.stdout, flags.format, { colours: context.terminal.outColours });
  const traceIds = new Set<string>();
  const isTold = ({ event_ids, rule_id }: DetectResult): boolean =>
    (flags.trace === undefined || event_ids.some((id) => traceIds.has(id))) &&
    isOfRule(flags.rule, plan.ruleSet, rule_id);
  const run = runOf(plan, flags, {
    codec: context.codec,
    onFinal: (final) => {
      if (isOfAnyRule(flags.rule, plan, final.projection.rule)) finals.push(final);
    },
    onTraceEvent: (event) => {
      traceIds.add(event.envelope.event_id);
      trace.push(event);
    },
    onResult: (result, appendTimeMs) => {
      if (appendTimeMs < plan.fromMs || !isTold(result)) return;
      if (isTimeline) told.push(result);
      else if (!flags.diffLive) writer.add(result);
    },
  });
  const isWhole = await readAll(run, { ...reading, progress, afterPage: () => writer.flush() });
  if (isTimeline) context.terminal.out(renderTimeline(trace, told, openOf(run).filter(isTold)));
  else if (!flags.diffLive) await writer.end();
  for (const note of runNotes(run)) context.terminal.note(note);
  const code = flags.diffLive
    ? tellDiff(await settledDiff(finals, run, { plan, flags, context, isWhole }), flags, context)
    : 0;
  if (isWhole) return code;
  context.terminal.note('interrupted: this is what was decided until then, a part of the range');
  return INTERRUPTED;
}

function openOf(run: ReplayRun): readonly DetectResult[] {
  return run.open().map(({ result }) => result);
}

type Heard = Pick<ReplayRunOptions, 'codec' | 'onFinal' | 'onResult' | 'onTraceEvent'>;

const UNHEARD = { onFinal: () => {}, onResult: () => {} };

function runOf(plan: Plan, { org, trace }: ReplayFlags, heard: Heard): ReplayRun {
  const shared = {
    ...heard,
    rulesLog: plan.rulesLog,
    sources: plan.parts.length,
    ...(org === undefined ? {} : { organization: org }),
  };
  if (plan.ruleSets.size > 1) return createSwitchingRun({ ...shared, ruleSets: plan.ruleSets });
  return createReplayRun({ ...shared, ruleSet: plan.ruleSet, ...(trace === undefined ? {} : { traceId: trace }) });
}

/** What is replayed, and with which rules. */
async function rulesAndPlan(flags: ReplayFlags, context: ReplayContext): Promise<Plan> {
  const range = rangeOf(flags);
  const rulesLog = await readRulesLog(context);
  const inForce = rulesLog.within(range.fromMs, Math.min(range.toMs, context.now()));
  const ruleSets = await ruleSetsOf(flags, inForce, context);
  const ruleSet = [...ruleSets.values()].at(-1) as RuleSetCompiled; // There is one at least.
  return { ...(await planOf(range, { rulesLog, ruleSets: [...ruleSets.values()] }, context)), ruleSet, ruleSets };
}

/** The draft; else the sets that were in force, in order. Only finals can be told over a switch. */
async function ruleSetsOf(
  flags: ReplayFlags,
  inForce: ReturnType<RulesLog['within']>,
  context: ReplayContext,
): Promise<ReadonlyMap<string, RuleSetCompiled>> {
  if (flags.rules !== undefined) {
    const { ruleSet, refused } = loadRules(flags.rules);
    for (const problem of refused) context.terminal.note(`refused ${formatProblem(problem)}`);
    return new Map([[ruleSet.rulesetId, ruleSet]]);
  }
  const ids = [...new Set(inForce.map(({ ruleset_id }) => ruleset_id))];
  if (ids.length > 1 && !flags.diffLive) {
    const switches = inForce.slice(1).map(({ effective_at }) => new Date(effective_at).toISOString());
    throw new UsageError(
      `the rules changed within the range (at ${switches.join(', ')}): narrow it with --from and --to, name rules with --rules, or compare with --diff-live`,
    );
  }
  const sets = new Map<string, RuleSetCompiled>();
  for (const id of ids) sets.set(id, await readRuleSet(context, id));
  return sets;
}

function isOfAnyRule(wanted: string | undefined, { ruleSets }: Pick<Plan, 'ruleSets'>, ruleId: string): boolean {
  return [...ruleSets.values()].some((set) => isOfRule(wanted, set, ruleId));
}

type SettleOptions = {
  readonly plan: Plan;
  readonly flags: ReplayFlags;
  readonly context: ReplayContext;
  readonly isWhole: boolean;
};

/** The services may be some way behind the end of the log: what is missing is looked for until it is there. */
async function settledDiff(
  finals: readonly ReplayedFinal[],
  run: ReplayRun,
  { plan, flags, context, isWhole }: SettleOptions,
): Promise<LiveDiff> {
  const until = context.now() + PATIENCE_MS;
  const read = (name: 'security.alerts' | 'security.shadow') =>
    readAlertLog({ ...context, topic: () => namespacedTopic(context.namespace, name) }, until);
  for (;;) {
    // Rules on trial speak too, elsewhere.
    const log = [...(await read('security.alerts')), ...(await read('security.shadow'))].filter(
      ({ organization_id, rule }) =>
        (flags.org === undefined || organization_id === flags.org) && isOfAnyRule(flags.rule, plan, rule.rule_id),
    );
    const diff = diffLive(finals, log, { afterMs: plan.decidedAfterMs, uptoMs: run.watermarkMs });
    if (diff.missing.length === 0 || flags.rules !== undefined || !isWhole || context.now() > until) return diff;
    await new Promise((done) => setTimeout(done, 250));
  }
}

function tellDiff(diff: LiveDiff, { format }: ReplayFlags, { terminal }: ReplayContext): number {
  if (format === 'ndjson') {
    for (const alert of diff.missing) terminal.out(JSON.stringify({ change: 'missing', ...alert }));
    for (const alert of diff.extra) terminal.out(JSON.stringify({ change: 'extra', ...alert }));
  }
  const text = renderDiff(diff, { withAlerts: format === 'table' });
  if (format === 'table') terminal.out(text);
  else terminal.note(text);
  return diff.missing.length === 0 && diff.extra.length === 0 ? 0 : 1;
}

function isOfRule(wanted: string | undefined, ruleSet: RuleSetCompiled, ruleId: string): boolean {
  if (wanted === undefined || wanted === ruleId) return true;
  return [...ruleSet.detections, ...ruleSet.correlations].some(
    ({ description }) => description.rule_id === ruleId && description.title === wanted,
  );
}
