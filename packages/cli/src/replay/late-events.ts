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

/** Late events told by stage A whose append time lies in `[fromMs, toMs)`, in log order per partition. */
export async function readLateEvents(
  { kafka, admin, codec }: Source,
  topic: string,
  range: { readonly fromMs: number; readonly toMs: number },
): Promise<readonly LateEvent[]> {
  const found: LateEvent[] = [];
  for (const { partition, low, high } of await admin.offsets(topic)) {
    if (low >= high) continue;
    for await (const { value } of kafka.read({ topic, partition }, { from: low, until: high })) {
      if (value === null) continue;
      const decoded = await codec.decode(value);
      if (decoded.name !== 'tracehound.pipeline.v1.LateEvent') continue;
      const { stage, append_time } = decoded.value;
      if (stage === 'A' && append_time >= range.fromMs && append_time < range.toMs) found.push(decoded.value);
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
