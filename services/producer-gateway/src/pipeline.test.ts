import { createHash } from 'node:crypto';
import { createAvroCodec, createMemoryRegistry, type DecodedRecord, registerRecords } from '@tracehound/avro';
import { createEnrichment, daysIdle, geoSpeed, newDevice, newNetwork } from '@tracehound/enrich';
import { ENRICHED_FIELDS, EVENT_TYPES } from '@tracehound/event-model';
import { manualClock, sfc32 } from '@tracehound/testkit';
import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAvroEvents, WRITTEN_RECORDS } from './adapters/avro-events.ts';
import {
  createMemoryEnrichmentStates,
  createMemoryRecentEvents,
  createMemoryTopics,
  type MemoryEnrichmentStates,
  type MemoryRecentEvents,
  type MemoryTopics,
} from './adapters/memory-ports.ts';
import { type ApiKeys, parseApiKeys } from './domain/api-key.ts';
import type { BodyKind } from './domain/event-list.ts';
import { createInFlight, type InFlight } from './domain/in-flight.ts';
import { hashAddress, ipHashKey } from './domain/ip-hash.ts';
import { createTokenBuckets } from './domain/token-bucket.ts';
import { parseTraceparent } from './domain/trace-context.ts';
import { createGatewayPipeline, type GatewayPipeline } from './pipeline.ts';
import type { EventEncoder } from './ports.ts';
import type { BatchAnswer, EventResult } from './stages/respond.ts';

const NOW = Date.parse('2026-11-21T12:00:00.000Z');
const sha256 = createHash('sha256').update('s3cret').digest('hex');
const keys: ApiKeys = parseApiKeys(
  JSON.stringify([
    { key_id: 'acme', sha256, organizations: ['acme'] },
    { key_id: 'two', sha256, organizations: ['acme', 'globex'] },
    { key_id: 'platform', sha256, organizations: 'platform' },
  ]),
);
const registry = createMemoryRegistry();
const codec = createAvroCodec({ registry });
const addressKey = ipHashKey('k'.repeat(32));

beforeAll(async () => {
  await registerRecords(registry, WRITTEN_RECORDS);
  await codec.prepare(WRITTEN_RECORDS);
});

type Counted = { consumed: number; verdicts: Map<string, number> };

let topics: MemoryTopics;
let recent: MemoryRecentEvents;
let states: MemoryEnrichmentStates;
const PLACES = new Map([
  ['192.0.2.1', { country: 'DE', asn: 64_500, place: { latitude: 52.5, longitude: 13.4 } }],
  ['198.51.100.1', { country: 'AU', asn: 64_501, place: { latitude: -33.9, longitude: 151.2 } }],
]);
let counted: Counted;
let inFlight: InFlight;
let clock: ReturnType<typeof manualClock>;
let pipeline: GatewayPipeline;
let rawAddresses: 'hash' | 'keep';

function build(encoder: EventEncoder = codec): GatewayPipeline {
  return createGatewayPipeline({
    keys: { current: () => keys },
    encoder,
    producer: topics,
    recent,
    enrichment: createEnrichment([daysIdle, geoSpeed, newDevice, newNetwork]),
    states,
    geo: (address) => PLACES.get(address) ?? { country: null, asn: null, place: null },
    buckets: createTokenBuckets({ perSecond: 100, burst: 1_000 }),
    counter: {
      consumed: (count) => {
        counted.consumed += count;
      },
      verdict: (stage, kind, reason, count) => {
        const name = [stage, kind, reason].filter(Boolean).join('/');
        counted.verdicts.set(name, (counted.verdicts.get(name) ?? 0) + count);
      },
    },
    now: () => clock.now(),
    steadyNow: () => clock.now(),
    topicName: (topic) => `ns.${topic}`,
    clusterId: 'test',
    ipHashKey: addressKey,
    rawAddresses,
    futureAllowanceMs: 60_000,
    bodyBytesMax: 1_048_576,
    eventBytesMax: 65_536,
    externalBytesMax: 1_048_576,
    eventsMax: 512,
    requestsMax: 2,
    inFlight,
  });
}

beforeEach(() => {
  topics = createMemoryTopics();
  recent = createMemoryRecentEvents();
  states = createMemoryEnrichmentStates();
  counted = { consumed: 0, verdicts: new Map() };
  inFlight = createInFlight();
  clock = manualClock(NOW);
  rawAddresses = 'hash';
  pipeline = build();
});

async function send(
  body: unknown,
  options: { key?: string; kind?: BodyKind; traceparent?: string } = {},
): Promise<BatchAnswer> {
  const admitted = pipeline.admit({ authorization: `Bearer ${options.key ?? 'platform'}.s3cret`, contentLength: null });
  if (!admitted.ok) throw new Error(admitted.reason);
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const trace = options.traceparent ? parseTraceparent(options.traceparent) : null;
  const answer = await pipeline.take(admitted.value, { kind: options.kind ?? 'json', plain: Buffer.from(text), trace });
  if (!answer.ok) throw new Error(answer.reason);
  return answer.value;
}

async function sendOne(event: object, options: Parameters<typeof send>[1] = {}): Promise<EventResult> {
  const [result] = (await send(event, options)).results;
  if (!result) throw new Error('no result');
  return result;
}

async function written(): Promise<Extract<DecodedRecord['value'], { envelope: unknown }>> {
  const record = topics.records.at(-1);
  if (!record) throw new Error('nothing was written');
  const { value } = await codec.decode(record.value);
  if (!('envelope' in value)) throw new Error('the record is no event');
  return value;
}

/** Decoded maps have no prototype, which `toEqual` would otherwise tell apart. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const ID = '0190163d-8694-739b-aea5-966c26f8ad91';
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const event = {
  event_id: ID,
  event_type: 'auth.login.failure',
  occurred_at: '2026-11-21T11:59:00Z',
  organization_id: 'acme',
  source: { platform: 'javascript', service: 'web shop', version: '1.2.3', sdk: 'th-js/0.1', instance: 'i1', seq: 7 },
};
const external = {
  external: true,
  organization_id: 'acme',
  log_source: { product: 'aws', service: 'cloudtrail' },
  source: { platform: 'aws' },
  event: { eventName: 'ConsoleLogin', requestID: 1, big: { id: 12345678901234567890n.toString() }, tags: ['a', 'b'] },
};

test('the way of an event', () => {
  expect(pipeline.stops).toEqual([
    'decode',
    'validate',
    'sanitise',
    'enrich',
    'deduplicate',
    'recall',
    'encode',
    'produce',
  ]);
});

describe('admit', () => {
  test('refuses an unknown key', () => {
    expect(pipeline.admit({ authorization: 'Bearer acme.wrong', contentLength: null })).toMatchObject({
      ok: false,
      reason: 'unauthenticated',
    });
  });

  test('refuses a body known to be too large before it is read', () => {
    expect(pipeline.admit({ authorization: 'Bearer acme.s3cret', contentLength: 1_048_577 })).toMatchObject({
      reason: 'body_too_large',
    });
  });

  test('refuses what it cannot hold', () => {
    const leave = [inFlight.enter(), inFlight.enter(), inFlight.enter()];
    expect(pipeline.admit({ authorization: 'Bearer acme.s3cret', contentLength: 1 })).toMatchObject({
      reason: 'overloaded',
      retryAfterS: 1,
    });
    leave[0]?.();
    leave[0]?.();
    expect(pipeline.admit({ authorization: 'Bearer acme.s3cret', contentLength: 1 }).ok).toBe(true);
  });

  test('refuses a key in debt until the debt is paid, and no other key', async () => {
    for (let i = 0; i < 3; i++)
      await send(
        Array.from({ length: 400 }, () => ({ ...event, event_id: undefined })),
        { key: 'acme' },
      );
    const again = (key: string): unknown =>
      pipeline.admit({ authorization: `Bearer ${key}.s3cret`, contentLength: null });
    expect(again('acme')).toMatchObject({ reason: 'rate_limited', retryAfterS: 2 });
    expect(again('two')).toMatchObject({ ok: true });
    clock.advance(2_000);
    expect(again('acme')).toMatchObject({ ok: true });
  });
});

describe('a native event', () => {
  test('is written under its key with CloudEvents headers and every field in place', async () => {
    const result = await sendOne({
      ...event,
      trace: { trace_id: TRACE, span_id: SPAN, parent_span_id: null },
      actor: { type: 'user', id: 'u1', name: 'Ann' },
      subject: { id: 's1' },
      network: { ip: '::ffff:203.0.113.7', user_agent: 'curl/8' },
      session_id: 'sess',
      request_id: 'req',
      severity: 'warning',
      outcome: 'failure',
      error: { code: 'E1', message: 'no such user' },
      payload: { auth_method: 'password', mfa_used: true, attempts: 3, failure_reason: 'bad_credentials', empty: null },
      changes: [{ field: 'email', old_value: 'a', new_value: null }],
      metadata: { region: 'eu', count: 12345678901234567000 },
      tags: { team: 'red' },
    });
    expect(result).toEqual({
      index: 0,
      event_id: ID,
      status: 'accepted',
      topic: 'ns.security.events',
      partition: 0,
      offset: '0',
    });
    expect(topics.records[0]).toMatchObject({
      topic: 'ns.security.events',
      key: `acme|${ID}`,
      headers: {
        ce_specversion: '1.0',
        ce_id: ID,
        ce_type: 'auth.login.failure',
        ce_source: '/javascript/web%20shop',
        ce_time: '2026-11-21T11:59:00.000Z',
        ce_traceparent: `00-${TRACE}-${SPAN}-00`,
        'content-type': 'application/avro',
        th_org: 'acme',
      },
    });
    expect(plain(await written())).toEqual({
      schema_rev: 1,
      envelope: {
        event_id: ID,
        event_type: 'auth.login.failure',
        family: 'auth',
        category: 'authentication',
        severity: 'MEDIUM',
        outcome: 'FAILURE',
        occurred_at: NOW - 60_000,
        event_time: NOW - 60_000,
        event_time_source: 'OCCURRED',
        clock_skew_ms: null,
        received_at: NOW,
        organization_id: 'acme',
        intake_org: 'acme',
        cluster_id: 'test',
        trace: { trace_id: TRACE, span_id: SPAN, parent_span_id: null, trust: 'AUTHENTICATED' },
        actor: { type: 'user', id: 'u1', name: 'Ann' },
        subject: { type: 'user', id: 's1', name: null },
        source: event.source,
        network: {
          ip: null,
          ip_hash: hashAddress('203.0.113.7', addressKey),
          ip_hash_kid: addressKey.kid,
          country: null,
          asn: null,
          user_agent: 'curl/8',
        },
        session_id: 'sess',
        request_id: 'req',
        error: { code: 'E1', message: 'no such user' },
        tags: { team: 'red' },
        metadata: { region: 'eu', count: '12345678901234567000' },
        redactions: [],
        flags: [],
      },
      payload: { auth_method: 'password', mfa_used: 'true', attempts: '3', failure_reason: 'bad_credentials' },
      changes: [{ field: 'email', old_value: 'a', new_value: null }],
      method: null,
      mfa_method: null,
      mfa_used: true,
      key_id: null,
      algorithm: null,
      failure_reason: 'bad_credentials',
      token_id: null,
      device_id: null,
    });
  });

  test('needs little: type, organization and platform; actor and address may be missing', async () => {
    const result = await sendOne({
      event_type: 'auth.logout',
      organization_id: 'acme',
      source: { platform: 'rust-cli' },
    });
    expect(result).toMatchObject({ status: 'accepted', event_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/) });
    const { envelope } = await written();
    expect(envelope).toMatchObject({
      actor: null,
      network: null,
      trace: null,
      severity: 'INFORMATIONAL',
      outcome: 'SUCCESS',
    });
    expect(envelope).toMatchObject({ event_time: NOW, event_time_source: 'UUID', occurred_at: null });
  });

  test('without any time gets the time of receipt, flagged', async () => {
    await sendOne({ ...event, event_id: '4bf92f35-77b3-4da6-a3ce-929d0e0e4736', occurred_at: null });
    const { envelope } = await written();
    expect(envelope).toMatchObject({ event_time: NOW, event_time_source: 'RECEIVED', flags: ['et_received'] });
  });

  test('an alias is resolved and its word kept (R-103)', async () => {
    await sendOne({ ...event, event_type: 'login_failed', tags: { a: 'b' } });
    const { envelope } = await written();
    expect(envelope.event_type).toBe('auth.login.failure');
    expect(plain(envelope.tags)).toEqual({ a: 'b', event_type_original: 'login_failed' });
  });

  test('every catalogued type is taken, on the topic the catalogue says', async () => {
    const native = EVENT_TYPES.filter((type) => type.record !== 'ExternalEvent');
    const answer = await send(native.map((type) => ({ ...event, event_id: undefined, event_type: type.name })));
    expect(answer.counts.accepted).toBe(native.length);
    expect(answer.results.map((result) => result.topic)).toEqual(native.map((type) => `ns.${type.topic}`));
  });

  test('a broken trace is left out and flagged, the event stays', async () => {
    await sendOne({ ...event, traceparent: 'nonsense' });
    expect((await written()).envelope).toMatchObject({ trace: null, flags: ['trace_invalid'] });
  });

  test('the trace of a request is meant for a single event only', async () => {
    const traceparent = `00-${TRACE}-${SPAN}-01`;
    await sendOne(event, { traceparent });
    expect((await written()).envelope.trace).toMatchObject({ trace_id: TRACE, span_id: SPAN });
    await send(
      [
        { ...event, event_id: undefined },
        { ...event, event_id: undefined },
      ],
      { traceparent },
    );
    expect((await written()).envelope.trace).toBeNull();
  });

  test('an address that is none is dropped and reported; the address stays only by policy', async () => {
    const result = await sendOne({ ...event, event_id: undefined, network: { ip: 'cloudtrail.amazonaws.com' } });
    expect(result.redactions).toEqual(['network.ip:not_an_address']);
    expect((await written()).envelope.network).toBeNull();
    rawAddresses = 'keep';
    pipeline = build();
    await sendOne({ ...event, event_id: undefined, network: { ip: '2001:DB8::1' } });
    expect((await written()).envelope.network).toMatchObject({ ip: '2001:db8::1', ip_hash: expect.any(String) });
  });

  test('texts are sanitised, and the answer says what was taken out', async () => {
    const result = await sendOne({
      ...event,
      error: { message: 'GET https://host.example/a?token=1 failed for bob@example.com' },
      metadata: { note: 'Bearer abcdef123456', password: 'hunter2', 'Bad Key': 'hunter2', long: 'é'.repeat(600) },
      tags: { mail: 'bob@example.com' },
      payload: { attempted_user: 'bob@example.com', other: 'bob@example.com', api_key: 'hunter2' },
      changes: [{ field: 'password', old_value: 'hunter2', new_value: 'hunter3' }],
    });
    expect([...(result.redactions ?? [])].sort()).toEqual([
      'changes.new_value:denied',
      'changes.old_value:denied',
      'error.message:email',
      'error.message:url',
      'metadata.long:cut',
      'metadata.note:credential',
      'metadata.password:denied',
      'metadata:key',
      'payload.api_key:denied',
      'payload.other:email',
      'tags.mail:email',
    ]);
    const record = await written();
    expect(record.envelope.redactions).toHaveLength(11);
    expect(record.envelope.error?.message).toBe('GET [url:host.example] failed for [email]');
    expect(Buffer.byteLength(record.envelope.metadata['long'] ?? '')).toBe(1_022);
    // The catalogue lists attempted_user: rules group by it.
    expect(plain('payload' in record ? record.payload : {})).toEqual({
      attempted_user: 'bob@example.com',
      other: '[email]',
    });
    expect(topics.records[0]?.value.toString('latin1')).not.toMatch(/hunter[23]/);
  });

  test('fields the gateway owns are overwritten without a word', async () => {
    await sendOne({
      ...event,
      received_at: 1,
      intake_org: 'globex',
      cluster_id: 'x',
      flags: ['f'],
      redactions: ['r'],
      network: { ip_hash: 'forged', asn: 1 },
    });
    expect((await written()).envelope).toMatchObject({
      received_at: NOW,
      intake_org: 'acme',
      cluster_id: 'test',
      flags: [],
      network: null,
    });
  });

  test.each<[string, object, string, string]>([
    ['an unknown type', { event_type: 'login.faild' }, 'unknown_event_type', '/event_type'],
    ['no type', { event_type: undefined }, 'missing_field', '/event_type'],
    ['the external type without external', { event_type: 'external.event' }, 'unknown_event_type', '/event_type'],
    ['an id that is no UUID', { event_id: 'x' }, 'invalid_value', '/event_id'],
    ['a time without zone', { occurred_at: '2026-11-21T11:59:00' }, 'invalid_value', '/occurred_at'],
    ['a time that is a number', { occurred_at: 1 }, 'wrong_type', '/occurred_at'],
    ['a misspelt field', { sevrity: 'high' }, 'unknown_field', '/sevrity'],
    ['an unknown severity', { severity: 'bad' }, 'invalid_value', '/severity'],
    ['an unknown outcome', { outcome: 'maybe' }, 'invalid_value', '/outcome'],
    ['no source', { source: undefined }, 'missing_field', '/source'],
    ['no platform', { source: { service: 'x' } }, 'missing_field', '/source/platform'],
    ['a sequence number that is none', { source: { platform: 'x', seq: -1 } }, 'invalid_value', '/source/seq'],
    ['an actor without id', { actor: { type: 'user' } }, 'missing_field', '/actor/id'],
    ['an actor that is a text', { actor: 'bob' }, 'wrong_type', '/actor'],
    ['an unknown field inside', { network: { port: 1 } }, 'unknown_field', '/network/port'],
    ['a session id beyond its bound', { session_id: 'x'.repeat(257) }, 'too_long', '/session_id'],
    ['NUL in an id', { session_id: 'a\u0000b' }, 'invalid_value', '/session_id'],
    [
      '20 keys of metadata',
      { metadata: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, 'v'])) },
      'too_many_keys',
      '/metadata',
    ],
    ['metadata that nests', { metadata: { a: { b: 1 } } }, 'wrong_type', '/metadata/a'],
    ['tags that are a list', { tags: ['a'] }, 'wrong_type', '/tags'],
    ['a change without field', { changes: [{ field: 'a' }, {}] }, 'missing_field', '/changes/1/field'],
    ['changes that are texts', { changes: ['a'] }, 'wrong_type', '/changes/0'],
    ['a key that needs escaping', { metadata: { 'a/b~c': [] } }, 'wrong_type', '/metadata/a~1b~0c'],
    ['a skew of a month', { clock_skew_ms: 2_592_000_000 }, 'invalid_value', '/clock_skew_ms'],
    ['a reserved organization', { organization_id: 'platform' }, 'invalid_value', '/organization_id'],
    [
      'no organization where one is needed',
      { organization_id: null, event_type: 'member.added' },
      'organization_required',
      '/organization_id',
    ],
  ])('%s is rejected with its position, and nothing is written', async (_name, change, code, field) => {
    const answer = await send({ ...event, ...change });
    expect(answer).toMatchObject({ status: 422, counts: { rejected: 1 } });
    expect(answer.results[0]).toMatchObject({ status: 'rejected', code, field });
    expect(topics.records).toHaveLength(0);
  });

  test('an event beyond its size is rejected', async () => {
    const answer = await send({ ...event, error: { message: 'x'.repeat(70_000) } });
    expect(answer.results[0]).toMatchObject({ code: 'event_too_large' });
  });

  test('prototype pollution stays data: the key is unknown, nothing is changed', async () => {
    const answer = await send('{"event_type":"auth.logout","__proto__":{"polluted":1},"source":{"platform":"x"}}', {
      key: 'acme',
    });
    expect(answer.results[0]).toMatchObject({ code: 'unknown_field', field: '/__proto__' });
    const inside =
      '{"event_type":"auth.logout","source":{"platform":"x"},"payload":{"__proto__":"x"},"tags":{"__proto__":"y"}}';
    expect((await send(inside, { key: 'acme' })).results[0]).toMatchObject({
      status: 'accepted',
      redactions: ['tags:key', 'payload:key'],
    });
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });
});

describe('organizations (X13, R-107, R-108)', () => {
  test('the key of one organization fills it in', async () => {
    await sendOne({ ...event, organization_id: undefined }, { key: 'acme' });
    expect((await written()).envelope).toMatchObject({ organization_id: 'acme', intake_org: 'acme' });
  });

  test.each([
    ['acme', 'globex', 'server_owned_field'],
    ['two', 'initech', 'forbidden_organization'],
  ])('key %s may not write for %s: 403', async (key, organization_id, code) => {
    const answer = await send({ ...event, organization_id }, { key });
    expect(answer).toMatchObject({ status: 403, results: [{ status: 'rejected', code, field: '/organization_id' }] });
    expect(topics.records).toHaveLength(0);
  });

  test('no organization under a platform key lives in the tenant platform', async () => {
    await sendOne({ ...event, organization_id: null });
    expect((await written()).envelope).toMatchObject({ organization_id: null, intake_org: 'platform' });
    expect(topics.records[0]).toMatchObject({ key: `platform|${ID}`, headers: { th_org: 'platform' } });
  });
});

describe('a third-party event', () => {
  test('keeps its native fields, digits and all', async () => {
    const text = JSON.stringify(external).replace('"12345678901234567890"', '12345678901234567890');
    expect((await send(text)).results[0]).toMatchObject({ status: 'accepted' });
    const record = await written();
    expect(record.envelope).toMatchObject({
      event_type: 'external.event',
      family: 'external',
      category: 'external',
      organization_id: 'acme',
    });
    expect(plain('fields' in record ? record.fields : [])).toEqual([
      { name: 'eventName', is_list: false, values: [{ type: 'STRING', text: 'ConsoleLogin' }] },
      { name: 'requestID', is_list: false, values: [{ type: 'NUMBER', text: '1' }] },
      { name: 'big.id', is_list: false, values: [{ type: 'NUMBER', text: '12345678901234567890' }] },
      {
        name: 'tags',
        is_list: true,
        values: [
          { type: 'STRING', text: 'a' },
          { type: 'STRING', text: 'b' },
        ],
      },
    ]);
    expect('log_source' in record && record.log_source).toMatchObject({
      product: 'aws',
      service: 'cloudtrail',
      category: null,
    });
  });

  test('may carry a catalogued type, and a service name where an address belongs', async () => {
    await sendOne({ ...external, event_type: 'login_failed', network: { ip: 'AWS Internal' }, source: undefined });
    expect((await written()).envelope).toMatchObject({
      event_type: 'auth.login.failure',
      family: 'external',
      source: { platform: 'aws' },
      network: { ip: 'AWS Internal', ip_hash: null },
    });
    expect(topics.records[0]?.topic).toBe('ns.security.events');
  });

  test('may be larger than a native event', async () => {
    const event = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`field${i}`, 'x'.repeat(400)]));
    expect(await sendOne({ ...external, event })).toMatchObject({ status: 'accepted' });
  });

  test.each<[string, object, string, string]>([
    ['no event', { event: undefined }, 'missing_field', '/event'],
    ['no log source', { log_source: undefined }, 'missing_field', '/log_source'],
    ['a native field', { payload: {} }, 'unknown_field', '/payload'],
    [
      '513 fields',
      { event: Object.fromEntries(Array.from({ length: 513 }, (_, i) => [`f${i}`, 1])) },
      'too_many_fields',
      '/event',
    ],
    ['more than 256 kB', { event: { a: 'x'.repeat(300_000) } }, 'event_too_large', '/event'],
    ['an unknown type', { event_type: 'nope' }, 'unknown_event_type', '/event_type'],
  ])('%s is rejected', async (_name, change, code, field) => {
    expect(await sendOne({ ...external, ...change })).toMatchObject({ status: 'rejected', code, field });
  });
});

describe('duplicates (X6)', () => {
  test('an acknowledged id is answered duplicate, with where it lies, and not written again', async () => {
    await sendOne(event);
    const answer = await send(event);
    expect(answer).toMatchObject({
      status: 200,
      counts: { accepted: 0, duplicate: 1 },
      results: [{ status: 'duplicate', event_id: ID, topic: 'ns.security.events', partition: 0, offset: '0' }],
    });
    expect(topics.records).toHaveLength(1);
  });

  test('another organization may use the same id', async () => {
    await sendOne(event);
    expect(await sendOne({ ...event, organization_id: 'globex' })).toMatchObject({ status: 'accepted' });
  });

  test('one look-up per batch', async () => {
    await send(Array.from({ length: 100 }, () => ({ ...event, event_id: undefined })));
    expect(recent.lookups()).toBe(1);
  });

  test('without an answer everything goes on, flagged and told', async () => {
    recent.down = true;
    expect(await sendOne(event)).toMatchObject({ status: 'accepted', dedup: 'unknown' });
    expect(await sendOne(event)).toMatchObject({ status: 'accepted', dedup: 'unknown' });
    expect(topics.records).toHaveLength(2);
    expect((await written()).envelope.flags).toEqual(['dedup_unknown']);
  });

  test('an event whose write is not known is produced again, never answered duplicate', async () => {
    topics.fate = () => 'lost';
    expect(await sendOne(event)).toMatchObject({ status: 'retry', code: 'produce_unknown' });
    topics.fate = () => 'acknowledged';
    expect(await sendOne(event)).toMatchObject({ status: 'accepted', offset: '1' });
    expect(topics.records.map((record) => record.key)).toEqual([`acme|${ID}`, `acme|${ID}`]);
  });
});

describe('answers', () => {
  test('503 when nothing was acknowledged, 207 when some was', async () => {
    topics.fate = () => 'unknown';
    expect(await send([event, { ...event, event_id: undefined }])).toMatchObject({ status: 503, counts: { retry: 2 } });
    topics.fate = (key) => (key.endsWith(ID) ? 'unknown' : 'acknowledged');
    expect(await send([event, { ...event, event_id: undefined }])).toMatchObject({
      status: 207,
      counts: { accepted: 1, retry: 1 },
      results: [{ status: 'retry' }, { status: 'accepted' }],
    });
  });

  test('207 when some events are invalid: the others are written', async () => {
    const answer = await send(`${JSON.stringify(event)}\n{"broken":\n[1]\n{"event_type":"auth.logout","a":1,"a":2}`, {
      kind: 'ndjson',
    });
    expect(answer).toMatchObject({
      status: 207,
      counts: { accepted: 1, rejected: 3 },
      results: [
        { index: 0, status: 'accepted' },
        { index: 1, status: 'rejected', code: 'malformed_json', event_id: null },
        { index: 2, status: 'rejected', code: 'not_an_object' },
        {
          index: 3,
          status: 'rejected',
          code: 'duplicate_key',
          detail: 'a key occurs twice in one object, at character 35 of the event',
        },
      ],
    });
  });

  test('a record the broker refuses for good is rejected, not retried', async () => {
    topics.fate = () => 'refused';
    expect(await send(event)).toMatchObject({ status: 422, results: [{ code: 'event_too_large' }] });
  });

  test('a rejected event is named by its id when it has one', async () => {
    expect(await sendOne({ ...event, event_type: 'nope' })).toMatchObject({ event_id: ID });
  });

  test('events without schema ids are to be sent again', async () => {
    pipeline = build(createAvroEvents(createMemoryRegistry()));
    expect(await send(event)).toMatchObject({ status: 503, results: [{ code: 'registry_unavailable' }] });
  });
});

test('consumed equals the sum of verdicts, and what was accepted lies in the log, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 60 }), async (seed, count) => {
      topics = createMemoryTopics();
      recent = createMemoryRecentEvents();
      counted = { consumed: 0, verdicts: new Map() };
      clock = manualClock(NOW);
      pipeline = build();
      const random = sfc32(seed);
      topics.fate = () => random.pick(['acknowledged', 'acknowledged', 'unknown', 'lost', 'refused'] as const);
      const ids = Array.from({ length: 10 }, (_, i) => `0190163d-8694-739b-aea5-96000000000${i}`);
      const lines = Array.from({ length: count }, () =>
        random.pick([
          JSON.stringify({ ...event, event_id: random.pick(ids) }),
          JSON.stringify({ ...external, event_id: random.pick(ids) }),
          JSON.stringify({ ...event, event_type: 'nope' }),
          '{"broken"',
        ]),
      );
      let accepted = 0;
      for (let i = 0; i < 3; i++) {
        recent.down = random.next() < 0.3;
        const answer = await send(lines.join('\n'), { kind: 'ndjson' });
        const { counts } = answer;
        expect(counts.accepted + counts.duplicate + counts.rejected + counts.retry).toBe(count);
        expect(answer.status === 200).toBe(counts.accepted + counts.duplicate === count);
        accepted += counts.accepted;
        for (const result of answer.results) {
          if (result.status !== 'accepted' && result.status !== 'duplicate') continue;
          const at = topics.records.find((record) => record.offset === result.offset);
          expect(at?.key).toBe(`acme|${result.event_id}`);
        }
      }
      expect(counted.consumed).toBe(count * 3);
      expect([...counted.verdicts.values()].reduce((a, b) => a + b, 0)).toBe(count * 3);
      expect(counted.verdicts.get('produce/ok') ?? 0).toBe(accepted);
    }),
    { numRuns: 60 },
  );
});

describe('recall: what the past of an account says', () => {
  test('the built-in enrichers write the fields of the catalogue', () => {
    const { fields } = createEnrichment([daysIdle, geoSpeed, newDevice, newNetwork]);
    expect([...fields].sort()).toEqual(Object.keys(ENRICHED_FIELDS).sort());
  });

  const login = (fields: object = {}) => ({
    event_type: 'auth.login.success',
    organization_id: 'acme',
    actor: { type: 'user', id: 'mia' },
    source: { platform: 'python', service: 'api', version: '1' },
    ...fields,
  });
  const payloads = async (): Promise<Record<string, string>[]> =>
    Promise.all(
      topics.records.map(async ({ value }) => {
        const decoded: DecodedRecord = await codec.decode(value);
        return 'payload' in decoded.value ? { ...(decoded.value.payload as Record<string, string>) } : {};
      }),
    );

  test('speed, network and idleness are stamped once, and a copy gets the same', async () => {
    const at = (minutes: number) => new Date(NOW - 3_600_000 + minutes * 60_000).toISOString();
    await sendOne(login({ occurred_at: at(0), network: { ip: '192.0.2.1' } }));
    const second = login({
      event_id: '018f0000-0000-7000-8000-00000000aaaa',
      occurred_at: at(30),
      network: { ip: '198.51.100.1' },
    });
    await sendOne(second);
    recent.down = true;
    await sendOne(second);
    const [first, moved, copy] = await payloads();
    expect(first).toEqual({});
    expect(moved).toEqual({
      days_idle: '0',
      'geo.speed_kmh': expect.stringMatching(/^3[0-9]{4}$/),
      network_is_new: 'true',
    });
    expect(copy).toEqual(moved);
  });

  test('what a client says of its own past is taken out and written down', async () => {
    await sendOne(
      login({ payload: { days_idle: '400', 'geo.speed_kmh': '5', device_is_new: 'false', auth_method: 'password' } }),
    );
    expect(await payloads()).toEqual([{ auth_method: 'password' }]);
    const [record] = topics.records;
    const decoded = await codec.decode(record?.value ?? Buffer.alloc(0));
    const envelope = 'envelope' in decoded.value ? decoded.value.envelope : null;
    expect(envelope?.redactions).toEqual(
      expect.arrayContaining([
        'payload.days_idle:reserved',
        'payload.geo.speed_kmh:reserved',
        'payload.device_is_new:reserved',
      ]),
    );
  });

  test('without the edge Redis events go on, flagged', async () => {
    states.down = true;
    await sendOne(login());
    const decoded = await codec.decode(topics.records[0]?.value ?? Buffer.alloc(0));
    expect('envelope' in decoded.value && decoded.value.envelope.flags).toContain('enrich_unknown');
  });
});
