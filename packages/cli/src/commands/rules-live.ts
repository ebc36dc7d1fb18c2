import type { AvroCodec } from '@tracehound/avro';
import { approve, approvedBy, isApproved, isBreakerSigned, type RuleActivation } from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import {
  type CorrelationRule,
  type DetectionRule,
  exceptionJson,
  exceptionText,
  loadRuleSet,
  type RuleSetCompiled,
  SigmaError,
} from '@tracehound/sigma';
import {
  type ApproverKey,
  policyFromEnvironment,
  readActivationRecords,
  readActivations,
  readApproverKey,
} from '../deployment/approvals.ts';
import { passCostGate } from '../deployment/cost-gate.ts';
import { expiredProblems } from '../deployment/exceptions.ts';
import { liveProblems } from '../deployment/live-rules.ts';
import { parseLimits } from '../deployment/state-limits.ts';
import { isWarmingUp, warmUpOf } from '../deployment/warm-up.ts';
import { parseDuration } from '../events/duration.ts';
import { readRuleFiles } from '../events/load-rules.ts';
import { columns } from '../render/columns.ts';
import { counted } from '../render/counted.ts';
import { type RulesLog, readRuleSet, readRulesLog } from '../replay/rules-log.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';
import { NOTICE_MS, publishRuleSet, ruleTopics, writeActivation } from './rules.ts';

/** A deployment's rule topics, and where to speak. */
export type RulesLive = {
  readonly kafka: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: AvroCodec;
  readonly namespace: string;
  /** Topics that mirror those of other deployments; as they are unless told. */
  readonly mirrored?: readonly string[] | undefined;
  readonly terminal: Pick<Terminal, 'out' | 'note'>;
  /** Who does it: kept with the activation. */
  readonly principal: string;
  /** The present, ms. */
  readonly now: () => number;
};

type Format = 'table' | 'json';

/** What a set has that another has not. Rules are known by their uid; the semantic hash says whether the meaning changed. */
export type RulesDiff = {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Other logic: a correlation begins with empty windows. */
  readonly changed: readonly string[];
  /** Other words only: titles, levels, guides; windows go on. */
  readonly reworded: readonly string[];
};

export function diffRules(before: RuleSetCompiled | null, after: RuleSetCompiled): RulesDiff {
  const old = rulesOf(before);
  const fresh = rulesOf(after);
  const both = [...fresh].flatMap(([uid, rule]) => {
    const known = old.get(uid);
    return known ? [{ uid, rule, known }] : [];
  });
  const isSame = (a: RuleOf, b: RuleOf): boolean => a.description.semantic_hash === b.description.semantic_hash;
  return {
    added: [...fresh.keys()].filter((uid) => !old.has(uid)).map((uid) => nameOf(fresh, uid)),
    removed: [...old.keys()].filter((uid) => !fresh.has(uid)).map((uid) => nameOf(old, uid)),
    changed: both.filter(({ rule, known }) => !isSame(rule, known)).map(({ uid }) => nameOf(fresh, uid)),
    reworded: both
      .filter(({ rule, known }) => isSame(rule, known) && words(rule) !== words(known))
      .map(({ uid }) => nameOf(fresh, uid)),
  };
}

/** `74 + 12`, how many correlations are others in some organization, and how many warm up. */
function countsOf(detections: readonly DetectionRule[], correlations: readonly CorrelationRule[]): string {
  const forms = correlations.filter(({ override }) => override !== null).length;
  const warming = correlations.filter(({ override, isWarming }) => override === null && isWarming).length;
  return [
    `${detections.length} + ${correlations.length - forms - warming}`,
    ...(forms === 0 ? [] : [`${forms} overridden`]),
    ...(warming === 0 ? [] : [`${warming} warming up`]),
  ].join(', ');
}

type RuleOf = DetectionRule | CorrelationRule;

function rulesOf(set: RuleSetCompiled | null): ReadonlyMap<string, RuleOf> {
  return new Map(
    [...(set?.detections ?? []), ...(set?.correlations ?? [])].flatMap((rule) =>
      'isWarming' in rule && rule.isWarming ? [] : [[keyOf(rule), rule] as const],
    ),
  );
}

/** A rule is known by its uid; its form in an organization by both. */
function keyOf(rule: RuleOf): string {
  const organization = 'override' in rule ? rule.override?.organization : undefined;
  return organization === undefined
    ? rule.description.rule_id
    : JSON.stringify([rule.description.rule_id, organization]);
}

function nameOf(rules: ReadonlyMap<string, RuleOf>, key: string): string {
  const rule = rules.get(key);
  if (rule === undefined) return key;
  const organization = 'override' in rule ? rule.override?.organization : undefined;
  return organization === undefined ? rule.description.title : `${rule.description.title}, in ${organization}`;
}

function words({ description, falsePositives, references, triage }: RuleOf): string {
  return JSON.stringify([{ ...description, ruleset_id: '' }, falsePositives, references, triage]);
}

/**
 * `tracehound rules apply PATH...`: the set takes effect some seconds later, at one append time for all (X7). Exit code 0, also
 * when it was in force already; a set that cannot run is refused with every problem, and the old one stays.
 */
export async function runRulesApply(
  {
    paths,
    lateness,
    limit = [],
    force,
    reason,
    key,
    warmUp,
    format,
  }: {
    readonly paths: readonly string[];
    readonly lateness?: string;
    /** `<name>=<number>` each. */
    readonly limit?: readonly string[];
    /** Reason to pass over the cost gate; kept with the activation. */
    readonly force?: string;
    /** Why; kept with the activation. */
    readonly reason?: string;
    /** `KEY_ID=FILE`: signs it. */
    readonly key?: readonly string[];
    /** Correlations that change run beside the ones in force until their windows are full: `auto`, or for so long. */
    readonly warmUp?: string;
    readonly format: Format;
  },
  live: RulesLive,
): Promise<number> {
  const files = readRuleFiles(paths);
  const after = loadRuleSet(files);
  const problems = liveProblems(after);
  if (problems.length > 0) throw new SigmaError(problems);
  const expired = expiredProblems(after.exceptions, live.now());
  if (expired.length > 0) throw new UsageError(expired.join('\n'));
  const limits = parseLimits(limit);
  await passCostGate(after, live, force);
  const latest = await latestActivation(live);
  const before = latest === null ? null : await readRuleSet(live, latest.ruleset_id);
  // What nobody says stays: a set applied without --lateness must not change when events are late.
  const latenessMs = lateness === undefined ? latest?.lateness_ms : parseDuration(lateness, '--lateness');
  const lateAfter = latenessMs === undefined ? {} : { latenessMs };
  const common = { ...live, limits, keys: keysOf(key), ...lateAfter };
  const inForce = warmUp === undefined || latest === null ? null : (await readRulesLog(live)).at(live.now());
  const warming = inForce === null ? null : warmUpOf(await readRuleSet(live, inForce.ruleset_id), after);
  let cutOver: { readonly effectiveAtMs?: number } = {};
  if (warming !== null) {
    const durationMs = warmUp === 'auto' ? warming.durationMs : parseDuration(warmUp ?? '', '--warm-up');
    const what = `warm-up of ${warming.rules.join(', ')}`;
    const first = await publishRuleSet({ ...common, files: warming.files, reason: what });
    cutOver = { effectiveAtMs: first.effectiveAtMs + durationMs };
    live.terminal.note(`${what}: on trial from ${new Date(first.effectiveAtMs).toISOString()} on (security.shadow)`);
  } else if (warmUp !== undefined) live.terminal.note('no correlation changes its meaning: nothing to warm up');
  const published = await publishRuleSet({ ...common, files, reason: reason ?? force ?? null, ...cutOver });
  tellPublished(published, diffRules(before, after), { format, live });
  return 0;
}

function keysOf(texts: readonly string[] = []): readonly ApproverKey[] {
  return texts.map(readApproverKey);
}

/**
 * `tracehound rules approve [ACTIVATION] --key KEY_ID=FILE`: a further signature under what waits for one. The rules take effect some
 * seconds after the last signature that is needed. Exit code 0; 1 when still more are needed.
 */
export async function runRulesApprove(
  {
    activation,
    key,
    format,
  }: { readonly activation?: string; readonly key: readonly string[]; readonly format: Format },
  live: RulesLive,
): Promise<number> {
  const topic = ruleTopics(live.namespace).activations;
  const records = await readActivationRecords({ ...live, topic });
  const policy = policyFromEnvironment();
  // What a breaker key signed counts by itself or never.
  const waiting = records.filter(
    ({ activation: one, approvals }) => !isApproved(one, approvals, policy) && !isBreakerSigned(one, approvals, policy),
  );
  const found =
    activation === undefined
      ? waiting.at(-1)
      : records.findLast((one) => one.activation.activation_id.startsWith(activation));
  if (found === undefined) throw new UsageError('no activation waits for an approval; see rules status --history');
  const held = await readActivations({ ...live, topic });
  if (held.some(({ activation_id }) => activation_id === found.activation.activation_id)) {
    throw new UsageError('that activation is approved already');
  }
  const nowMs = live.now();
  const renewed: RuleActivation = { ...found.activation, effective_at: held.length === 0 ? 0 : nowMs + NOTICE_MS };
  const known = new Map(found.approvals.map((approval) => [approval.key_id, approval]));
  for (const one of keysOf(key)) known.set(one.keyId, approve(renewed, one));
  const approvals = [...known.values()];
  await live.codec.prepare(['tracehound.pipeline.v1.RuleActivation']);
  const producer = await live.kafka.producer();
  try {
    await writeActivation(producer, topic, { codec: live.codec, activation: renewed, approvals });
  } finally {
    await producer.close();
  }
  const names = policy === null ? [...known.keys()] : approvedBy(renewed, approvals, policy);
  const isDone = isApproved(renewed, approvals, policy);
  const set = renewed.ruleset_id.slice(0, 12);
  if (format === 'json')
    live.terminal.out(
      JSON.stringify({
        activation_id: renewed.activation_id,
        ruleset_id: renewed.ruleset_id,
        approved_by: names,
        approved: isDone,
      }),
    );
  else if (isDone)
    live.terminal.out(
      `set ${set} is approved by ${names.join(' and ')} and takes effect in ${Math.ceil(NOTICE_MS / 1_000)} seconds`,
    );
  else
    live.terminal.out(
      `set ${set} is approved by ${names.join(' and ') || 'nobody the keys file knows'}; ${policy?.approvals ?? 1} are needed`,
    );
  return isDone ? 0 : 1;
}

/** `tracehound rules diff PATH...`: exit code 1 when the files differ from what takes effect last. */
export async function runRulesDiff(
  { paths, format }: { readonly paths: readonly string[]; readonly format: Format },
  live: RulesLive,
): Promise<number> {
  const after = loadRuleSet(readRuleFiles(paths));
  const latest = await latestActivation(live);
  const before = latest === null ? null : await readRuleSet(live, latest.ruleset_id);
  const diff = diffRules(before, after);
  if (format === 'json')
    live.terminal.out(JSON.stringify({ before: before?.rulesetId ?? null, after: after.rulesetId, ...diff }));
  else live.terminal.out(diffText(diff));
  return isEmpty(diff) ? 0 : 1;
}

/** `tracehound rules rollback [--to ID]`: the set before the present one, or a named one, takes effect again. */
export async function runRulesRollback(
  {
    to,
    format,
    reason,
    key,
  }: {
    readonly to?: string;
    readonly format: Format;
    readonly reason?: string;
    readonly key?: readonly string[];
  },
  live: RulesLive,
): Promise<number> {
  const known = await activationsOf(live);
  const latest = known.at(-1);
  if (latest === undefined) throw new UsageError('no rules were ever activated here');
  const ids = [...new Set(known.map(({ ruleset_id }) => ruleset_id))];
  const target = to === undefined ? await setBefore(latest, known, live) : ids.find((id) => id.startsWith(to));
  if (target === undefined)
    throw new UsageError(
      to === undefined ? 'there was no other set before' : `--to ${to}: no such set; see rules status --history`,
    );
  const before = await readRuleSet(live, latest.ruleset_id);
  const set = await readRuleSet(live, target);
  const published = await publishRuleSet({
    ...live,
    files: set.files,
    latenessMs: latest.lateness_ms,
    keys: keysOf(key),
    reason: reason ?? 'rollback',
  });
  tellPublished(published, diffRules(before, set), { format, live });
  // Going back is for emergencies and must not be refused; but what had ended is in force again.
  for (const problem of expiredProblems(set.exceptions, live.now())) live.terminal.note(problem);
  return 0;
}

/** The last other set that was to stay: not one that only led from one to another. */
async function setBefore(
  latest: RuleActivation,
  known: readonly RuleActivation[],
  live: RulesLive,
): Promise<string | undefined> {
  for (const { ruleset_id } of known.toReversed()) {
    if (ruleset_id !== latest.ruleset_id && !isWarmingUp(await readRuleSet(live, ruleset_id))) return ruleset_id;
  }
  return undefined;
}

/** `tracehound rules status [--history]`: what is in force, and what is announced. */
export async function runRulesStatus(
  { history, format }: { readonly history?: true; readonly format: Format },
  live: RulesLive,
): Promise<number> {
  const log = await readRulesLog(live);
  const nowMs = live.now();
  const shown = await Promise.all(
    (history ? log.all : log.within(nowMs, Number.POSITIVE_INFINITY)).map(async (activation) => {
      const set = await readRuleSet(live, activation.ruleset_id);
      const row = {
        ruleset_id: activation.ruleset_id,
        state: stateOf(activation, log, nowMs),
        effective_at: activation.effective_at === 0 ? null : new Date(activation.effective_at).toISOString(),
        lateness_ms: activation.lateness_ms,
        principal: activation.principal,
        created_at: new Date(activation.created_at).toISOString(),
        exceptions: set.exceptions.map(exceptionJson),
      };
      return { set, row };
    }),
  );
  if (format === 'json') {
    live.terminal.out(JSON.stringify(shown.map(({ row }) => row)));
    return 0;
  }
  const rows = shown.map(({ set, row }) => [
    row.ruleset_id.slice(0, 12),
    row.state,
    row.effective_at ?? 'from the beginning',
    countsOf(set.detections, set.correlations),
    `${row.lateness_ms / 1_000} s`,
    row.principal,
    row.created_at,
  ]);
  const headings = ['SET', 'STATE', 'EFFECTIVE', 'DETECTIONS + CORRELATIONS', 'LATENESS', 'BY', 'WRITTEN'];
  live.terminal.out(columns(headings, rows));
  // Of past sets they are history: the JSON form has them.
  for (const { set, row } of shown.filter((one) => one.row.state !== 'past')) {
    for (const one of set.exceptions) {
      live.terminal.out(`${row.ruleset_id.slice(0, 12)} ${row.state}: ${exceptionText(one, nowMs)}`);
    }
  }
  return 0;
}

function stateOf(activation: RuleActivation, log: RulesLog, nowMs: number): 'in force' | 'announced' | 'past' {
  if (log.at(nowMs) === activation) return 'in force';
  return activation.effective_at > nowMs ? 'announced' : 'past';
}

function activationsOf(live: RulesLive): Promise<readonly RuleActivation[]> {
  return readActivations({ ...live, topic: ruleTopics(live.namespace).activations });
}

/** The one that was written last: it takes effect last. */
async function latestActivation(live: RulesLive): Promise<RuleActivation | null> {
  return (await activationsOf(live)).at(-1) ?? null;
}

function tellPublished(
  { rulesetId, effectiveAtMs, changed }: Awaited<ReturnType<typeof publishRuleSet>>,
  diff: RulesDiff,
  { format, live }: { readonly format: Format; readonly live: RulesLive },
): void {
  if (format === 'json') {
    const effective_at = new Date(effectiveAtMs).toISOString();
    live.terminal.out(JSON.stringify({ ruleset_id: rulesetId, published: changed, effective_at, ...diff }));
    return;
  }
  if (!changed) {
    live.terminal.out(`set ${rulesetId.slice(0, 12)} is what was applied last: nothing was written`);
    return;
  }
  if (!isEmpty(diff)) live.terminal.out(diffText(diff));
  const seconds = Math.max(0, Math.ceil((effectiveAtMs - live.now()) / 1_000));
  live.terminal.out(
    `set ${rulesetId.slice(0, 12)} takes effect at ${new Date(effectiveAtMs).toISOString()}, in ${counted(seconds, 'second')}`,
  );
}

function isEmpty(diff: RulesDiff): boolean {
  return Object.values(diff).every((names) => names.length === 0);
}

const MARKS = { added: '+', removed: '-', changed: '~', reworded: '"' } as const;

function diffText(diff: RulesDiff): string {
  const lines = (['added', 'removed', 'changed', 'reworded'] as const).flatMap((kind) =>
    diff[kind].map((name) => `${MARKS[kind]} ${name}`),
  );
  const { added, removed, changed, reworded } = diff;
  lines.push(
    `${counted(added.length, 'rule')} added, ${removed.length} removed, ${changed.length} changed, ${reworded.length} only in words`,
  );
  return lines.join('\n');
}
