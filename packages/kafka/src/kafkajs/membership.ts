import kafkajs, { type Kafka } from 'kafkajs';
import { sleepMs } from '../backoff.ts';
import type { TopicPartition } from '../port.ts';
import type { Membership, MembershipEvents } from '../wire.ts';

/** The loop of a kafkajs consumer that fetches nothing sleeps so long, then sends a heartbeat if one is due. */
const LOOP_MS = 250;
const HEARTBEAT_MS_MAX = 1_000;
/** New partitions of a topic are noticed, and the group rebalanced, within this time. */
const METADATA_AGE_MS_MAX = 60_000;
const CLOSE_WAIT_MS = 3_000;

/**
 * A kafkajs consumer used as a mere group member: all partitions stay paused, so it joins, heartbeats and commits, but
 * never fetches. A batch of ours can thus take as long as it likes.
 */
export async function joinKafkaJsGroup(
  kafka: Kafka,
  options: { groupId: string; topics: readonly string[]; sessionTimeoutMs: number },
  events: MembershipEvents,
): Promise<Membership> {
  const consumer = kafka.consumer({
    groupId: options.groupId,
    sessionTimeout: options.sessionTimeoutMs,
    rebalanceTimeout: options.sessionTimeoutMs,
    heartbeatInterval: Math.min(HEARTBEAT_MS_MAX, Math.floor(options.sessionTimeoutMs / 6)),
    maxWaitTimeInMs: LOOP_MS,
    metadataMaxAge: METADATA_AGE_MS_MAX,
    allowAutoTopicCreation: false,
    partitionAssigners: [kafkajs.PartitionAssigners.roundRobin],
    // A crashed member is ours to replace; kafkajs would restart some kinds of crash and silently stay dead after others.
    retry: { retries: 5, restartOnFailure: () => Promise.resolve(false) },
  });
  const topics = [...options.topics];
  let isClosing = false;
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    // In the same turn as the join, so before the loop can ask for records.
    consumer.pause(topics.map((topic) => ({ topic })));
    const assignment: TopicPartition[] = [];
    for (const [topic, partitions] of Object.entries(payload.memberAssignment)) {
      for (const partition of partitions) assignment.push({ topic, partition });
    }
    if (!isClosing) events.joined(assignment);
  });
  consumer.on(consumer.events.REBALANCING, () => events.rebalancing());
  consumer.on(consumer.events.HEARTBEAT, () => events.alive());
  consumer.on(consumer.events.CRASH, ({ payload }) => events.crashed(payload.error));
  try {
    await consumer.connect();
    await consumer.subscribe({ topics, fromBeginning: true });
  } catch (error) {
    await consumer.disconnect().catch(() => undefined);
    throw error;
  }
  // `run` resolves after the first join; a failure to join comes as CRASH.
  const joining = consumer
    .run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: () => Promise.resolve() })
    .catch((error: unknown) => events.crashed(error));
  return {
    commit: ({ topic, partition }, offset, note) =>
      consumer.commitOffsets([{ topic, partition, offset: String(offset), metadata: note ?? null }]),
    close: async () => {
      isClosing = true;
      // kafkajs cannot leave while it joins, and would come back as a member nobody knows of: leave after the join too.
      const late = joining.then(() => consumer.disconnect()).catch(() => undefined);
      await Promise.race([late, sleepMs(CLOSE_WAIT_MS)]);
      await consumer.disconnect().catch(() => undefined);
    },
  };
}
