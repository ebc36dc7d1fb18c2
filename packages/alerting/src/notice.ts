import type { TriageGuide } from '@tracehound/event-model';
import type { AlertRecord } from './alert-record.ts';
import { noticeId } from './delivery-id.ts';
import { explainRule, inWords } from './explain-rule.ts';
import { type Severity, severityOf } from './severity.ts';
import type { NoticeReason } from './suppression.ts';
import { acknowledgedAt, buildTimeline, type EvidenceEvent, shortenTimeline, type TimelineEntry } from './timeline.ts';

/** A notice this much older than the alert record it tells of says so (X16). */
export const NOTICE_LATE_MS: number = 5 * 60_000;

/** Standard Webhooks advises bodies under 20 kB: 50 ids of 36 characters and 20 tags of 64 leave room for the timeline. */
const EVIDENCE_IDS_MAX = 50;
const TAGS_MAX = 20;
const TEXT_CHARACTERS_MAX = 500;
/** Eleven triage texts of 250 characters: under 3 kB of Latin text. The whole guide is at the link. */
const TRIAGE = { listMax: 5, charactersMax: 250 } as const;

/**
 * What a person is told, stored once and rendered per receiver. `thin` notices hold nothing that needs the audit store
 * (X16): severity, rule, alert id, link, and the promise of details.
 */
export type Notice = {
  readonly notice_id: string;
  readonly reason: NoticeReason | 'completed';
  readonly thin: boolean;
  readonly organization_id: string;
  /** The alert an analyst opens; `record_id` and `revision` name the record that caused this notice. */
  readonly alert_id: string;
  readonly record_id: string;
  readonly revision: number;
  readonly severity: Severity;
  readonly title: string;
  readonly rule: {
    readonly id: string;
    readonly type: string;
    readonly level: string;
    readonly author: string | null;
    readonly status: string | null;
    readonly tags: readonly string[];
    readonly ruleset_id: string;
  };
  readonly link: string;
  /** LogAppendTime of the alert record: when the alert fired, by the broker's clock. */
  readonly fired_at: number;
  /** Absent from thin notices. */
  readonly details: NoticeDetails | null;
};

export type NoticeDetails = {
  readonly why: string;
  readonly description: string | null;
  /** What the rule's author tells whoever looks at it, shortened; absent when the rule has no guide. */
  readonly triage?: TriageGuide;
  readonly group: readonly { readonly field: string; readonly value: string | null }[];
  readonly count: { readonly value: number; readonly exact: boolean };
  readonly first_at: number;
  readonly last_at: number;
  readonly timeline: readonly TimelineEntry[];
  readonly timeline_total: number;
  /** Evidence events that were not in the audit store when the notice was made. */
  readonly evidence_missing: number;
  readonly event_ids: readonly string[];
  readonly flags: readonly string[];
  /** The gateway's acceptance of the last evidence event, from which delivery is measured. */
  readonly acknowledged_at: number | null;
};

export type NoticeInput = {
  readonly record: AlertRecord;
  readonly reason: NoticeReason | 'completed';
  /** Id of the alert the record belongs to. */
  readonly alertId: string;
  readonly firedAtMs: number;
  readonly linkBase: string;
  /** Null = thin: the audit store could not be asked. */
  readonly evidence: { readonly events: readonly EvidenceEvent[]; readonly count: NoticeDetails['count'] } | null;
};

/** Builds a notice; equal input gives equal bytes. */
export function buildNotice(input: NoticeInput): Notice {
  const { record } = input;
  const thin = input.evidence === null;
  return {
    notice_id: noticeId(record, { thin }),
    reason: input.reason,
    thin,
    organization_id: record.organization_id,
    alert_id: input.alertId,
    record_id: record.alert_id,
    revision: record.revision,
    severity: severityOf(record.rule.level),
    title: input.reason === 'degraded' ? `Detection degraded: ${record.rule.title}` : record.rule.title,
    rule: {
      id: record.rule.rule_id,
      type: record.rule.type,
      level: record.rule.level,
      author: record.rule.author,
      status: record.rule.status,
      tags: record.rule.tags.slice(0, TAGS_MAX),
      ruleset_id: record.rule.ruleset_id,
    },
    link: alertLink(input.linkBase, input.alertId),
    fired_at: input.firedAtMs,
    details: input.evidence === null ? null : details(record, input.evidence),
  };
}

/** Evidence ids in the order of the record, then its samples, each once. */
export function evidenceIds(
  record: Pick<AlertRecord, 'event_ids' | 'sample_event_ids' | 'trigger_event_id'>,
): readonly string[] {
  const trigger = record.trigger_event_id === null ? [] : [record.trigger_event_id];
  return [...new Set([...record.event_ids, ...trigger, ...record.sample_event_ids])];
}

export function alertLink(base: string, alertId: string): string {
  return `${base.replace(/\/+$/, '')}/v1/alerts/${alertId}`;
}

/** What to say about the age of a notice at the moment it is sent; null while it is fresh. */
export function latenessNote(
  firedAtMs: number,
  nowMs: number,
  lateMs: number = NOTICE_LATE_MS,
): { readonly late_ms: number; readonly note: string } | null {
  const ageMs = nowMs - firedAtMs;
  if (ageMs < lateMs) return null;
  const words = inWords(Math.floor(ageMs / 60_000) * 60_000 || ageMs);
  return { late_ms: ageMs, note: `This notice is late: the alert fired ${words} ago.` };
}

function details(record: AlertRecord, evidence: NonNullable<NoticeInput['evidence']>): NoticeDetails {
  const ids = evidenceIds(record);
  const timeline = buildTimeline(evidence.events);
  const flags = (['degraded', 'recovered', 'approx'] as const).filter((flag) => record[flag]);
  return {
    why: explainRule(record),
    description: record.rule.description === null ? null : record.rule.description.slice(0, TEXT_CHARACTERS_MAX),
    ...(record.rule.triage ? { triage: shortenTriage(record.rule.triage) } : {}),
    group: record.group,
    count: evidence.count,
    first_at: record.first_at,
    last_at: record.last_at,
    timeline: shortenTimeline(timeline),
    timeline_total: timeline.length,
    evidence_missing: Math.max(0, ids.length - timeline.length),
    event_ids: ids.slice(0, EVIDENCE_IDS_MAX),
    flags,
    acknowledged_at: acknowledgedAt(evidence.events),
  };
}

function shortenTriage({ meaning, false_positives, next_steps }: TriageGuide): TriageGuide {
  const short = (text: string): string => text.slice(0, TRIAGE.charactersMax);
  return {
    meaning: meaning === null ? null : short(meaning),
    false_positives: false_positives.slice(0, TRIAGE.listMax).map(short),
    next_steps: next_steps.slice(0, TRIAGE.listMax).map(short),
  };
}
