import { type ErrorCategory, type ErrorCode, TracehoundError } from '@tracehound/event-model';

/**
 * Something about the local servers that a person at the terminal has to read, so the message carries the remedy.
 * It never holds an address with a password. Codes: SEC_STACK_PREREQUISITE_MISSING, SEC_STACK_TOOL_FAILED (Maven, Go,
 * apt, initdb, docker), SEC_STACK_SERVER_FAILED (ended early or never became healthy), SEC_STACK_NOT_OURS (a server
 * named by the environment cannot be killed), SEC_STACK_LOCKED, SEC_STACK_UNKNOWN_PART, SEC_STACK_STATE_INVALID.
 */
export class StackError extends TracehoundError {
  constructor(code: ErrorCode, message: string, options: { category?: ErrorCategory; cause?: unknown } = {}) {
    super(message, { code, category: options.category ?? 'dependency', retriable: false, cause: options.cause });
  }
}
