import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type AuthenticationEvent,
  createFieldView,
  type EventEnvelope,
  type ExternalEvent,
  flattenExternal,
  parseJsonExact,
} from './index.ts';

const ENVELOPE: EventEnvelope = {
  event_id: '018f0000-0000-7000-8000-000000000001',
  event_type: 'auth.login.failure',
  family: 'auth',
  category: 'authentication',
  severity: 'MEDIUM',
  outcome: 'FAILURE',
  occurred_at: 1_700_000_000_000,
  event_time: 1_700_000_000_000,
  event_time_source: 'OCCURRED',
  clock_skew_ms: null,
  received_at: 1_700_000_000_100,
  organization_id: 'acme',
  intake_org: 'acme',
  cluster_id: 'local',
  trace: { trace_id: 't'.repeat(32), span_id: 's'.repeat(16), parent_span_id: null, trust: 'AUTHENTICATED' },
  actor: { type: 'user', id: 'u1', name: 'Ada' },
  subject: null,
  source: { platform: 'rust-cli', service: 'verify', version: null, sdk: null, instance: 'i1', seq: 7 },
  network: { ip: null, ip_hash: 'ab12', ip_hash_kid: 'k1', country: 'DE', asn: 64_500, user_agent: 'curl/8' },
  session_id: 's1',
  request_id: null,
  error: { code: 'BAD', message: null },
  tags: { env: 'prod' },
  metadata: { region: 'eu', 'dotted.key': 'v' },
  redactions: ['payload.note:email'],
  flags: ['skewed'],
};

const LOGIN: AuthenticationEvent = {
  schema_rev: 1,
  envelope: ENVELOPE,
  payload: { auth_method: 'password', attempted_user: 'root', event_type: 'forged', 'actor.name': 'forged' },
  changes: [
    { field: 'plan', old_value: 'free', new_value: null },
    { field: 'seats', old_value: '1', new_value: '2' },
  ],
  method: 'password',
  mfa_method: null,
  mfa_used: false,
  key_id: null,
  algorithm: null,
  failure_reason: 'bad_credentials',
  token_id: null,
  device_id: null,
};

describe('a native event', () => {
  const view = createFieldView(LOGIN);
  test.each([
    ['event_type', ['auth.login.failure']],
    ['outcome', ['FAILURE']],
    ['organization_id', ['acme']],
    ['severity', ['MEDIUM']],
    ['actor.id', ['u1']],
    ['network.ip_hash', ['ab12']],
    ['network.asn', [64_500]],
    ['source.platform', ['rust-cli']],
    ['source.seq', [7]],
    ['session_id', ['s1']],
    ['trace_id', ['t'.repeat(32)]],
    ['span_id', ['s'.repeat(16)]],
    ['metadata.region', ['eu']],
    ['metadata.dotted.key', ['v']],
    ['tags.env', ['prod']],
    ['auth_method', ['password']],
    ['mfa_used', [false]],
    ['failure_reason', ['bad_credentials']],
    ['changes.field', ['plan', 'seats']],
    ['changes.new_value', [null, '2']],
    ['flags', ['skewed']],
  ])('%s', (field, values) => {
    expect(view.values(field)).toEqual(values);
  });

  test.each([
    'subject.id',
    'network.ip',
    'request_id',
    'mfa_method',
    'nonsense',
    'constructor',
    '__proto__',
    'metadata.toString',
    'envelope',
    'payload',
    'Event_Type',
  ])('%s is absent', (field) => {
    expect(view.values(field)).toBeUndefined();
  });

  test('a payload key cannot pass for an envelope field, not even where that is null', () => {
    const forged = createFieldView({
      ...LOGIN,
      envelope: { ...ENVELOPE, organization_id: null, actor: null },
      payload: { organization_id: 'victim', 'actor.id': 'admin', 'tags.env': 'forged' },
    });
    expect(forged.values('organization_id')).toBeUndefined();
    expect(forged.values('actor.id')).toBeUndefined();
    expect(forged.values('tags.env')).toEqual(['prod']);
  });

  test('fields lists exactly what values knows, each once', () => {
    const names = [...view.fields()];
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(view.values(name), name).toBeDefined();
    expect(names).toEqual(
      expect.arrayContaining([
        'event_type',
        'trace_id',
        'metadata.region',
        'attempted_user',
        'mfa_used',
        'changes.field',
      ]),
    );
    expect(names).not.toContain('actor.name.forged');
    expect(names).not.toContain('mfa_method');
  });

  test('keywords tell what happened, without ids and bookkeeping', () => {
    const words = [...view.keywords()];
    expect(words).toEqual(
      expect.arrayContaining(['auth.login.failure', 'Ada', 'curl/8', 'root', 'prod', 'bad_credentials']),
    );
    for (const hidden of ['local', ENVELOPE.event_id, 'k1', 'acme']) expect(words).not.toContain(hidden);
  });

  test('its log source is the family', () => {
    expect(view.logSource).toEqual({ product: 'tracehound', service: 'auth', category: 'authentication' });
  });
});

describe('a third-party log', () => {
  const line =
    readFileSync(join(import.meta.dirname, '../../../schemas/fixtures/cloudtrail-stratus.ndjson'), 'utf8').split(
      '\n',
    )[0] ?? '';
  const event: ExternalEvent = {
    schema_rev: 1,
    envelope: { ...ENVELOPE, event_type: 'external.event', family: 'external' },
    log_source: { product: 'aws', service: 'cloudtrail', category: null },
    fields: flattenExternal(parseJsonExact(line)),
  };
  const view = createFieldView(event);

  test('keeps its native names, then shows the envelope', () => {
    const native = JSON.parse(line) as { eventName: string; userIdentity: { type: string } };
    expect(view.values('eventName')).toEqual([native.eventName]);
    expect(view.values('userIdentity.type')).toEqual([native.userIdentity.type]);
    expect(view.values('trace_id')).toEqual(['t'.repeat(32)]);
    expect(view.values('nonsense')).toBeUndefined();
    expect(view.logSource).toEqual({ product: 'aws', service: 'cloudtrail', category: null });
  });

  test('a native field goes before an envelope field of its name; keywords are native only', () => {
    const shadowing = createFieldView({ ...event, fields: flattenExternal({ session_id: 'native', list: [] }) });
    expect(shadowing.values('session_id')).toEqual(['native']);
    expect(shadowing.values('list')).toEqual([]);
    expect([...shadowing.keywords()]).toEqual(['native']);
    const names = [...shadowing.fields()];
    expect(names.filter((name) => name === 'session_id')).toHaveLength(1);
    for (const name of names) expect(shadowing.values(name)).toBeDefined();
  });
});
