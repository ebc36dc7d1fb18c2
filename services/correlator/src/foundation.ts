import type { AvroCodec } from '@tracehound/avro';
import type { Tracer } from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient, KafkaConsumer } from '@tracehound/kafka';
import type { VerdictCounter } from '@tracehound/pipeline';
import type { Logger } from '@tracehound/telemetry';
import type { CorrelatorConfig, TopicNames } from './config.ts';
import type { BreakerKey } from './domain/breaker-key.ts';
import type { BrokerTime } from './domain/broker-time.ts';
import type { RuleBook } from './domain/rule-book.ts';
import type { RulesInForceSource } from './domain/rules-in-force.ts';
import type { CorrelatorMetrics } from './metrics.ts';
import type { Clock } from './ports.ts';
import type { Problems } from './problems.ts';

/** What both stages of one process stand on. Made once, when broker and registry have answered. */
export type Foundation = {
  readonly config: CorrelatorConfig;
  readonly topics: TopicNames;
  readonly client: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: AvroCodec;
  readonly book: RuleBook;
  readonly rules: RulesInForceSource;
  readonly brokerTime: BrokerTime;
  readonly clock: Clock;
  /** Of `security.matches`, fixed for as long as the topic lives. */
  readonly matchesPartitions: number;
  /** Signs the breakers of this process; null: it has no key. */
  readonly breakerKey: BreakerKey | null;
  readonly logger: Logger;
  readonly tracer: Tracer;
  readonly metrics: CorrelatorMetrics;
  readonly counter: VerdictCounter;
  readonly problems: Problems;
  readonly topicId: (topic: string) => string;
  readonly faultPoint: (name: string) => void;
  readonly onFatal: (error: unknown) => void;
};

/** A stage that has been started. */
export type RunningStage = {
  readonly consumer: Pick<KafkaConsumer, 'assignment' | 'refusals'>;
  stop(): Promise<void>;
};
