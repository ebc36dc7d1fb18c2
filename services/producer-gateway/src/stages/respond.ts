import { InvariantError, type Verdict } from '@tracehound/event-model';
import { countOutcomes, type Outcome, type VerdictCounter } from '@tracehound/pipeline';
import type { Coordinates, ProducedEvent, RawEvent } from '../domain/intake-event.ts';
import { FORBIDDEN_REASONS } from '../errors.ts';

export type ResultStatus = 'accepted' | 'duplicate' | 'rejected' | 'retry';

/** What the client is told about one event; snake_case as everything on the wire. */
export type EventResult = {
  readonly index: number;
  readonly event_id: string | null;
  readonly status: ResultStatus;
  readonly code?: string;
  readonly detail?: string;
  readonly field?: string;
  readonly redactions?: readonly string[];
  readonly dedup?: 'unknown';
  readonly topic?: string;
  readonly partition?: number;
  /** Text, because offsets exceed 2^53. */
  readonly offset?: string;
};

export type BatchAnswer = {
  /** 200 all durable, 207 mixed, 403 or 422 all rejected, 503 none accepted and some to be sent again. */
  readonly status: 200 | 207 | 403 | 422 | 503;
  readonly counts: Readonly<Record<ResultStatus, number>>;
  readonly results: readonly EventResult[];
};

/**
 * The one place of the gateway where verdicts become an answer and a counter: consumed = sum of verdicts, here with
 * `retry`, since every event of a request is answered at once. Never 200 when anything was lost.
 */
export function createRespondStage(
  counter: VerdictCounter,
): (outcomes: readonly Outcome<RawEvent, ProducedEvent>[]) => BatchAnswer {
  return function respond(outcomes) {
    countOutcomes(outcomes, counter);
    const counts: Record<ResultStatus, number> = { accepted: 0, duplicate: 0, rejected: 0, retry: 0 };
    const results = outcomes.map(({ item, verdict }) => {
      const result = resultOf(item, verdict);
      counts[result.status]++;
      return result;
    });
    return { status: statusOf(results, counts), counts, results };
  };
}

function resultOf(item: RawEvent, verdict: Verdict<ProducedEvent>): EventResult {
  const { trail } = item;
  const shared = {
    index: item.index,
    event_id: trail.eventId,
    ...(trail.redactions.length === 0 ? {} : { redactions: trail.redactions }),
    ...(trail.dedup === 'unknown' ? { dedup: 'unknown' as const } : {}),
  };
  switch (verdict.kind) {
    case 'ok':
      return { ...shared, status: 'accepted', ...verdict.value.at };
    case 'redirect':
      // The only lane here is `duplicate`, whose value are the coordinates of the first copy.
      return { ...shared, status: 'duplicate', ...(verdict.value as Coordinates) };
    case 'deadLetter': {
      const field = 'field' in verdict && typeof verdict.field === 'string' ? verdict.field : '';
      return { ...shared, status: 'rejected', code: verdict.reason, detail: verdict.detail, field };
    }
    case 'retry':
      return { ...shared, status: 'retry', code: verdict.reason };
    case 'drop':
      throw new InvariantError('the gateway drops no event', { reason: verdict.reason });
  }
}

function statusOf(results: readonly EventResult[], counts: BatchAnswer['counts']): BatchAnswer['status'] {
  const durable = counts.accepted + counts.duplicate;
  if (durable === results.length) return 200;
  if (durable > 0) return 207;
  if (counts.retry > 0) return counts.rejected > 0 ? 207 : 503;
  return results.every((result) => FORBIDDEN_REASONS.has(result.code ?? '')) ? 403 : 422;
}
