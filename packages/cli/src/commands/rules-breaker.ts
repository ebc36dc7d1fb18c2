import { randomUUID } from 'node:crypto';
import { approve, type RuleActivation } from '@tracehound/event-model';
import { readActivations, readApproverKey } from '../deployment/approvals.ts';
import { columns } from '../render/columns.ts';
import { counted } from '../render/counted.ts';
import { readRulesLog } from '../replay/rules-log.ts';
import { UsageError } from '../usage-error.ts';
import { announcedAfter, NOTICE_MS, ruleTopics, writeActivation } from './rules.ts';
import type { RulesLive } from './rules-live.ts';

type Breaker = RuleActivation['breakers'][number];

/** `tracehound rules breaker list`: correlations that take no matches of an organization, and detections not asked about its events, now or soon. */
export async function runBreakerList(
  { format }: { readonly format: 'table' | 'json' },
  live: RulesLive,
): Promise<number> {
  const standing = standingBreakers(await latestActivation(live), live.now());
  if (format === 'json') live.terminal.out(JSON.stringify(standing.map(shown)));
  else if (standing.length === 0) live.terminal.out('no rule is tripped');
  else {
    const rows = standing
      .map(shown)
      .map(({ organization_id, rule_id, from, until }) => [organization_id, rule_id, from, until]);
    live.terminal.out(columns(['ORGANIZATION', 'RULE', 'FROM', 'UNTIL'], rows));
  }
  return 0;
}

/**
 * `tracehound rules breaker clear [--org] [--rule]`: takes matches again some seconds later, without waiting for the breaker to
 * run out. Exit code 1 when another activation came in between: then nothing has changed.
 */
export async function runBreakerClear(
  {
    org,
    rule,
    key,
    format,
  }: {
    readonly org?: string;
    readonly rule?: string;
    readonly key?: readonly string[];
    readonly format: 'table' | 'json';
  },
  live: RulesLive,
): Promise<number> {
  const latest = await latestActivation(live);
  const isCleared = (one: Breaker): boolean =>
    (org === undefined || one.organization_id === org) && (rule === undefined || one.rule_id === rule);
  const cleared = standingBreakers(latest, live.now()).filter(isCleared);
  if (cleared.length === 0) throw new UsageError('no such breaker stands; see rules breaker list');
  const nowMs = live.now();
  const log = await readRulesLog(live);
  const fromMs = nowMs + NOTICE_MS;
  let basedOn = latest.activation_id;
  // In what is in force and in what is announced, which keeps its time.
  const activations = [fromMs, ...announcedAfter(log.all, fromMs)].map((effective_at): RuleActivation => {
    const activation_id = randomUUID();
    const copy = {
      ...log.at(effective_at),
      activation_id,
      effective_at,
      created_at: nowMs,
      principal: live.principal,
      reason: `cleared ${counted(cleared.length, 'breaker')}`,
      breakers: latest.breakers.filter((one) => !isCleared(one)),
      based_on: basedOn,
    };
    basedOn = activation_id;
    return copy;
  });
  const { activations: topic } = ruleTopics(live.namespace);
  await live.codec.prepare(['tracehound.pipeline.v1.RuleActivation']);
  const producer = await live.kafka.producer();
  try {
    for (const activation of activations) {
      const approvals = (key ?? []).map((text) => approve(activation, readApproverKey(text)));
      await writeActivation(producer, topic, { codec: live.codec, activation, approvals });
    }
  } finally {
    await producer.close();
  }
  const known = new Set((await readActivations({ ...live, topic })).map(({ activation_id }) => activation_id));
  if (!activations.every(({ activation_id }) => known.has(activation_id))) {
    live.terminal.note('another activation came in between: nothing has changed; try again');
    return 1;
  }
  const effectiveAt = new Date(fromMs).toISOString();
  if (format === 'json') live.terminal.out(JSON.stringify({ cleared: cleared.map(shown), effective_at: effectiveAt }));
  else live.terminal.out(`${counted(cleared.length, 'breaker')} cleared from ${effectiveAt} on`);
  return 0;
}

function shown({ organization_id, rule_id, from, until }: Breaker) {
  return {
    organization_id,
    rule_id,
    from: new Date(from).toISOString(),
    until: new Date(until).toISOString(),
  };
}

function standingBreakers({ breakers }: RuleActivation, nowMs: number): readonly Breaker[] {
  return breakers.filter(({ until }) => until > nowMs);
}

async function latestActivation(live: RulesLive): Promise<RuleActivation> {
  const latest = (await readActivations({ ...live, topic: ruleTopics(live.namespace).activations })).at(-1);
  if (latest === undefined) throw new UsageError('no rules were ever activated here');
  return latest;
}
