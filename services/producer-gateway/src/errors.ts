import { type DeadLetter, deadLetter, type ErrorCode, TracehoundError } from '@tracehound/event-model';

/** Why a whole request is refused. Closed: it is the `reason` label of `gateway_refusals_total` and the `code` of the answer. */
export type RefusalReason =
  | 'unauthenticated'
  | 'rate_limited'
  | 'overloaded'
  | 'unsupported_media_type'
  | 'unsupported_encoding'
  | 'body_too_large'
  | 'compression_ratio'
  | 'corrupt_encoding'
  | 'body_aborted'
  | 'invalid_utf8'
  | 'malformed_json'
  | 'duplicate_key'
  | 'wrong_form'
  | 'empty_batch'
  | 'too_many_events';

/** HTTP status and title of each refusal. Titles hold no data of the request. */
export const REFUSALS: Readonly<Record<RefusalReason, { readonly status: number; readonly title: string }>> = {
  unauthenticated: { status: 401, title: 'The API key is missing or unknown.' },
  rate_limited: { status: 429, title: 'This API key sends faster than it may.' },
  overloaded: { status: 503, title: 'The gateway has as many requests as it can hold.' },
  unsupported_media_type: { status: 415, title: 'Send application/json or application/x-ndjson.' },
  unsupported_encoding: { status: 415, title: 'Send the body plain or as gzip, br or zstd.' },
  body_too_large: { status: 413, title: 'The body is larger than allowed.' },
  compression_ratio: { status: 413, title: 'The body grows too much when it is decompressed.' },
  corrupt_encoding: { status: 400, title: 'The body cannot be decompressed.' },
  body_aborted: { status: 400, title: 'The body ended early.' },
  invalid_utf8: { status: 400, title: 'The body is not UTF-8.' },
  malformed_json: { status: 400, title: 'The body is not JSON.' },
  duplicate_key: { status: 400, title: 'A key occurs twice in one object.' },
  wrong_form: { status: 400, title: 'The body must be an event, a list of events, or {"events": [...]}.' },
  empty_batch: { status: 400, title: 'The body holds no event.' },
  too_many_events: { status: 413, title: 'The request holds more events than allowed.' },
};

/** Why one event is rejected for good. Closed: metric label and `code` of its result. */
export type RejectionReason =
  | 'malformed_json'
  | 'duplicate_key'
  | 'event_too_large'
  | 'not_an_object'
  | 'missing_field'
  | 'unknown_field'
  | 'wrong_type'
  | 'invalid_value'
  | 'too_long'
  | 'too_many_keys'
  | 'too_many_fields'
  | 'unknown_event_type'
  | 'organization_required'
  | 'server_owned_field'
  | 'forbidden_organization'
  | 'not_encodable';

/** Reasons that say the key may not write there: 403 when all events of a request have one of them. */
export const FORBIDDEN_REASONS: ReadonlySet<string> = new Set(['server_owned_field', 'forbidden_organization']);

/** Why an event should be sent again. */
export type RetryReason = 'produce_unknown' | 'registry_unavailable';

/** An API key file that cannot be used; the gateway does not start with it, and keeps the old keys when it changes. */
export class ApiKeysError extends TracehoundError {
  constructor(message: string, cause?: unknown) {
    super(message, {
      code: 'SEC_GATEWAY_API_KEYS' satisfies ErrorCode,
      category: 'invalid_input',
      retriable: false,
      cause,
    });
  }
}

/** Schema ids are not found yet: the events are fine and may come again. */
export class SchemasMissingError extends TracehoundError {
  constructor() {
    super('schema ids are not found yet', {
      code: 'SEC_GATEWAY_SCHEMAS_MISSING',
      category: 'dependency',
      retriable: true,
    });
  }
}

/** A rejection: a `deadLetter` verdict that also names the position in the event (JSON pointer, RFC 6901). */
export type Rejection = DeadLetter<RejectionReason> & { readonly field: string };

export function reject(reason: RejectionReason, field: string, detail: string): Rejection {
  return { ...deadLetter(reason, detail), field };
}
