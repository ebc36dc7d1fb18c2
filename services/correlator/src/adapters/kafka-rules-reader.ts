import type { AvroCodec } from '@tracehound/avro';
import {
  APPROVALS_HEADER,
  type ApprovalPolicy,
  approvalsOf,
  judgeActivation,
  type RuleActivation,
  type RuleSet,
} from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient, KafkaRecord } from '@tracehound/kafka';
import type { TopicNames } from '../config.ts';
import type { BrokerTime } from '../domain/broker-time.ts';
import type { RuleBook } from '../domain/rule-book.ts';
import type { RulesReader } from '../domain/rules-in-force.ts';

export type RulesReaderDeps = {
  readonly client: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: Pick<AvroCodec, 'decode'>;
  readonly topics: TopicNames;
  readonly book: RuleBook;
  readonly brokerTime: Pick<BrokerTime, 'presentMs'>;
  /** Who may put rules into force; null: anybody who may write to the topic. */
  readonly policy: ApprovalPolicy | null;
  /** A record that was passed over: of another kind, not signed as it must be, with too short a notice, or a copy of an older one. */
  readonly onIgnored: (what: { readonly topic: string; readonly offset: bigint; readonly reason: string }) => void;
  readonly onActivation?: (activation: RuleActivation) => void;
};

/**
 * Reads `detection.activations` and `detection.rules` without a group: every instance needs all of them from the
 * beginning. Activations first, so that the sets they name are in the part of the log read afterwards.
 */
export function createRulesReader(deps: RulesReaderDeps): RulesReader {
  const positions = new Map<string, bigint>();

  async function readOn(topic: string, take: (record: KafkaRecord) => Promise<void>): Promise<void> {
    const ranges = await deps.admin.offsets(topic);
    for (const { partition, low, high } of ranges) {
      const key = `${topic}/${partition}`;
      const from = positions.get(key) ?? low;
      if (from >= high) continue;
      for await (const record of deps.client.read({ topic, partition }, { from, until: high })) await take(record);
      positions.set(key, high);
    }
  }

  async function takeActivation(record: KafkaRecord): Promise<void> {
    const activation = await valueOf(record, 'tracehound.pipeline.v1.RuleActivation');
    if (activation === null) return;
    const { appendTimeMs } = record;
    const approvals = approvalsOf(record.headers[APPROVALS_HEADER]);
    const verdict = judgeActivation({ activation, approvals, appendTimeMs }, deps.policy, {
      newest: deps.book.activations.newest?.activation,
      isKnown: (id) => deps.book.activations.byId(id) !== undefined,
      // Looking is not using: the past of the log is judged as it was.
      at: (timeMs) => deps.book.activations.from(timeMs)[0],
    });
    if (verdict === 'duplicate') return;
    if (verdict !== 'approved' && verdict !== 'breaker') {
      deps.onIgnored({ topic: record.topic, offset: record.offset, reason: verdict });
      return;
    }
    const added = deps.book.activations.add(activation, record.appendTimeMs, deps.brokerTime.presentMs);
    if (added === 'accepted') deps.onActivation?.(activation);
    if (added !== 'too_soon' && added !== 'stale') return;
    deps.onIgnored({ topic: record.topic, offset: record.offset, reason: added });
  }

  async function takeRuleSet(record: KafkaRecord): Promise<void> {
    const ruleset = await valueOf(record, 'tracehound.pipeline.v1.RuleSet');
    if (ruleset !== null) deps.book.addRuleSet(ruleset);
  }

  type Values = {
    'tracehound.pipeline.v1.RuleActivation': RuleActivation;
    'tracehound.pipeline.v1.RuleSet': RuleSet;
  };
  async function valueOf<N extends keyof Values>(record: KafkaRecord, name: N): Promise<Values[N] | null> {
    if (record.value === null) return null;
    const decoded = await deps.codec.decode(record.value);
    // The name decides the type of the value; the compiler does not narrow over a type parameter.
    if (decoded.name === name) return decoded.value as Values[N];
    deps.onIgnored({ topic: record.topic, offset: record.offset, reason: 'other_record' });
    return null;
  }

  return {
    async refresh() {
      await readOn(deps.topics.activations, takeActivation);
      await readOn(deps.topics.rules, takeRuleSet);
    },
  };
}
