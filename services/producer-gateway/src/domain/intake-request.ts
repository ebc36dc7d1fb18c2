import type { RefusalReason } from '../errors.ts';
import type { Caller } from './api-key.ts';

/** What is known of a request before its body is read. */
export type IntakeRequest = {
  readonly authorization: string | undefined;
  /** Bytes on the wire as announced; null when not announced. */
  readonly contentLength: number | null;
};

export type AuthenticatedRequest = IntakeRequest & { readonly caller: Caller };

/** A request is refused as a whole, or goes on. `field` is a header name or a JSON pointer into the body. */
export type Refusal = {
  readonly ok: false;
  readonly reason: RefusalReason;
  readonly detail: string | null;
  readonly field: string | null;
  readonly retryAfterS: number | null;
};

export type Admission<T> = { readonly ok: true; readonly value: T } | Refusal;

export function refuse(
  reason: RefusalReason,
  more: { readonly detail?: string; readonly field?: string; readonly retryAfterS?: number } = {},
): Refusal {
  return {
    ok: false,
    reason,
    detail: more.detail ?? null,
    field: more.field ?? null,
    retryAfterS: more.retryAfterS ?? null,
  };
}
