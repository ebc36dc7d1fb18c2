import type { LateEvent, Match, MatchBatch } from '@tracehound/event-model';
import type { Hit } from './hit.ts';

export function hitOf(match: Match, source: number, matchesOffset: number): Hit {
  return {
    timeMs: match.event_time,
    id: match.event_id,
    step: match.step,
    value: match.value,
    number: match.number,
    source,
    sourceOffset: match.source_offset,
    matchesOffset,
    instance: match.source_instance,
    sequence: match.source_seq,
  };
}

export function matchOf(
  hit: Hit,
  at: { readonly organization: string; readonly groupKey: string; readonly index: number },
): Match {
  return {
    rule: at.index,
    organization_id: at.organization,
    group_key: at.groupKey,
    event_id: hit.id,
    event_time: hit.timeMs,
    step: hit.step,
    value: hit.value,
    number: hit.number,
    source_offset: hit.sourceOffset,
    source_instance: null,
    source_seq: null,
    flags: 0,
  };
}

/** The second line of X3. B knows no append time; the watermark the event fell behind stands for it. */
export function lateEvent(match: Match, batch: MatchBatch, watermarkMs: number): LateEvent {
  return {
    schema_rev: 1,
    organization_id: match.organization_id,
    event_id: match.event_id,
    event_time: match.event_time,
    append_time: watermarkMs,
    lateness_ms: watermarkMs - match.event_time,
    allowed_ms: 0,
    stage: 'B',
    src_topic: batch.src_topic,
    src_topic_id: batch.src_topic_id,
    src_partition: batch.src_partition,
    src_offset: match.source_offset,
    payload: null,
  };
}
