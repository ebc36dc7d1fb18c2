import { classifyError } from '@tracehound/event-model';
import type { KafkaConsumer, KafkaRecord, PartitionHandler, StartPosition, TopicPartition } from '@tracehound/kafka';
import { faultPoint } from '@tracehound/lifecycle';
import type { ConsumedAlert } from '../ports.ts';
import type { DirectNotices } from './direct-notices.ts';
import { type IntakeRunDeps, storeAlerts } from './intake-run.ts';
import { createLoop, type Loop } from './loop.ts';
import { createPartitionIntake, type PartitionIntake } from './partition-intake.ts';

/** How often alerts that wait for the store are looked at. */
const WATCH_MS = 100;
/** Pause between two tries of a store that is away. */
const RETRY_MS = 250;

export type AlertIntake = {
  readonly handler: PartitionHandler;
  /** Retries what waits for the store and sends thin notices for what has waited too long. */
  readonly watch: Loop;
  /** Alerts waiting in memory. */
  waiting(): number;
  /** For readiness: throws with the codes while the store does not take the alerts of a partition. */
  summary(): string;
};

/**
 * All partitions this process has: each with its fence and its backlog. A partition never waits for another one, and
 * its offset is committed to Kafka only for lag tools: where to go on stands in the store.
 */
export function createAlertIntake(
  deps: IntakeRunDeps & {
    readonly owner: string;
    readonly direct: DirectNotices;
    readonly refetchWaitMs: number;
    /** Name without the namespace, by name in the cluster. */
    readonly topics: ReadonlyMap<string, string>;
    readonly topicId: (topic: string) => Promise<string>;
    readonly consumer: () => Pick<KafkaConsumer, 'commit'> | null;
    readonly onError: (error: unknown) => void;
  },
): AlertIntake {
  const intakes = new Map<
    string,
    { readonly intake: PartitionIntake; readonly topicId: string; retriedAtMs: number | null; committed: bigint | null }
  >();

  function consumed(record: KafkaRecord, topicId: string, nowMs: number): ConsumedAlert {
    return {
      position: {
        topicId,
        topic: deps.topics.get(record.topic) ?? record.topic,
        partition: record.partition,
        offset: record.offset,
      },
      key: record.key,
      value: record.value ?? Buffer.alloc(0),
      firedAtMs: record.appendTimeMs,
      parked: null,
      deadlineMs: nowMs + deps.refetchWaitMs,
      toldDirectly: false,
    };
  }

  /** Partitions that could not even be taken. */
  const notTaken = new Map<string, unknown>();
  let savedAtMs: number | null = null;

  async function commit(partition: TopicPartition, offset: bigint | null): Promise<void> {
    if (offset === null) return;
    faultPoint('n:before-commit-offset');
    await deps.consumer()?.commit(partition, offset);
  }

  async function take(at: TopicPartition): Promise<StartPosition> {
    const topicId = await deps.topicId(at.topic);
    const known = intakes.get(keyOf(at));
    const partition = { topicId, topic: deps.topics.get(at.topic) ?? at.topic, partition: at.partition };
    const intake = known?.topicId === topicId ? known.intake : createPartitionIntake(partition, deps);
    const next = await intake.acquire();
    intakes.set(keyOf(at), { intake, topicId, retriedAtMs: null, committed: null });
    return next === null ? { kind: 'earliest' } : { kind: 'offset', offset: next };
  }

  const handler: PartitionHandler = {
    async assigned(at) {
      try {
        const start = await take(at);
        notTaken.delete(keyOf(at));
        return start;
      } catch (error) {
        notTaken.set(keyOf(at), error);
        throw error;
      }
    },
    async batch(batch) {
      const held = intakes.get(keyOf(batch));
      if (!held) return;
      const nowMs = deps.now();
      const alerts = batch.records.map((record) => consumed(record, held.topicId, nowMs));
      await commit(batch, await held.intake.take(alerts));
    },
    async revoked(at) {
      intakes.delete(keyOf(at));
      notTaken.delete(keyOf(at));
    },
  };

  function waiting(): number {
    return [...intakes.values()].reduce((sum, { intake }) => sum + intake.waiting, 0);
  }

  function summary(): string {
    const troubles = [...notTaken.values(), ...[...intakes.values()].map(({ intake }) => intake.trouble)];
    const codes = troubles.flatMap((trouble) => (trouble === null ? [] : [classifyError(trouble).code]));
    if (codes.length === 0) return 'all alerts are stored as they come';
    const reasons = [...new Set(codes)].sort().join(', ');
    throw new Error(`${codes.length} partitions wait for the store: ${reasons}; thin notices go out meanwhile`);
  }

  const watch = createLoop({
    everyMs: WATCH_MS,
    onError: deps.onError,
    async work() {
      const nowMs = deps.now();
      await Promise.all(
        [...intakes].map(async ([key, held]) => {
          await held.intake.tellOverdue();
          // A run that took longer than its batch was willing to wait has stored its alerts by now.
          const { stored } = held.intake;
          if (stored !== null && stored !== held.committed) {
            held.committed = stored;
            await commit(partitionOf(key), stored);
          }
          if (held.intake.waiting === 0 || !isRetryDue(held.retriedAtMs, nowMs)) return;
          held.retriedAtMs = nowMs;
          await commit(partitionOf(key), await held.intake.retry());
        }),
      );
      // What was told for a partition that has gone to another process since, or after its alert was stored.
      if (deps.direct.unsaved > 0 && waiting() === 0 && isRetryDue(savedAtMs, nowMs)) {
        savedAtMs = nowMs;
        let forget: () => void = () => undefined;
        await storeAlerts(deps, {
          before: async () => [],
          after: async (tx) => {
            forget = await deps.direct.save(tx);
          },
        });
        forget();
      }
      return false;
    },
  });

  return { handler, watch, waiting, summary };
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${partition}/${topic}`;
}

function partitionOf(key: string): TopicPartition {
  const slash = key.indexOf('/');
  return { partition: Number(key.slice(0, slash)), topic: key.slice(slash + 1) };
}

function isRetryDue(lastMs: number | null, nowMs: number): boolean {
  return lastMs === null || nowMs - lastMs >= RETRY_MS;
}
