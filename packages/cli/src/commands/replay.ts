import type { AvroCodec } from '@tracehound/avro';
import { rebuildFromMs } from '@tracehound/correlation';
import type { DetectResult } from '@tracehound/detect';
import { namespacedTopic } from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import { formatProblem, type RuleSetCompiled } from '@tracehound/sigma';
import { loadRules } from '../events/load-rules.ts';
import { createResultWriter } from '../events/result-writer.ts';
import { counted } from '../render/counted.ts';
import { type ReplayProgress, renderDiff, renderEstimate, renderTimeline } from '../render/replay.ts';
import { diffLive, type LiveDiff, type ReplayedFinal } from '../replay/diff-live.ts';
import { findIntake, type IntakePart, readIntake } from '../replay/intake-log.ts';
import { createReplayRun, type ReplayRun, type TraceEvent } from '../replay/replay-run.ts';
import { type RulesLog, readRuleSet, readRulesLog } from '../replay/rules-log.ts';
import { createSwitchingRun } from '../replay/switching-run.ts';
import { readAlertLog } from '../scenario/alert-log.ts';
import { patiently } from '../scenario/patiently.ts';
import type { Terminal } from '../terminal.ts';
import { timeOption } from '../time-option.ts';
import { UsageError } from '../usage-error.ts';
import { SOURCE_TOPICS } from './rules.ts';

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
  /** Called now and then with how far the reading is. */
  readonly onProgress: (progress: ReplayProgress) => void;
  /** The present, ms. */
  readonly now: () => number;
};

/** How long a registry that is away is waited for, and live alerts that may still be on their way. */
const PATIENCE_MS = 10_000;
const ASKED_EVERY = 4_096;

/** What is replayed, and with which rules. */
type Plan = {
  readonly fromMs: number;
  readonly toMs: number;
  /** Decided at or below this watermark: before the range. */
  readonly decidedAfterMs: number;
  /** The draft, or the set in force at the end of the range. */
  readonly ruleSet: RuleSetCompiled;
  /** All sets that were in force, by id; one unless the rules changed. */
  readonly ruleSets: ReadonlyMap<string, RuleSetCompiled>;
  readonly rulesLog: RulesLog;
  readonly parts: readonly IntakePart[];
};

/**
 * `tracehound replay`: the events of a range of the log once more through the engine, apart from everything live: no state
 * store, no notices. Exit code 0; with `--diff-live` 1 when a final alert differs from `security.alerts` (E2).
 */
export async function runReplay(flags: ReplayFlags, context: ReplayContext): Promise<number> {
  const plan = await planOf(flags, context);
  if (flags.dryRun) {
    context.terminal.out(renderEstimate(plan.parts));
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
  const onFinal = (final: ReplayedFinal): void => {
    if (isOfAnyRule(flags.rule, plan, final.projection.rule)) finals.push(final);
  };
  const shared = {
    rulesLog: plan.rulesLog,
    codec: context.codec,
    sources: plan.parts.length,
    ...(flags.org === undefined ? {} : { organization: flags.org }),
    onFinal,
  };
  const hasSwitch = plan.ruleSets.size > 1;
  const run = hasSwitch
    ? createSwitchingRun({ ...shared, ruleSets: plan.ruleSets })
    : createReplayRun({
        ...shared,
        ruleSet: plan.ruleSet,
        ...(flags.trace === undefined ? {} : { traceId: flags.trace }),
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
  await readAll(plan, run, { ...context, flush: writer.flush });
  if (isTimeline) context.terminal.out(renderTimeline(trace, told, run.open().filter(isTold)));
  else if (!flags.diffLive) await writer.end();
  for (const note of summary(run)) context.terminal.note(note);
  return flags.diffLive ? tellDiff(await settledDiff(finals, run, { plan, flags, context }), flags, context) : 0;
}

async function planOf(flags: ReplayFlags, context: ReplayContext): Promise<Plan> {
  const fromMs = timeOption('--from', flags.from) ?? Number.NEGATIVE_INFINITY;
  const toMs = timeOption('--to', flags.to) ?? Number.POSITIVE_INFINITY;
  if (fromMs >= toMs) throw new UsageError('--from must lie before --to');
  const rulesLog = await readRulesLog(context);
  const inForce = rulesLog.within(fromMs, Math.min(toMs, context.now()));
  const ruleSets = await ruleSetsOf(flags, inForce, context);
  const ruleSet = [...ruleSets.values()].at(-1) as RuleSetCompiled; // There is one at least.
  const { lateness_ms, clock_allowance_ms } = rulesLog.at(fromMs);
  const decidedAfterMs = fromMs - lateness_ms - clock_allowance_ms;
  const topics = SOURCE_TOPICS.map((name) => namespacedTopic(context.namespace, name));
  const leads = [...ruleSets.values()].map((set) => leadFromMs(set, decidedAfterMs));
  const range = { fromMs: Math.min(fromMs, ...leads), toMs };
  const parts = await findIntake(context, topics, range);
  return { fromMs, toMs, decidedAfterMs, ruleSet, ruleSets, rulesLog, parts };
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

/** Events from here on can still matter to what is decided above the watermark (X12). */
function leadFromMs({ correlations }: RuleSetCompiled, watermarkMs: number): number {
  if (watermarkMs === Number.NEGATIVE_INFINITY) return watermarkMs;
  const spans = correlations.map(({ definition }) => rebuildFromMs(watermarkMs, definition.spanMs));
  return Math.min(watermarkMs, ...spans);
}

async function readAll(
  plan: Plan,
  run: ReplayRun,
  context: ReplayContext & { readonly flush: () => Promise<void> },
): Promise<void> {
  const total = Number(plan.parts.reduce((sum, { from, until }) => sum + (until - from), 0n));
  const until = context.now() + PATIENCE_MS;
  for await (const intake of readIntake(context.kafka, plan.parts, plan.toMs)) {
    await patiently(until, () => run.take(intake));
    if (run.counters.records % ASKED_EVERY !== 0) continue;
    context.onProgress({ done: run.counters.records, total });
    await context.flush();
  }
  context.onProgress({ done: total, total });
}

/** The services may be some way behind the end of the log: what is missing is looked for until it is there. */
async function settledDiff(
  finals: readonly ReplayedFinal[],
  run: ReplayRun,
  { plan, flags, context }: { readonly plan: Plan; readonly flags: ReplayFlags; readonly context: ReplayContext },
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
    if (diff.missing.length === 0 || flags.rules !== undefined || context.now() > until) return diff;
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

function summary({ counters, watermarkMs }: ReplayRun): string[] {
  const { records, events, late, undecodable } = counters;
  const decided = Number.isFinite(watermarkMs)
    ? `decided up to ${new Date(watermarkMs).toISOString()}`
    : watermarkMs > 0
      ? 'decided to the end: the input is closed'
      : 'nothing decided: a partition of the intake has no record yet';
  const notes = [`${counted(records, 'record')}, ${counted(events, 'event')}; ${decided}`];
  if (late > 0) notes.push(`${counted(late, 'event')} came too late: they are on security.late and take no part`);
  if (undecodable > 0) notes.push(`${counted(undecodable, 'record')} no events: they are in the dead letters`);
  return notes;
}

function isOfRule(wanted: string | undefined, ruleSet: RuleSetCompiled, ruleId: string): boolean {
  if (wanted === undefined || wanted === ruleId) return true;
  return [...ruleSet.detections, ...ruleSet.correlations].some(
    ({ description }) => description.rule_id === ruleId && description.title === wanted,
  );
}
