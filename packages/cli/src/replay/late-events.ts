import type { AvroCodec } from '@tracehound/avro';
import type { RecoveryMatch } from '@tracehound/correlation';
import {
  classifyError,
  createFieldView,
  type EventEnvelope,
  type EventFieldView,
  type LateEvent,
  type Match,
} from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient, KafkaRecord } from '@tracehound/kafka';
import type { RuleSetCompiled } from '@tracehound/sigma';

type Source = { readonly kafka: KafkaClient; readonly admin: KafkaAdmin; readonly codec: Pick<AvroCodec, 'decode'> };

/** By append time, `[fromMs, toMs)`. */
type Range = { readonly fromMs: number; readonly toMs: number };

/**
 * Late events that were appended in a range, with their bytes: those that stage A told of, and those that stage B found behind its
 * watermark. Of the latter neither bytes nor append time are in the lane (B knows neither): both are read where the event lies, and
 * one that is no longer there is left out. One event of B comes once for each of its matches.
 */
export async function readLateEvents(source: Source, topic: string, range: Range): Promise<readonly LateEvent[]> {
  const { kafka, admin, codec } = source;
  const ofA: LateEvent[] = [];
  const ofB: LateEvent[] = [];
  for (const { partition, low, high } of await admin.offsets(topic)) {
    if (low >= high) continue;
    for await (const { value } of kafka.read({ topic, partition }, { from: low, until: high })) {
      if (value === null) continue;
      const decoded = await codec.decode(value);
      if (decoded.name !== 'tracehound.pipeline.v1.LateEvent') continue;
      if (decoded.value.stage === 'A') ofA.push(decoded.value);
      if (decoded.value.stage === 'B') ofB.push(decoded.value);
    }
  }
  const all = [...ofA, ...(await withRecords(source, ofB))];
  return all.filter(({ append_time }) => append_time >= range.fromMs && append_time < range.toMs);
}

/** Looks events up in the intake: reads, of each partition, from the first of them to the last. */
async function withRecords(
  { kafka, admin }: Pick<Source, 'kafka' | 'admin'>,
  events: readonly LateEvent[],
): Promise<readonly LateEvent[]> {
  const found: LateEvent[] = [];
  const present = new Set(events.length === 0 ? [] : await admin.listTopics());
  for (const [topic, ofTopic] of Map.groupBy(events, ({ src_topic }) => src_topic)) {
    if (!present.has(topic)) continue;
    const topicId = (await admin.topicIds([topic])).get(topic);
    const kept = new Map((await admin.offsets(topic)).map((range) => [range.partition, range]));
    const ofThisTopic = ofTopic.filter(({ src_topic_id }) => src_topic_id === topicId);
    for (const [partition, own] of Map.groupBy(ofThisTopic, ({ src_partition }) => src_partition)) {
      const { low, high } = kept.get(partition) ?? { low: 0n, high: 0n };
      const byOffset = Map.groupBy(own, ({ src_offset }) => BigInt(src_offset));
      const offsets = [...byOffset.keys()].filter((offset) => offset >= low && offset < high);
      if (offsets.length === 0) continue;
      const from = offsets.reduce((least, offset) => (offset < least ? offset : least));
      const until = offsets.reduce((most, offset) => (offset > most ? offset : most)) + 1n;
      for await (const record of kafka.read({ topic, partition }, { from, until })) {
        for (const event of byOffset.get(record.offset) ?? []) {
          found.push({ ...event, append_time: record.appendTimeMs, payload: record.value });
        }
      }
    }
  }
  return found;
}

export type EventPlace = {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly offset: number;
};

/** What an event gives to correlations, as stage A would have written it. */
export function recoveryMatches(
  ruleSet: RuleSetCompiled,
  { envelope, view }: { readonly envelope: EventEnvelope; readonly view: EventFieldView },
  place: EventPlace,
): readonly RecoveryMatch[] {
  const detections = ruleSet.matchEvent(view, view.logSource);
  if (detections.length === 0) return [];
  const source = { topic: place.topic, topic_id: place.topicId, partition: place.partition };
  return ruleSet.matchesOf(view, detections).matches.map((one) => {
    const match: Match = {
      rule: ruleSet.inOrganization(one.rule, envelope.intake_org),
      organization_id: envelope.intake_org,
      group_key: one.group_key,
      event_id: envelope.event_id,
      event_time: envelope.event_time,
      step: one.step,
      value: one.value,
      number: one.number,
      source_offset: place.offset,
      source_instance: envelope.source.instance,
      source_seq: envelope.source.seq,
      flags: envelope.event_time_source === 'RECEIVED' ? 1 : 0,
    };
    return { source, match };
  });
}

/**
 * The event in a record of the intake; null for markers, and for what the services sent to the dead letters.
 * @throws what may be otherwise the next time, as when the registry is away.
 */
export async function eventOf(
  codec: Pick<AvroCodec, 'decode'>,
  { value }: Pick<KafkaRecord, 'value'>,
): Promise<{ readonly envelope: EventEnvelope; readonly view: EventFieldView } | null> {
  if (value === null) return null;
  try {
    const { value: read } = await codec.decode(value);
    return 'envelope' in read ? { envelope: read.envelope, view: createFieldView(read) } : null;
  } catch (error) {
    if (classifyError(error).retriable) throw error;
    return null;
  }
}
