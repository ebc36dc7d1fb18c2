import type { AuthenticationEventInput } from '@tracehound/event-model';

/** A failed login with only what has no default. */
export function login(overrides: Partial<AuthenticationEventInput['envelope']> = {}): AuthenticationEventInput {
  return {
    envelope: {
      event_id: '018f0000-0000-7000-8000-000000000001',
      event_type: 'auth.login.failure',
      family: 'auth',
      category: 'authentication',
      event_time: 1_700_000_000_000,
      received_at: 1_700_000_000_100,
      intake_org: 'acme',
      cluster_id: 'local',
      source: { platform: 'javascript' },
      ...overrides,
    },
  };
}
