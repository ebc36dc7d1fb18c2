/**
 * Ring 0: the words every other package shares - verdicts, errors, ids, the event catalogue and the record
 * types generated from `schemas/`. It does no I/O, reads no clock, and depends on nothing.
 */
export {
  APPROVALS_HEADER,
  type Approval,
  type ApprovalPolicy,
  approvalsOf,
  approve,
  approvedBy,
  isApproved,
  isKeyRole,
  KEY_ROLES,
  parseApprovalPolicy,
} from './activation-approval.ts';
export {
  type ApprovalVerdict,
  BREAKER_MS_MAX,
  type HeldActivations,
  isBreakerSigned,
  judgeActivation,
} from './breaker-approval.ts';
export * from './errors.ts';
export * from './event-types.ts';
export * from './external-fields.ts';
export * from './field-view.ts';
export * from './generated/event-types.ts';
export type { DeadLetter as DeadLetterRecord, DeadLetterInput as DeadLetterRecordInput } from './generated/records.ts';
export * from './generated/records.ts';
export * from './generated/schemas.ts';
export * from './generated/topics.ts';
export * from './ids.ts';
export * from './intake-topics.ts';
export * from './json-numbers.ts';
export * from './markers.ts';
export * from './topics.ts';
export * from './tracing.ts';
// The verdict keeps the short name; the record on a dead-letter topic is `DeadLetterRecord`.
export type { DeadLetter } from './verdict.ts';
export * from './verdict.ts';
