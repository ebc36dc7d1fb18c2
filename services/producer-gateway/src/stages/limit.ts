import type { InFlight } from '../domain/in-flight.ts';
import { type Admission, type AuthenticatedRequest, refuse } from '../domain/intake-request.ts';
import type { TokenBuckets } from '../domain/token-bucket.ts';
import type { Clock } from '../ports.ts';

/** Refuses before the body is read: a body known to be too large, a key in debt, a gateway that holds enough requests. */
export function createLimitStage(options: {
  readonly bodyBytesMax: number;
  readonly requestsMax: number;
  readonly inFlight: InFlight;
  readonly buckets: TokenBuckets;
  readonly steadyNow: Clock;
}): (request: AuthenticatedRequest) => Admission<AuthenticatedRequest> {
  return function limit(request) {
    if (options.inFlight.count() > options.requestsMax) return refuse('overloaded', { retryAfterS: 1 });
    if ((request.contentLength ?? 0) > options.bodyBytesMax) {
      return refuse('body_too_large', { detail: `at most ${options.bodyBytesMax} bytes are allowed` });
    }
    const waitMs = options.buckets.waitMs(request.caller.keyId, options.steadyNow());
    // A pause above 300 s tells a client nothing more; it asks again then.
    if (waitMs > 0) return refuse('rate_limited', { retryAfterS: Math.min(300, Math.ceil(waitMs / 1_000)) });
    return { ok: true, value: request };
  };
}
