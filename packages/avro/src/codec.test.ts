import { type AuthenticationEventInput, RECORD } from '@tracehound/event-model';
import { expect, test } from 'vitest';
import { createAvroCodec, createMemoryRegistry, registerRecords } from './index.ts';

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

test('a record comes back with its defaults filled in', async () => {
  const registry = createMemoryRegistry();
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare([RECORD.AuthenticationEvent]);
  const decoded = await codec.decode(codec.encode(RECORD.AuthenticationEvent, login({ tags: { b: '2', a: '1' } })));
  expect(decoded.name).toBe(RECORD.AuthenticationEvent);
  expect(decoded.value).toMatchObject({
    schema_rev: 1,
    envelope: { outcome: 'UNKNOWN', tags: { a: '1', b: '2' }, trace: null },
    payload: {},
  });
});
