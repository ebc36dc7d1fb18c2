import { type CorrelationAlert, type DetectionFinding, namespacedTopic, type TopicName } from '@tracehound/event-model';
import type { RuleException, RuleSetCompiled } from '@tracehound/sigma';
import { exceptionJson, exceptionText, hasExpired } from '@tracehound/sigma';
import { readActivations } from '../deployment/approvals.ts';
import { columns } from '../render/columns.ts';
import { counted } from '../render/counted.ts';
import { readRuleSet } from '../replay/rules-log.ts';
import { UsageError } from '../usage-error.ts';
import { ruleTopics } from './rules.ts';
import type { RulesLive } from './rules-live.ts';

/** What a rule of the set in force has done lately, from the topics. */
export type RuleHealth = {
  readonly rule_id: string;
  readonly title: string;
  readonly level: string | null;
  /** `tripped` and `degraded` lose matches now, or did within a day. */
  readonly state: 'live' | 'trial' | 'tripped' | 'degraded';
  readonly last: string | null;
  readonly day: number;
  readonly week: number;
  readonly kept: number;
};

export type RulesHealth = {
  readonly ruleset_id: string;
  readonly rules: readonly RuleHealth[];
  /** Filters and overrides in force. */
  readonly exceptions: readonly RuleException[];
  /** Those that expire within two weeks, or have. */
  readonly expiring: readonly RuleException[];
};

const DAY_MS = 86_400_000;
const SOON_MS = 14 * DAY_MS;

/**
 * `tracehound rules health`: each rule that speaks, when it last did and how often; what is tripped or degraded; filters and
 * overrides in force, the first to end first. Exit code 1 when something loses matches or one of those has expired.
 */
export async function runRulesHealth(
  { format }: { readonly format: 'table' | 'json' },
  live: RulesLive,
): Promise<number> {
  const health = await healthOf(live);
  const nowMs = live.now();
  const isIll =
    health.rules.some(({ state }) => state === 'tripped' || state === 'degraded') ||
    health.exceptions.some((one) => hasExpired(one, nowMs));
  if (format === 'json') {
    const told = { exceptions: health.exceptions.map(exceptionJson), expiring: health.expiring.map(exceptionJson) };
    live.terminal.out(JSON.stringify({ ...health, ...told }));
  } else tell(health, nowMs, live);
  return isIll ? 1 : 0;
}

async function healthOf(live: RulesLive): Promise<RulesHealth> {
  const nowMs = live.now();
  const activations = await readActivations({ ...live, topic: ruleTopics(live.namespace).activations });
  const inForce = activations
    .toSorted((a, b) => a.effective_at - b.effective_at)
    .findLast(({ effective_at }) => effective_at <= nowMs);
  if (inForce === undefined) throw new UsageError('no rules are in force here');
  const set = await readRuleSet(live, inForce.ruleset_id);
  const said = await readSaid(live);
  const tripped = new Set(
    inForce.breakers.filter(({ from, until }) => from <= nowMs && nowMs < until).map(({ rule_id }) => rule_id),
  );
  const rules = speakers(set).map(({ description: { rule_id, title, level, status } }): RuleHealth => {
    const own = said.times.get(rule_id) ?? [];
    const lastMs = own.reduce((latest, at) => Math.max(latest, at), Number.NEGATIVE_INFINITY);
    const isDegraded = nowMs - (said.degradedMs.get(rule_id) ?? Number.NEGATIVE_INFINITY) < DAY_MS;
    const state = tripped.has(rule_id)
      ? 'tripped'
      : isDegraded
        ? 'degraded'
        : status === 'experimental'
          ? 'trial'
          : 'live';
    return {
      ...{ rule_id, title, level, state },
      last: own.length === 0 ? null : new Date(lastMs).toISOString(),
      day: own.filter((at) => nowMs - at < DAY_MS).length,
      week: own.filter((at) => nowMs - at < 7 * DAY_MS).length,
      kept: own.length,
    };
  });
  const order = { tripped: 0, degraded: 1, trial: 2, live: 2 } as const;
  const endOf = ({ expiresMs }: RuleException): number => expiresMs ?? Number.MAX_SAFE_INTEGER;
  const exceptions = set.exceptions.toSorted((a, b) => endOf(a) - endOf(b));
  const expiring = exceptions.filter(({ expiresMs }) => expiresMs !== null && expiresMs - nowMs < SOON_MS);
  return {
    ruleset_id: inForce.ruleset_id,
    rules: rules.sort((a, b) => order[a.state] - order[b.state] || b.week - a.week || (a.title < b.title ? -1 : 1)),
    exceptions,
    expiring,
  };
}

function speakers({ detections, correlations }: RuleSetCompiled) {
  return [
    ...detections.filter(({ emitsFinding }) => emitsFinding),
    ...correlations.filter(({ emitsAlert, override, isWarming }) => emitsAlert && override === null && !isWarming),
  ];
}

type Said = {
  /** Append time of the first record of each alert or finding, by rule. */
  readonly times: ReadonlyMap<string, readonly number[]>;
  /** Latest degraded range, by rule. */
  readonly degradedMs: ReadonlyMap<string, number>;
};

async function readSaid(live: RulesLive): Promise<Said> {
  const times = new Map<string, number[]>();
  const degradedMs = new Map<string, number>();
  const known = new Set<string>();
  const take = (value: CorrelationAlert | DetectionFinding, appendTimeMs: number): void => {
    const { rule_id } = value.rule;
    if ('kind' in value && value.kind === 'DEGRADED') {
      degradedMs.set(rule_id, Math.max(appendTimeMs, degradedMs.get(rule_id) ?? 0));
      return;
    }
    const id = 'alert_id' in value ? value.alert_id : value.detection_id;
    if (known.has(id)) return;
    known.add(id);
    const own = times.get(rule_id) ?? [];
    times.set(rule_id, own);
    own.push(appendTimeMs);
  };
  for (const name of [
    'security.alerts',
    'security.findings',
    'security.shadow',
  ] as const satisfies readonly TopicName[]) {
    const topic = namespacedTopic(live.namespace, name);
    for (const { partition, low, high } of await live.admin.offsets(topic)) {
      if (low >= high) continue;
      for await (const record of live.kafka.read({ topic, partition }, { from: low, until: high })) {
        if (record.value === null) continue;
        const decoded = await live.codec.decode(record.value);
        if (
          decoded.name === 'tracehound.pipeline.v1.CorrelationAlert' ||
          decoded.name === 'tracehound.pipeline.v1.DetectionFinding'
        )
          take(decoded.value, record.appendTimeMs);
      }
    }
  }
  return { times, degradedMs };
}

function tell({ ruleset_id, rules, exceptions }: RulesHealth, nowMs: number, { terminal }: RulesLive): void {
  const rows = rules.map(({ title, level, state, last, day, week, kept }) => [
    title,
    level ?? '',
    state,
    last ?? 'never',
    String(day),
    String(week),
    String(kept),
  ]);
  terminal.out(columns(['RULE', 'LEVEL', 'STATE', 'LAST', '24 H', '7 D', 'KEPT'], rows));
  for (const exception of exceptions) terminal.out(exceptionText(exception, nowMs));
  const silent = rules.filter(({ kept }) => kept === 0).length;
  terminal.note(`set ${ruleset_id.slice(0, 12)}: ${counted(rules.length, 'rule')} that speak, ${silent} never did`);
}
