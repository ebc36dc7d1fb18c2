import {
  type CorrelationAlert,
  END_OF_INPUT_WATERMARK_MS,
  type MatchBatch,
  type RuleRef,
} from '@tracehound/event-model';
import { type CorrelationRule, groupOf } from '@tracehound/sigma';
import { revisionOf } from './alert-id.ts';
import type { Episode } from './episodes.ts';
import type { FirmFinal } from './firm/machine.ts';
import { compareText, type Hit } from './hit.ts';

/** Where a source partition stands: its topic by id (X5), how far its matches came, what time it claims. */
export type Source = {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  /** Chain depth it punctuates (X11); 0 = the intake topics. */
  readonly depth: number;
  /** Offset up to which matches of this source were applied. */
  markOffset: number;
  watermarkMs: number;
};

/** X4: what a record says of its source's time. */
export function claimOf({ end_of_input, watermark }: MatchBatch): number {
  return end_of_input ? END_OF_INPUT_WATERMARK_MS : watermark;
}

export type AlertContext = {
  readonly clusterId: string;
  readonly matchesPartition: number;
  readonly watermarkMs: number;
  readonly sources: readonly Source[];
  readonly rule: CorrelationRule;
  readonly organization: string;
  readonly groupKey: string;
  /** Hits that are kept, for samples. */
  readonly hits: readonly Hit[];
};

/** Further events named beside the evidence. */
const SAMPLE_IDS_MAX = 8;

/** One immutable revision (X9). Its bytes are a function of the matches log alone. */
export function alertRecord(
  context: AlertContext,
  alert: {
    readonly kind: 'OPEN' | 'UPDATE' | 'FINAL' | 'END';
    readonly id: string;
    readonly episode: Episode;
    readonly trigger: string;
    readonly supersedes: readonly string[];
    readonly supersededBy: string | null;
  },
): CorrelationAlert {
  const { episode } = alert;
  const { evidence } = episode;
  return {
    ...frameOfRecord(context),
    alert_id: alert.id,
    revision: revisionOf(alert.kind, context.watermarkMs),
    kind: alert.kind,
    count: episode.count,
    count_exact: episode.countExact,
    first_at: evidence[0]?.timeMs ?? episode.fromMs,
    last_at: episode.lastAtMs,
    trigger_event_id: alert.trigger,
    event_ids: evidenceIds(evidence),
    sample_event_ids: alert.kind === 'UPDATE' || alert.kind === 'FINAL' ? sampleIds(context, episode) : [],
    source_ranges: sourceRanges(evidence, context.sources),
    matches_offsets: [...new Set(evidence.map((hit) => hit.matchesOffset))].sort((a, b) => a - b),
    supersedes: [...alert.supersedes],
    superseded_by: alert.supersededBy,
    degraded: false,
    reason: null,
  };
}

/** What a machine decided on the watermark: a final that was never opened, and its end. */
export function decidedRecord(
  context: AlertContext,
  alert: { readonly kind: 'FINAL' | 'END'; readonly id: string; readonly final: FirmFinal },
): CorrelationAlert {
  const { final } = alert;
  return {
    ...frameOfRecord(context),
    alert_id: alert.id,
    revision: revisionOf(alert.kind, context.watermarkMs),
    kind: alert.kind,
    // The record counts events; a sum with a fraction is exact in `Effect.final`.
    count: Math.floor(final.count),
    count_exact: final.countExact,
    first_at: final.firstAtMs,
    last_at: final.lastAtMs,
    trigger_event_id: final.trigger,
    timer_due: final.timerDueMs,
    event_ids: [...final.eventIds],
    sample_event_ids: [],
    source_ranges: sourceRanges(final.evidence, context.sources),
    matches_offsets: [...new Set(final.evidence.map((hit) => hit.matchesOffset))].sort((a, b) => a - b),
    supersedes: [],
    superseded_by: null,
    degraded: false,
    approx: final.approx,
    reason: null,
  };
}

/** X14: a range in which state was dropped. Reports and equality checks leave it out, and say so. */
export function degradedRecord(
  context: AlertContext,
  id: string,
  range: { readonly fromMs: number; readonly toMs: number; readonly reason: string },
): CorrelationAlert {
  return {
    ...frameOfRecord(context),
    alert_id: id,
    revision: revisionOf('DEGRADED', context.watermarkMs),
    kind: 'DEGRADED',
    count: 0,
    count_exact: false,
    first_at: range.fromMs,
    last_at: range.toMs,
    trigger_event_id: null,
    event_ids: [],
    sample_event_ids: [],
    source_ranges: [],
    matches_offsets: [],
    supersedes: [],
    superseded_by: null,
    degraded: true,
    reason: range.reason,
  };
}

/** Evidence ids, sorted, each once. */
export function evidenceIds(evidence: readonly Hit[]): string[] {
  return [...new Set(evidence.map((hit) => hit.id))].sort();
}

function frameOfRecord(context: AlertContext) {
  const { rule } = context;
  return {
    schema_rev: 1,
    organization_id: context.organization,
    cluster_id: context.clusterId,
    rule: ruleRef(rule),
    group: groupOf(rule, context.groupKey),
    timer_due: null,
    matches_partition: context.matchesPartition,
    watermark: context.watermarkMs,
    recovered: false,
    approx: false,
  };
}

function ruleRef(rule: CorrelationRule): RuleRef {
  return { ...rule.description, tags: [...rule.description.tags] };
}

/** The latest kept events of the episode that are not evidence. */
function sampleIds(context: AlertContext, episode: Episode): string[] {
  const evidence = new Set(episode.evidence.map((hit) => hit.id));
  const ids = new Set<string>();
  for (let index = context.hits.length - 1; index >= 0 && ids.size < SAMPLE_IDS_MAX; index--) {
    const hit = context.hits[index] as Hit;
    if (hit.timeMs < episode.fromMs) break;
    if (hit.timeMs <= episode.lastAtMs && !evidence.has(hit.id)) ids.add(hit.id);
  }
  return [...ids].sort();
}

/** Neighbouring offsets of one source partition become one range; ranges are sorted by topic id, partition, offset. */
function sourceRanges(evidence: readonly Hit[], sources: readonly Source[]): CorrelationAlert['source_ranges'] {
  const byPlace = evidence
    .filter((hit) => hit.source !== NO_SOURCE)
    .sort((a, b) => {
      const [x, y] = [sources[a.source] as Source, sources[b.source] as Source];
      return compareText(x.topicId, y.topicId) || x.partition - y.partition || a.sourceOffset - b.sourceOffset;
    });
  const ranges: { topic_id: string; topic: string; partition: number; from: number; to: number; source: number }[] = [];
  for (const hit of byPlace) {
    const source = sources[hit.source] as Source;
    const last = ranges.at(-1);
    if (last?.source === hit.source && hit.sourceOffset <= last.to) last.to = Math.max(last.to, hit.sourceOffset + 1);
    else {
      ranges.push({
        topic_id: source.topicId,
        topic: source.topic,
        partition: source.partition,
        from: hit.sourceOffset,
        to: hit.sourceOffset + 1,
        source: hit.source,
      });
    }
  }
  return ranges.map(({ source: _, ...range }) => range);
}

/** Source slot of chain hits that were applied inside one engine: they have no offset of their own. */
export const NO_SOURCE = -1;
