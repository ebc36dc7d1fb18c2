import type { AvroCodec } from '@tracehound/avro';
import type { RuleActivation } from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import { loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import { ruleTopics } from '../commands/rules.ts';
import { readActivations } from '../deployment/approvals.ts';
import { UsageError } from '../usage-error.ts';

type Source = {
  readonly kafka: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: Pick<AvroCodec, 'decode'>;
  readonly namespace: string;
};

/** Activations by the time they take effect (X7). */
export type RulesLog = {
  /** The one in force at an append time. */
  at(appendTimeMs: number): RuleActivation;
  /** In order of the times they take effect. */
  readonly all: readonly RuleActivation[];
  /** The one published last. */
  readonly latest: RuleActivation;
  /** Those in force at some time in `[fromMs, toMs]`, in order. */
  within(fromMs: number, toMs: number): readonly RuleActivation[];
};

/** @throws UsageError when nothing was ever activated: then nothing was ever detected. */
export async function readRulesLog(source: Source): Promise<RulesLog> {
  const known = await readActivations({ ...source, topic: ruleTopics(source.namespace).activations });
  const [first] = known;
  if (first === undefined)
    throw new UsageError('no rules were ever activated here; publish some, or name a draft with --rules');
  // A sort keeps the order of the log among equals: the later one holds.
  const timeline = [...known].sort((a, b) => a.effective_at - b.effective_at);
  const at = (appendTimeMs: number): RuleActivation =>
    timeline.findLast(({ effective_at }) => effective_at <= appendTimeMs) ?? first;
  return {
    at,
    all: timeline,
    latest: known.at(-1) ?? first,
    within: (fromMs, toMs) => [
      ...new Set([at(fromMs), ...timeline.filter(({ effective_at }) => effective_at > fromMs && effective_at <= toMs)]),
    ],
  };
}

/** The set of that id, as it was published. @throws UsageError when it is no longer there. */
export async function readRuleSet(source: Source, rulesetId: string): Promise<RuleSetCompiled> {
  const topic = ruleTopics(source.namespace).rules;
  for (const { partition, low, high } of await source.admin.offsets(topic)) {
    if (low >= high) continue;
    for await (const record of source.kafka.read({ topic, partition }, { from: low, until: high })) {
      if (record.value === null) continue;
      const decoded = await source.codec.decode(record.value);
      if (decoded.name === 'tracehound.pipeline.v1.RuleSet' && decoded.value.ruleset_id === rulesetId)
        return loadRuleSet(decoded.value.files);
    }
  }
  throw new UsageError(`the rule set ${rulesetId} is no longer on ${topic}; name the rules with --rules`);
}
