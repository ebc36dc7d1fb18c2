import { randomUUID } from 'node:crypto';
import type { AvroCodec } from '@tracehound/avro';
import { ACTIVATION_LIMITS, type ActivationLimits } from '@tracehound/correlation';
import {
  APPROVALS_HEADER,
  approve,
  intakeTopicNames,
  namespacedTopic,
  type RuleActivation,
  TracehoundError,
} from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient, KafkaProducer } from '@tracehound/kafka';
import { loadRuleSet, type RuleFile, SigmaError } from '@tracehound/sigma';
import { type ActivationRecord, type ApproverKey, readActivations } from '../deployment/approvals.ts';
import { liveProblems } from '../deployment/live-rules.ts';
import { limitsOf, sameLimits } from '../deployment/state-limits.ts';

/**
 * Protocol: an activation takes effect at least 5 s after its own append time (X7). The rest is slack for the way to
 * the broker and its clock.
 */
export const NOTICE_MS = 8_000;

/** Broker clocks of one cluster stay within this of each other (X4); above 2 s the correlator could not keep X7. */
const CLOCK_ALLOWANCE_MS = 1_000;

export type PublishRuleSetOptions = {
  readonly kafka: KafkaClient;
  readonly codec: AvroCodec;
  /** Prefix of the topic names; empty by default. */
  readonly namespace?: string;
  readonly files: readonly RuleFile[];
  /** Allowed lateness L in ms (X3); 2 min unless told. */
  readonly latenessMs?: number;
  /** Limits of state per partition (X14) that are to be others than those of the latest activation. */
  readonly limits?: Partial<ActivationLimits>;
  /** Topics that mirror intake topics of other deployments; those of the latest activation unless told. */
  readonly mirrored?: readonly string[] | undefined;
  /** Source list; default: every partition of the intake topics and of those that mirror others. */
  readonly sources?: RuleActivation['sources'];
  /** Append time from which the activation holds, ms; default: 0 for the first one, else the notice from now on. */
  readonly effectiveAtMs?: number;
  readonly principal: string;
  /** Sign the activation; default nobody. */
  readonly keys?: readonly ApproverKey[];
  /** Kept with the activation. */
  readonly reason?: string | null;
  /** Broker clock; default `Date.now`. */
  readonly now?: () => number;
};

export type PublishedRuleSet = {
  readonly rulesetId: string;
  readonly activationId: string;
  readonly effectiveAtMs: number;
  /** False when exactly this was in force or announced already: nothing was written. */
  readonly changed: boolean;
};

const LATENESS_MS_DEFAULT = 120_000;

/**
 * Compiles the files, writes the set under its content hash to `detection.rules` (unless it is there) and an
 * activation to `detection.activations`. Idempotent: the same files, lateness and sources as the latest activation
 * write nothing.
 * @throws SigmaError for a set that does not load, or holds rules that could not be rebuilt (`liveProblems`);
 *   nothing is written then.
 */
export async function publishRuleSet(options: PublishRuleSetOptions): Promise<PublishedRuleSet> {
  const { kafka, codec } = options;
  const rules = loadRuleSet(options.files);
  const problems = liveProblems(rules);
  if (problems.length > 0) throw new SigmaError(problems);
  const topics = ruleTopics(options.namespace ?? '');
  await codec.prepare(['tracehound.pipeline.v1.RuleSet', 'tracehound.pipeline.v1.RuleActivation']);
  const admin = await kafka.admin();
  const producer = await kafka.producer();
  try {
    const known = await readActivations({ kafka, codec, admin, topic: topics.activations });
    const latest = known.at(-1);
    const intake = sourceTopics(options.namespace ?? '', { mirrored: options.mirrored, latest });
    const sources = options.sources ?? (await allSources(admin, intake));
    const matches = await matchesOf(admin, options.namespace ?? '');
    const latenessMs = options.latenessMs ?? LATENESS_MS_DEFAULT;
    refuseGrowth(latest, matches);
    const limits = { ...(latest === undefined ? ACTIVATION_LIMITS : limitsOf(latest)), ...options.limits };
    const isSame =
      latest !== undefined &&
      latest.ruleset_id === rules.rulesetId &&
      latest.lateness_ms === latenessMs &&
      latest.matches_topic_id === matches.matches_topic_id &&
      sameLimits(latest, limits) &&
      sameSources(latest.sources, sources);
    if (isSame && options.effectiveAtMs === undefined) {
      const { activation_id: activationId, effective_at: effectiveAtMs } = latest;
      return { rulesetId: rules.rulesetId, activationId, effectiveAtMs, changed: false };
    }
    const nowMs = (options.now ?? Date.now)();
    if (!known.some((activation) => activation.ruleset_id === rules.rulesetId)) {
      const value = codec.encode('tracehound.pipeline.v1.RuleSet', {
        schema_rev: 1,
        ruleset_id: rules.rulesetId,
        files: rules.files.map(({ path, content }) => ({ path, content })),
        created_at: nowMs,
        principal: options.principal,
      });
      await write(producer, topics.rules, { key: rules.rulesetId, value });
    }
    const activation: RuleActivation = {
      schema_rev: 1,
      activation_id: randomUUID(),
      ruleset_id: rules.rulesetId,
      lateness_ms: latenessMs,
      clock_allowance_ms: CLOCK_ALLOWANCE_MS,
      sources_version: sourcesVersion(known, sources),
      sources,
      effective_at: options.effectiveAtMs ?? (latest === undefined ? 0 : nowMs + NOTICE_MS),
      created_at: nowMs,
      principal: options.principal,
      ...limits,
      reason: options.reason ?? null,
      // Another set does not end a flood.
      breakers: latest?.breakers ?? [],
      based_on: null,
      ...matches,
    };
    const announcedMs = options.effectiveAtMs === undefined ? announcedAfter(known, activation.effective_at) : [];
    for (const effective_at of [activation.effective_at, ...announcedMs]) {
      const one = effective_at === activation.effective_at ? activation : { ...activation, ...anew(effective_at) };
      const approvals = (options.keys ?? []).map((key) => approve(one, key));
      await writeActivation(producer, topics.activations, { codec, activation: one, approvals });
    }
    return {
      rulesetId: rules.rulesetId,
      activationId: activation.activation_id,
      effectiveAtMs: activation.effective_at,
      changed: true,
    };
  } finally {
    await producer.close();
    await admin.close();
  }
}

/** Times at which other sets are still to take effect: what is applied now takes their places too (X7: the later record holds). */
export function announcedAfter(known: readonly RuleActivation[], effectiveAtMs: number): readonly number[] {
  const later = known.map(({ effective_at }) => effective_at).filter((at) => at > effectiveAtMs);
  return [...new Set(later)].sort((a, b) => a - b);
}

function anew(effective_at: number): Pick<RuleActivation, 'activation_id' | 'effective_at'> {
  return { activation_id: randomUUID(), effective_at };
}

/** Names of the two topics rules live on. */
export function ruleTopics(namespace: string): { readonly rules: string; readonly activations: string } {
  return {
    rules: namespacedTopic(namespace, 'detection.rules'),
    activations: namespacedTopic(namespace, 'detection.activations'),
  };
}

/**
 * Topics that events are read from: the deployment's own, and those that mirror others. Which ones these are stands in the
 * activations; a command that does not say leaves them as they are.
 */
export function sourceTopics(
  namespace: string,
  said: { readonly mirrored?: readonly string[] | undefined; readonly latest: RuleActivation | undefined },
): readonly string[] {
  const own = intakeTopicNames(namespace, []);
  const listed = (said.latest?.sources ?? []).map(({ topic }) => topic).filter((topic) => !own.includes(topic));
  return intakeTopicNames(namespace, said.mirrored ?? listed);
}

/** Every partition of the topics by topic id, each counting from the start. */
async function allSources(admin: KafkaAdmin, topics: readonly string[]): Promise<RuleActivation['sources']> {
  const ids = await admin.topicIds(topics);
  const sources: RuleActivation['sources'][number][] = [];
  for (const topic of topics) {
    const topicId = ids.get(topic);
    if (topicId === undefined) throw missingTopic(topic);
    const count = await admin.partitionCount(topic);
    for (let partition = 0; partition < count; partition++) {
      sources.push({ topic, topic_id: topicId, partition, effective_at: 0 });
    }
  }
  return sources;
}

type MatchesTopic = Pick<RuleActivation, 'matches_topic_id' | 'matches_partitions'>;

async function matchesOf(admin: KafkaAdmin, namespace: string): Promise<MatchesTopic> {
  const topic = namespacedTopic(namespace, 'security.matches');
  const id = (await admin.topicIds([topic])).get(topic);
  if (id === undefined) throw missingTopic(topic);
  return { matches_topic_id: id, matches_partitions: await admin.partitionCount(topic) };
}

/** Windows are spread over the partitions of this topic by their number: with one more, events of one would go to two owners. */
function refuseGrowth(latest: MatchesTopic | undefined, now: MatchesTopic): void {
  if (latest === undefined || latest.matches_topic_id !== now.matches_topic_id) return;
  if (latest.matches_partitions === now.matches_partitions) return;
  throw new TracehoundError(
    `security.matches has grown from ${latest.matches_partitions} to ${now.matches_partitions} partitions: stop the correlators, delete the topic, run \`tracehound topics apply\`, then apply the rules again`,
    { code: 'SEC_RULES_MATCHES_GROWN', category: 'conflict', retriable: false },
  );
}

function sameSources(a: RuleActivation['sources'], b: RuleActivation['sources']): boolean {
  const keys = (sources: RuleActivation['sources']): string =>
    sources
      .map((source) => `${source.topic_id}/${source.partition}`)
      .sort()
      .join();
  return keys(a) === keys(b);
}

/** The version of an equal list, or the next one: stage B finds the list by its version. */
function sourcesVersion(known: readonly RuleActivation[], sources: RuleActivation['sources']): number {
  const equal = known.findLast((activation) => sameSources(activation.sources, sources));
  const highest = known.reduce((version, activation) => Math.max(version, activation.sources_version), 0);
  // An older list that comes back needs a higher version: stage B only ever moves forward.
  return equal !== undefined && equal.sources_version === highest ? highest : highest + 1;
}

/** Idempotent by activation id: of copies with enough signatures the first holds. */
export async function writeActivation(
  producer: KafkaProducer,
  topic: string,
  { codec, activation, approvals }: ActivationRecord & { readonly codec: Pick<AvroCodec, 'encode'> },
): Promise<void> {
  const value = codec.encode('tracehound.pipeline.v1.RuleActivation', activation);
  const headers = approvals.length === 0 ? {} : { [APPROVALS_HEADER]: JSON.stringify(approvals) };
  await write(producer, topic, { key: activation.ruleset_id, value, headers });
}

async function write(
  producer: KafkaProducer,
  topic: string,
  record: { readonly key: string; readonly value: Buffer; readonly headers?: Readonly<Record<string, string>> },
): Promise<void> {
  const [result] = await producer.send(topic, [record]);
  if (result?.ok !== true) {
    throw new TracehoundError('a rule record was not acknowledged', {
      code: 'SEC_RULES_NOT_ACKNOWLEDGED',
      category: 'dependency',
      retriable: true,
      cause: result?.error,
      fields: { topic },
    });
  }
}

function missingTopic(topic: string): TracehoundError {
  return new TracehoundError('a topic is missing: run `tracehound topics apply`', {
    code: 'SEC_RULES_TOPIC_MISSING',
    category: 'not_found',
    retriable: false,
    fields: { topic },
  });
}
