import { invariant, isOwnMarker, markerHeaders } from '@tracehound/event-model';
import type {
  KafkaBatch,
  KafkaConsumer,
  OutgoingRecord,
  PartitionHandler,
  StartPosition,
  TopicPartition,
} from '@tracehound/kafka';
import type { LifecycleLogger } from '@tracehound/lifecycle';
import type { BrokerTime } from './domain/broker-time.ts';
import type { SourceRef } from './domain/covered-range.ts';
import type { RuleBook } from './domain/rule-book.ts';
import type { RulesInForceSource } from './domain/rules-in-force.ts';
import { beginSource, type SourceProgress } from './domain/source-progress.ts';
import { NoActivationError, UnknownSourceError } from './errors.ts';
import type { DetectPath } from './pipeline.ts';
import type { Clock } from './ports.ts';

export type DetectorDeps = {
  /** Committed offset of group correlator-a, or the first kept one. */
  readonly startOffset: (partition: TopicPartition) => Promise<bigint>;
  readonly topicId: (topic: string) => string;
  readonly createPath: (source: SourceRef) => DetectPath;
  readonly rules: RulesInForceSource;
  readonly book: RuleBook;
  readonly brokerTime: BrokerTime;
  /** Appends a marker to a source partition; the answer is where and when it landed. */
  readonly sendMarker: (
    partition: TopicPartition,
    marker: OutgoingRecord,
  ) => Promise<{ readonly offset: bigint; readonly appendTimeMs: number | null }>;
  readonly clock: Pick<Clock, 'steadyMs'>;
  readonly tickMs: number;
  readonly faultPoint: (name: string) => void;
  readonly logger: LifecycleLogger;
  /** Sources that mirror topics of other deployments; none by default. */
  readonly mirrored?: readonly string[];
  readonly onMarker?: () => void;
  /** Why a partition cannot go on, null when it can; for readiness. */
  readonly onState?: (partition: TopicPartition, problem: string | null) => void;
  readonly onRevoked?: (partition: TopicPartition) => void;
};

type Session = {
  readonly path: DetectPath;
  progress: SourceProgress;
  heardAtMs: number;
  /** When the mirror brought something: an event, or a marker of the deployment it mirrors. */
  mirroredAtMs: number;
  /** A marker that has not come back yet: no second one is written meanwhile. */
  marker: { readonly offset: bigint } | 'sending' | null;
};

/**
 * Stage A over a consumer: one session per assigned source partition. Partitions run concurrently; within one,
 * batches follow each other. Two instances that both believe to own a partition write overlapping ranges, which
 * stage B drops (X5).
 */
export class Detector implements PartitionHandler {
  private readonly deps: DetectorDeps;
  private readonly sessions = new Map<string, Session>();
  private consumer: Pick<KafkaConsumer, 'commit'> | null = null;

  constructor(deps: DetectorDeps) {
    this.deps = deps;
  }

  /** The consumer this handler serves; before it starts. */
  bind(consumer: Pick<KafkaConsumer, 'commit'>): void {
    this.consumer = consumer;
  }

  async assigned(partition: TopicPartition): Promise<StartPosition> {
    try {
      const source = await this.knownSource(partition);
      const offset = await this.deps.startOffset(partition);
      this.sessions.set(keyOf(partition), {
        path: this.deps.createPath(source),
        progress: beginSource(source, offset),
        heardAtMs: this.deps.clock.steadyMs(),
        mirroredAtMs: this.deps.clock.steadyMs(),
        marker: null,
      });
      this.deps.onState?.(partition, null);
      return { kind: 'offset', offset };
    } catch (error) {
      this.deps.onState?.(partition, error instanceof Error ? error.message : 'cannot start');
      throw error;
    }
  }

  async batch(batch: KafkaBatch): Promise<void> {
    const session = this.sessions.get(keyOf(batch));
    invariant(session !== undefined, 'a batch of a source partition that was not assigned', { topic: batch.topic });
    session.heardAtMs = this.deps.clock.steadyMs();
    if (batch.records.some((record) => !isOwnMarker(record))) session.mirroredAtMs = session.heardAtMs;
    const records = batch.records.filter((record) => record.offset >= session.progress.next);
    if (records.length === 0) return;
    try {
      await this.deps.rules.ensure(records.map((record) => record.appendTimeMs));
      session.progress = await session.path(session.progress, records);
    } catch (error) {
      this.deps.onState?.(batch, error instanceof Error ? error.message : 'a batch failed');
      throw error;
    }
    this.deps.onState?.(batch, null);
    if (session.marker !== null && session.marker !== 'sending' && session.marker.offset < session.progress.next) {
      session.marker = null;
    }
    this.deps.faultPoint('a:before-commit');
    // Not awaited: a commit that comes late or never costs repeated work after a restart, nothing else.
    void this.consumer?.commit({ topic: batch.topic, partition: batch.partition }, session.progress.next);
  }

  async revoked(partition: TopicPartition): Promise<void> {
    this.sessions.delete(keyOf(partition));
    this.deps.onRevoked?.(partition);
  }

  /**
   * Writes a marker into every source partition that has been silent for a tick (X4). Its append time, read back in
   * log order, is the claim that nothing older is still to come. Call it a few times per tick.
   */
  markIdle(): void {
    const nowMs = this.deps.clock.steadyMs();
    for (const [key, session] of this.sessions) {
      if (session.marker !== null || nowMs - session.heardAtMs < this.deps.tickMs) continue;
      session.marker = 'sending';
      const { topic, partition } = session.progress.source;
      const marker = { key: null, value: null, headers: markerHeaders('idle', topic) };
      const answered = this.deps.brokerTime.asking();
      this.deps.sendMarker({ topic, partition }, marker).then(
        ({ offset, appendTimeMs }) => {
          answered(appendTimeMs);
          session.marker = offset < session.progress.next ? null : { offset };
          this.deps.onMarker?.();
        },
        (error: unknown) => {
          session.marker = null;
          session.heardAtMs = this.deps.clock.steadyMs();
          this.deps.logger.warn('a marker was not acknowledged', { topic: key, err: error });
        },
      );
    }
  }

  /**
   * How long the mirrors have brought nothing, by topic: the longest of the partitions held here, ms. The deployment that is
   * mirrored writes a marker into every idle partition, so with a mirror that works this stays near a tick and its lag.
   */
  mirrorSilences(): ReadonlyMap<string, number> {
    const nowMs = this.deps.clock.steadyMs();
    const silences = new Map((this.deps.mirrored ?? []).map((topic) => [topic, 0]));
    for (const { progress, mirroredAtMs } of this.sessions.values()) {
      const known = silences.get(progress.source.topic);
      if (known !== undefined) silences.set(progress.source.topic, Math.max(known, nowMs - mirroredAtMs));
    }
    return silences;
  }

  get sessionCount(): number {
    return this.sessions.size;
  }

  /** A partition outside the source list would be read without counting in the watermark: it waits instead (X4). */
  private async knownSource(partition: TopicPartition): Promise<SourceRef> {
    const source = { ...partition, topicId: this.deps.topicId(partition.topic) };
    const isListed = (): boolean =>
      this.deps.book.activations
        .latest()
        ?.activation.sources.some((s) => s.topic_id === source.topicId && s.partition === source.partition) ?? false;
    if (!isListed()) await this.deps.rules.refresh();
    if (this.deps.book.activations.latest() === undefined) throw new NoActivationError();
    if (!isListed()) throw new UnknownSourceError(partition.topic, partition.partition);
    return { topic: partition.topic, topicId: source.topicId, partition: partition.partition };
  }
}

function keyOf(partition: TopicPartition): string {
  return `${partition.topic}/${partition.partition}`;
}
