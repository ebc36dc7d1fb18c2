import type { KafkaBatch, KafkaConsumer, PartitionHandler, StartPosition, TopicPartition } from '@tracehound/kafka';
import type { PartitionId } from './domain/audit-row.ts';
import { isDetected } from './domain/detected.ts';
import type { IntakeTopic } from './domain/intake-topics.ts';
import type { PartitionState } from './domain/partition-state.ts';
import { FenceLostError, OffsetAheadError } from './errors.ts';
import type { HandleResult } from './pipeline.ts';
import type { AuditStore, Clock, Position, TopicFacts } from './ports.ts';

export type PartitionOwnerDeps = {
  readonly store: AuditStore;
  readonly topics: ReadonlyMap<string, IntakeTopic>;
  readonly facts: TopicFacts;
  readonly handle: (batch: KafkaBatch, state: PartitionState) => Promise<HandleResult>;
  /** `security.event-detected` for what is stored and pending. */
  readonly publish: (state: PartitionState) => Promise<void>;
  readonly clock: Clock;
  /** Written into `sink_offset.owner`: which process holds the fence. */
  readonly owner: string;
  readonly severityMin: number;
  /** Pause before a partition lost to another owner is taken back, if it is still assigned to us then. */
  readonly reacquireDelayMs: number;
  readonly events: PartitionEvents;
};

/** What the owner reports; metrics, logs and readiness hang here. */
export type PartitionEvents = {
  acquired(state: PartitionState): void;
  /** Another owner has the partition. */
  fenced(state: PartitionState): void;
  /** The topic was deleted and made again; reading starts at 0 (X5, the documented choice). */
  topicReplaced(topic: string, partition: number, previous: { topicId: string; nextOffset: bigint }): void;
  /** Offsets `[from, to)` are gone before they were read; written down already. */
  gapFound(topic: string, partition: number, gap: { from: bigint; to: bigint }): void;
  /** A partition cannot go on now; `null` when it goes on again. */
  trouble(topic: string, partition: number, error: unknown): void;
};

/**
 * Who may write a partition, and from where. A fence is taken at every assignment and the stored offset decides the
 * start; Kafka's committed offset is a hint that nothing here reads. kafkajs tells of a lost partition late or never,
 * so a process that was paused finds out at its next compare-and-swap.
 */
export function createPartitionOwner(deps: PartitionOwnerDeps) {
  const states = new Map<string, PartitionState>();

  async function acquire(source: TopicPartition): Promise<StartPosition> {
    const intake = deps.topics.get(source.topic);
    if (!intake) throw new Error('a partition of a topic the sink does not read was assigned');
    const topicId = await deps.facts.topicId(source.topic);
    const id = { topicId, topic: intake.name, partition: source.partition };
    const position = await deps.store.acquire(id, deps.owner);
    if (position.previous) deps.events.topicReplaced(intake.name, source.partition, position.previous);
    const { low, high } = await deps.facts.bounds(source.topic, source.partition);
    if (position.nextOffset > high) {
      throw new OffsetAheadError({ ...id, nextOffset: position.nextOffset, high });
    }
    const nextOffset = position.nextOffset < low ? await skipTo(low, id, position) : position.nextOffset;
    const candidates = await deps.store.eventsBetween(id, {
      from: position.publishedOffset,
      until: position.nextOffset,
    });
    const state: PartitionState = {
      id,
      source,
      intake,
      fence: position.fence,
      nextOffset,
      publishedOffset: position.publishedOffset,
      publishedOffsetStored: position.publishedOffset,
      pending: candidates.filter((candidate) => isDetected(candidate, deps.severityMin)),
      deadLettered: new Set(),
    };
    states.set(keyOf(source), state);
    deps.events.acquired(state);
    // What was committed and perhaps not published before a crash must not wait for the next record of the partition.
    await deps.publish(state);
    return { kind: 'offset', offset: nextOffset };
  }

  /** Retention has eaten what was due: written down at once, since no record may ever come to carry it (X5). */
  async function skipTo(low: bigint, id: PartitionId, position: Position): Promise<bigint> {
    const { fence, nextOffset: expected, publishedOffset } = position;
    const gap = { from: expected, to: low, reason: 'retention' as const };
    const draft = { id, fence, expected, next: low, publishedOffset, rows: [], failures: [], gaps: [gap], markers: 0 };
    const [outcome] = await deps.store.append([draft]);
    if (outcome?.kind !== 'committed') throw new FenceLostError({ topic: id.topic, partition: id.partition });
    deps.events.gapFound(id.topic, id.partition, gap);
    return low;
  }

  async function store(batch: KafkaBatch, consumer: Pick<KafkaConsumer, 'seek' | 'assignment'>): Promise<void> {
    const state = states.get(keyOf(batch));
    if (!state) throw new Error('a batch came before its partition was assigned');
    const first = batch.records[0];
    // We ask from the stored offset on, so an older record means a redelivery - or a topic made again (X5).
    if (first && first.offset < state.nextOffset && (await deps.facts.topicId(batch.topic)) !== state.id.topicId) {
      return restart(batch, consumer);
    }
    const result = await deps.handle(batch, state);
    switch (result) {
      case 'done':
        return;
      case 'moved':
        return restart(batch, consumer);
      case 'fenced':
        deps.events.fenced(state);
        states.delete(keyOf(batch));
        // Either the group gives the partition to someone else soon, or the other owner is the one left behind.
        await new Promise<void>((resolve) => deps.clock.after(deps.reacquireDelayMs, resolve));
        if (consumer.assignment().some((held) => keyOf(held) === keyOf(batch))) await restart(batch, consumer);
        return;
    }
  }

  async function restart(source: TopicPartition, consumer: Pick<KafkaConsumer, 'seek'>): Promise<void> {
    const position = await acquire({ topic: source.topic, partition: source.partition });
    if (position.kind === 'offset') consumer.seek(source, position.offset);
  }

  /** Writes published offsets that no row has carried along yet. A lost fence is no error: the next owner knows more. */
  async function flushPublished(state: PartitionState): Promise<void> {
    const publishedOffset = state.publishedOffset;
    if (publishedOffset === state.publishedOffsetStored) return;
    await deps.store.markPublished(state.id, { fence: state.fence, publishedOffset });
    state.publishedOffsetStored = publishedOffset;
  }

  function handlerOf(consumer: () => Pick<KafkaConsumer, 'seek' | 'assignment'>): PartitionHandler {
    return {
      assigned: (partition) => reporting(partition, () => acquire(partition)),
      batch: (batch) => reporting(batch, () => store(batch, consumer())),
      async revoked(partition) {
        const state = states.get(keyOf(partition));
        states.delete(keyOf(partition));
        deps.events.trouble(partition.topic, partition.partition, null);
        if (state) await flushPublished(state);
      },
    };
  }

  async function reporting<T>(partition: TopicPartition, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      deps.events.trouble(partition.topic, partition.partition, null);
      return result;
    } catch (error) {
      deps.events.trouble(partition.topic, partition.partition, error);
      throw error;
    }
  }

  return {
    handlerOf,
    /** Stores published offsets that idle partitions have not stored; called now and then. Errors are the caller's. */
    async tend(): Promise<void> {
      for (const state of states.values()) await flushPublished(state);
    },
    /** Held now, in no order. */
    held: (): readonly PartitionState[] => [...states.values()],
  };
}

function keyOf(partition: TopicPartition): string {
  return `${partition.topic}/${partition.partition}`;
}
