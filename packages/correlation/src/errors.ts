import { type ErrorCategory, type ErrorCode, TracehoundError } from '@tracehound/event-model';

/** What can stop a partition engine. Each names what must be done before it may go on. */
export type CorrelationErrorCode =
  | Extract<
      ErrorCode,
      | 'SEC_CORR_GAP'
      | 'SEC_CORR_STATE'
      | 'SEC_CORR_STATE_VERSION'
      | 'SEC_CORR_RULESET_UNKNOWN'
      | 'SEC_CORR_SOURCES_UNKNOWN'
      | 'SEC_CORR_ACTIVATION_UNKNOWN'
      | 'SEC_CORR_RULE_UNKNOWN'
    >
  | `SEC_CORR_${string}`;

/**
 * `SEC_CORR_GAP`: a batch is missing in `security.matches` (X5); stop, nothing may be skipped.
 * `SEC_CORR_RULESET_UNKNOWN`, `SEC_CORR_SOURCES_UNKNOWN`, `SEC_CORR_ACTIVATION_UNKNOWN`: read `detection.rules` and `detection.activations`
 * further, then apply the same batch again; the engine has not changed.
 */
export class CorrelationError extends TracehoundError {
  constructor(
    message: string,
    code: CorrelationErrorCode,
    fields: Readonly<Record<string, string | number>> = {},
    category: ErrorCategory = 'invariant',
  ) {
    super(message, { code, category, retriable: category === 'dependency', fields });
  }
}
