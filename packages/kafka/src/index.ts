/**
 * Kafka behind a narrow port: consume batches, produce batches, admin. The package knows no business words. Its
 * producer is guarded because kafkajs 2.2.4 loses acknowledged messages when a partition leader dies
 * (tulios/kafkajs#1303). Exactly-once never rests on it: at-least-once transport, idempotent and fenced effects.
 */
export {
  FAULTS,
  KafkaError,
  type KafkaFault,
  KafkaOffsetOutOfRangeError,
  KafkaProduceError,
  KafkaTopicReplacedError,
} from './errors.ts';
export { createKafkaJsClient } from './kafkajs/index.ts';
export { murmur2, partitionForKey } from './partitioner.ts';
export { createPlatformaticClient } from './platformatic/index.ts';
export type * from './port.ts';
export { readingSummary } from './reading-summary.ts';
export { traceKafka, withContext } from './tracing.ts';
export type { KafkaLogger } from './wire.ts';
