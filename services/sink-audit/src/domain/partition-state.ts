import type { TopicPartition } from '@tracehound/kafka';
import type { PartitionId } from './audit-row.ts';
import type { DetectedCandidate } from './detected.ts';
import type { IntakeTopic } from './intake-topics.ts';

/**
 * What the sink knows of one partition while it holds the fence. The store is the truth: everything here is loaded from
 * it at assignment and follows it after each commit.
 */
export type PartitionState = {
  readonly id: PartitionId;
  /** As the Kafka client names it, with the namespace. */
  readonly source: TopicPartition;
  readonly intake: IntakeTopic;
  readonly fence: bigint;
  /** Every record below is stored. */
  nextOffset: bigint;
  /** `security.event-detected` is out for every record below. */
  publishedOffset: bigint;
  /** What the store knows of `publishedOffset`; it follows with the next rows, or by itself when none come. */
  publishedOffsetStored: bigint;
  /** Stored and due to be published, in log order. */
  pending: readonly DetectedCandidate[];
  /** Offsets whose dead letter is durable although their row of failure is not yet: not produced again on a retry. */
  readonly deadLettered: Set<bigint>;
};
