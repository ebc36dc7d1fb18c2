import { ok, type Verdict } from '@tracehound/event-model';
import type { AuditRow, RecordKind } from '../domain/audit-row.ts';
import { project } from '../domain/projection.ts';
import type { SinkReason } from '../reasons.ts';
import type { DecodedRecord } from './decode.ts';

/** A record to the one form that is stored: safe text, bounded index keys, closed words, UUIDs in one spelling. */
export function createCanonicaliseStage(kind: RecordKind) {
  return function canonicalise(record: DecodedRecord): Verdict<AuditRow, SinkReason> {
    const verdict = project(kind, record.decoded);
    return verdict.kind === 'ok' ? ok({ origin: record.origin, projection: verdict.value }) : verdict;
  };
}
