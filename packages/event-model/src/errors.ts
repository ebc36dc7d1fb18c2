/** Closed list; doubles as the `category` metric label. */
export type ErrorCategory =
  | 'invalid_input'
  | 'unauthorized'
  | 'not_found'
  | 'conflict'
  | 'overload'
  | 'timeout'
  | 'network'
  | 'dependency'
  | 'permanent'
  | 'invariant';

/** Shape `SEC_<AREA>_<WHAT>`; stable, documented, safe to show. */
export type ErrorCode = `SEC_${string}`;

export type TracehoundErrorOptions = {
  readonly code: ErrorCode;
  readonly category: ErrorCategory;
  /** May the same call succeed later without a change by the caller? */
  readonly retriable: boolean;
  readonly cause?: unknown;
  /** Ids and coordinates only: never payloads, secrets or personal data. */
  readonly fields?: Readonly<Record<string, string | number | bigint | boolean>>;
};

/**
 * Base of every error class here. The message is constant text; what varies lies in `fields`, so that
 * logs group well and personal data cannot leak through a message.
 */
export class TracehoundError extends Error {
  readonly code: ErrorCode;
  readonly category: ErrorCategory;
  readonly retriable: boolean;
  readonly fields: Readonly<Record<string, string | number | bigint | boolean>>;

  constructor(message: string, options: TracehoundErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = options.code;
    this.category = options.category;
    this.retriable = options.retriable;
    this.fields = options.fields ?? {};
  }
}

/** A state that correct code cannot reach. It stops a consumer; the offset stays uncommitted, so nothing is lost. */
export class InvariantError extends TracehoundError {
  constructor(message: string, fields?: TracehoundErrorOptions['fields']) {
    super(message, {
      code: 'SEC_CORE_INVARIANT',
      category: 'invariant',
      retriable: false,
      ...(fields ? { fields } : {}),
    });
  }
}

/** Throws `InvariantError` unless `condition` holds. For programmer errors only. */
export function invariant(
  condition: unknown,
  message: string,
  fields?: TracehoundErrorOptions['fields'],
): asserts condition {
  if (!condition) throw new InvariantError(message, fields);
}

/** Total classification of anything caught: never throws. Unknown errors count as retriable dependencies. */
export function classifyError(error: unknown): { code: ErrorCode; category: ErrorCategory; retriable: boolean } {
  if (error instanceof TracehoundError) return error;
  return { code: 'SEC_CORE_UNCLASSIFIED', category: 'dependency', retriable: true };
}
