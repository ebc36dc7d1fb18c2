import { type BaseOptions, Consumer } from '@platformatic/kafka';
import type { Membership, MembershipEvents } from '../wire.ts';

const HEARTBEAT_MS_MAX = 1_000;

/** A consumer of `@platformatic/kafka` used as a mere group member: joins, heartbeats, commits, opens no stream. */
export async function joinPlatformaticGroup(
  options: BaseOptions,
  group: { groupId: string; topics: readonly string[]; sessionTimeoutMs: number },
  events: MembershipEvents,
): Promise<Membership> {
  const consumer = new Consumer({
    ...options,
    groupId: group.groupId,
    sessionTimeout: group.sessionTimeoutMs,
    rebalanceTimeout: group.sessionTimeoutMs,
    heartbeatInterval: Math.min(HEARTBEAT_MS_MAX, Math.floor(group.sessionTimeoutMs / 6)),
    // A join waits for the others of the group, so its answer takes up to a rebalance.
    requestTimeout: group.sessionTimeoutMs + 10_000,
    autocommit: false,
  });
  consumer.on('consumer:group:join', ({ assignments }) => {
    events.joined(
      (assignments ?? []).flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition }))),
    );
  });
  consumer.on('consumer:group:rebalance', () => events.rebalancing());
  consumer.on('consumer:heartbeat:end', () => events.alive());
  // A rejoin that failed for good is emitted as `error`; its types do not list the event.
  const emitter: { on(event: string, listener: (error: unknown) => void): unknown } = consumer;
  emitter.on('error', (error) => events.crashed(error));
  const { topics } = group;
  try {
    const metadata = await consumer.metadata({ topics: [...topics], autocreateTopics: false, forceUpdate: true });
    for (const topic of topics) if (metadata.topics.has(topic)) consumer.topics.track(topic);
  } catch (error) {
    await consumer.close().catch(() => undefined);
    throw error;
  }
  consumer.joinGroup().catch((error: unknown) => events.crashed(error));
  return {
    commit: ({ topic, partition }, offset) =>
      consumer.commit({ offsets: [{ topic, partition, offset, leaderEpoch: -1 }] }),
    close: () => consumer.close(true),
  };
}
