import type { AvroCodec } from '@tracehound/avro';
import {
  APPROVALS_HEADER,
  approve,
  type DeadLetter,
  type DetectionFinding,
  type LateEvent,
  type RuleActivation,
} from '@tracehound/event-model';
import { type KafkaProducer, type KafkaRecord, type OutgoingRecord, withContext } from '@tracehound/kafka';
import type { TopicNames } from '../config.ts';
import type { BreakerKey } from '../domain/breaker-key.ts';
import type { BrokerTime } from '../domain/broker-time.ts';
import { MATCH_BATCH_BYTES_MAX } from '../domain/covered-range.ts';
import { isOnTrial } from '../domain/on-trial.ts';
import { NotAcknowledgedError } from '../errors.ts';
import type { AlertOutlet, Clock, MatchesAppender, OutboxRecord } from '../ports.ts';

export type LaneDeps = {
  readonly producer: KafkaProducer;
  readonly codec: Pick<AvroCodec, 'encode'>;
  readonly topics: TopicNames;
};

/** Writes and waits; one record that is not acknowledged rejects the whole call, which is then made again. */
async function sendAll(producer: KafkaProducer, topic: string, records: readonly OutgoingRecord[]): Promise<void> {
  if (records.length === 0) return;
  for (const result of await producer.send(topic, records)) {
    if (!result.ok) throw new NotAcknowledgedError(topic, result.error);
  }
}

/** Records that can never succeed go to `<topic>.dlq`; while that fails, nothing is committed (contracts section 2). */
export function createDeadLetters(
  deps: LaneDeps & { readonly clock: Pick<Clock, 'nowMs'> },
): (entries: readonly { item: KafkaRecord; stage: string; verdict: DeadLetter }[]) => Promise<void> {
  return async function deadLetters(entries) {
    const perTopic = Map.groupBy(entries, (entry) => entry.item.topic);
    for (const [topic, group] of perTopic) {
      await sendAll(
        deps.producer,
        `${topic}.dlq`,
        group.map(({ item, stage, verdict }) => deadLetterRecord(deps, { item, stage, verdict })),
      );
    }
  };
}

function deadLetterRecord(
  deps: LaneDeps & { readonly clock: Pick<Clock, 'nowMs'> },
  entry: { readonly item: KafkaRecord; readonly stage: string; readonly verdict: DeadLetter },
): OutgoingRecord {
  const { item, stage, verdict } = entry;
  const headers = Object.fromEntries(Object.entries(item.headers).map(([name, value]) => [name, value.toString()]));
  return {
    key: item.key,
    value: deps.codec.encode('tracehound.pipeline.v1.DeadLetter', {
      original_topic: item.topic,
      partition: item.partition,
      offset: Number(item.offset),
      key: item.key,
      payload: item.value,
      headers,
      service: 'correlator',
      stage,
      reason: verdict.reason,
      detail: verdict.detail,
      failed_at: deps.clock.nowMs(),
    }),
    headers: {
      th_reason: verdict.reason,
      th_stage: stage,
      th_topic: item.topic,
      th_partition: String(item.partition),
      th_offset: item.offset.toString(),
      th_service: 'correlator',
    },
  };
}

/** Activations of the service itself (X7): breakers, signed where the deployment asks for it. */
export function createActivationLane(
  deps: LaneDeps,
  signer: BreakerKey | null,
): (activation: RuleActivation) => Promise<void> {
  return async function publishActivation(activation) {
    const value = deps.codec.encode(ACTIVATION, activation);
    const headers = signer === null ? {} : { [APPROVALS_HEADER]: JSON.stringify([approve(activation, signer)]) };
    await sendAll(deps.producer, deps.topics.activations, [{ key: activation.ruleset_id, value, headers }]);
  };
}

const ACTIVATION = 'tracehound.pipeline.v1.RuleActivation';

/** Stage A's late lane (X3). */
export function createLateLane(deps: LaneDeps): (events: readonly LateEvent[]) => Promise<void> {
  return async function late(events) {
    await sendAll(
      deps.producer,
      deps.topics.late,
      events.map((event) => ({
        key: `${event.organization_id}|${event.event_id}`,
        value: deps.codec.encode('tracehound.pipeline.v1.LateEvent', event),
      })),
    );
  };
}

export function createFindingsLane(deps: LaneDeps): (findings: readonly DetectionFinding[]) => Promise<void> {
  return async function publishFindings(findings) {
    const lanes = Map.groupBy(findings, ({ rule }) => (isOnTrial(rule) ? deps.topics.shadow : deps.topics.findings));
    for (const [topic, own] of lanes) {
      await sendAll(
        deps.producer,
        topic,
        own.map((finding) => ({
          key: `${finding.organization_id}|${finding.detection_id}`,
          value: deps.codec.encode('tracehound.pipeline.v1.DetectionFinding', finding),
        })),
      );
    }
  };
}

/**
 * Stage B's outlet. Runs of the same lane go out together, in order; after a rejection the owner sends the same
 * records again, so a topic's partition only ever sees a stretch repeated, never reordered.
 */
export function createAlertOutlet(deps: Omit<LaneDeps, 'codec'>): AlertOutlet {
  return {
    async emit(records) {
      for (let start = 0; start < records.length; ) {
        const lane = records[start]?.lane;
        let end = start;
        while (end < records.length && records[end]?.lane === lane) end++;
        const run = records.slice(start, end);
        if (lane === 'chain') await sendChained(deps, run);
        else {
          await sendAll(
            deps.producer,
            deps.topics[lane ?? 'alerts'],
            run.map(({ key, value }) => ({ key, value })),
          );
        }
        start = end;
      }
    },
  };
}

/** X11, in order per partition of security.matches. Rejects when one was not acknowledged. */
async function sendChained(deps: Omit<LaneDeps, 'codec'>, records: readonly OutboxRecord[]): Promise<void> {
  await Promise.all(
    [...Map.groupBy(records, ({ key }) => Number(key))].map(async ([partition, own]) => {
      for (const request of requestsOf(own)) {
        await deps.producer.sendTo({ topic: deps.topics.matches, partition }, request);
      }
    }),
  );
}

/** Runs that fit in one record batch. */
function requestsOf(records: readonly OutboxRecord[]): readonly OutgoingRecord[][] {
  const requests: OutgoingRecord[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const { value } of records) {
    bytes += value.length;
    if (bytes > MATCH_BATCH_BYTES_MAX) {
      requests.push([]);
      bytes = value.length;
    }
    requests.at(-1)?.push({ key: null, value });
  }
  return requests;
}

export function createMatchesAppender(
  deps: Pick<LaneDeps, 'producer' | 'topics'> & { readonly brokerTime: Pick<BrokerTime, 'asking'> },
): MatchesAppender {
  return {
    async append(partition, values, contexts) {
      const records = values.map((value, index) => withContext({ key: null, value }, index, contexts?.[index] ?? null));
      const answered = deps.brokerTime.asking();
      const { appendTimeMs } = await deps.producer.sendTo({ topic: deps.topics.matches, partition }, records);
      answered(appendTimeMs);
    },
  };
}
