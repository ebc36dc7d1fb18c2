import { faultPoint } from '@tracehound/lifecycle';
import { verifyBearer } from '../domain/api-key.ts';
import type { AuthenticatedRequest, IntakeRequest } from '../domain/intake-request.ts';
import { type Admission, refuse } from '../domain/intake-request.ts';
import type { ApiKeySource } from '../ports.ts';

/** Who sends, by API key. Before a single byte of the body is read. */
export function createAuthenticateStage(
  keys: ApiKeySource,
): (request: IntakeRequest) => Admission<AuthenticatedRequest> {
  return function authenticate(request) {
    const caller = verifyBearer(request.authorization, keys.current());
    if (!caller) return refuse('unauthenticated');
    faultPoint('g:after-authenticate');
    return { ok: true, value: { ...request, caller } };
  };
}
