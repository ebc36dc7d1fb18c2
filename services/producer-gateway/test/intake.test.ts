import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { EVENT_TYPES } from '@tracehound/event-model';
import { testStack, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GatewayApp } from '../src/app.ts';
import {
  ACME_KEY,
  anEvent,
  type GatewayWorld,
  keyEntry,
  metricsOf,
  openWorld,
  post,
  postEvents,
  readiness,
  ready,
  SECRET,
  sharedServers,
} from './gateway-world.fixture.ts';

let world: GatewayWorld;
let app: GatewayApp;
/** Every id a test was told is durable. */
const acknowledged = new Map<string, { topic: string; partition: number; offset: string }>();

beforeAll(async () => {
  const stack = await testStack();
  world = await openWorld(sharedServers(stack), stack.namespace());
  app = await world.start();
  await ready(app);
});

afterAll(async () => {
  await world.close();
});

function note(body: Awaited<ReturnType<typeof post>>['body']): void {
  for (const result of body.results ?? []) {
    if (result.status !== 'accepted' || result.event_id === null) continue;
    acknowledged.set(result.event_id, {
      topic: result.topic ?? '',
      partition: result.partition ?? -1,
      offset: result.offset ?? '',
    });
  }
}

describe('accepted', () => {
  test('200: an event lies in Kafka where the answer says, readable, under its key', async () => {
    const event = anEvent({
      payload: { auth_method: 'password' },
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    });
    const answer = await postEvents(app, event, { key: ACME_KEY });
    expect(answer).toMatchObject({ status: 200, body: { accepted: 1, rejected: 0 } });
    note(answer.body);
    const [result] = answer.body.results ?? [];
    const written = (await world.events()).find(({ record }) => record.key?.toString() === `acme|${event.event_id}`);
    expect(written?.record).toMatchObject({ partition: result?.partition, offset: BigInt(result?.offset ?? -1) });
    expect(
      Object.fromEntries(Object.entries(written?.record.headers ?? {}).map(([key, value]) => [key, value.toString()])),
    ).toMatchObject({
      ce_specversion: '1.0',
      ce_id: event.event_id,
      ce_type: 'auth.login.failure',
      ce_traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`,
      'content-type': 'application/avro',
      th_org: 'acme',
    });
    expect(written?.decoded).toMatchObject({
      name: 'tracehound.events.v1.AuthenticationEvent',
      value: {
        envelope: { event_id: event.event_id, intake_org: 'acme', network: { ip: null, ip_hash: expect.any(String) } },
      },
    });
  });

  test.each([
    ['a list', (lines: string[]) => `[${lines.join(',')}]`, 'application/json', null],
    ['events', (lines: string[]) => `{"events":[${lines.join(',')}]}`, 'application/json; charset=utf-8', null],
    ['lines', (lines: string[]) => lines.join('\n'), 'application/x-ndjson', null],
    ['gzip', (lines: string[]) => lines.join('\n'), 'application/x-ndjson', ['gzip', gzipSync]],
    ['br', (lines: string[]) => lines.join('\n'), 'application/x-ndjson', ['br', brotliCompressSync]],
    ['zstd', (lines: string[]) => lines.join('\n'), 'application/x-ndjson', ['zstd', zstdCompressSync]],
  ] as const)('200: a batch as %s', async (_name, join, type, encoding) => {
    const text = join(Array.from({ length: 40 }, () => JSON.stringify(anEvent())));
    const body = encoding ? new Uint8Array(encoding[1](Buffer.from(text))) : text;
    const headers = { 'content-type': type, ...(encoding ? { 'content-encoding': encoding[0] } : {}) };
    const answer = await post(app, body, { headers });
    expect(answer).toMatchObject({ status: 200, body: { accepted: 40 } });
    note(answer.body);
  });

  test('200: Prefer: return=minimal lists only what was not accepted', async () => {
    const answer = await postEvents(app, [anEvent(), anEvent()], { headers: { prefer: 'return=minimal' } });
    expect(answer).toMatchObject({ status: 200, body: { accepted: 2, results: [] } });
  });

  test('200: a copy is answered duplicate with the place of the first', async () => {
    const event = anEvent();
    const first = await postEvents(app, event);
    note(first.body);
    const second = await postEvents(app, event);
    expect(second).toMatchObject({ status: 200, body: { accepted: 0, duplicate: 1 } });
    expect(second.body.results?.[0]?.offset).toBe(first.body.results?.[0]?.offset);
  });

  test('performance events go to the telemetry topic', async () => {
    const event = anEvent({ event_type: 'performance.throughput.measured', payload: { operation_count: 7 } });
    expect((await postEvents(app, event)).body.results?.[0]).toMatchObject({
      topic: `${world.namespace}.security.telemetry`,
    });
    const written = await world.events('security.telemetry');
    expect(written.at(-1)?.decoded).toMatchObject({ value: { operation_count: 7 } });
  });

  test('a third-party event keeps its fields', async () => {
    const event = {
      external: true,
      organization_id: 'acme',
      log_source: { product: 'okta', service: 'okta' },
      event: { eventType: 'user.session.start', target: [{ id: 'a' }, { id: 'b' }] },
    };
    const answer = await postEvents(app, event);
    note(answer.body);
    const id = answer.body.results?.[0]?.event_id;
    const written = (await world.events()).find(({ record }) => record.key?.toString() === `acme|${id}`);
    expect(written?.decoded).toMatchObject({
      name: 'tracehound.events.v1.ExternalEvent',
      value: { fields: [{ name: 'eventType' }, { name: 'target.id', is_list: true }] },
    });
  });

  test('207: a mixed batch; the valid ones lie in Kafka', async () => {
    const good = anEvent();
    const answer = await postEvents(
      app,
      [good, anEvent({ event_type: 'nope' }), anEvent({ organization_id: 'other' })],
      { key: ACME_KEY },
    );
    expect(answer).toMatchObject({
      status: 207,
      body: {
        accepted: 1,
        rejected: 2,
        results: [
          { status: 'accepted', event_id: good.event_id },
          { status: 'rejected', code: 'unknown_event_type', field: '/event_type' },
          { status: 'rejected', code: 'server_owned_field', field: '/organization_id' },
        ],
      },
    });
    note(answer.body);
  });
});

describe('refused: a problem document that names what is wrong, and nothing in Kafka', () => {
  const cases: readonly [string, number, string, () => ReturnType<typeof post>, string?][] = [
    ['no key', 401, 'unauthenticated', () => post(app, '{}', { headers: { authorization: '' } })],
    ['a wrong secret', 401, 'unauthenticated', () => postEvents(app, anEvent(), { key: 'acme.wrong' })],
    [
      'another organization',
      403,
      'server_owned_field',
      () => postEvents(app, anEvent({ organization_id: 'x' }), { key: ACME_KEY }),
      '/organization_id',
    ],
    ['no JSON', 400, 'malformed_json', () => post(app, '{"event_type":')],
    [
      'a duplicate key',
      400,
      'duplicate_key',
      () => post(app, '{"event_type":"auth.logout","event_type":"auth.login.success"}'),
    ],
    ['a text', 400, 'wrong_form', () => post(app, '"event"')],
    ['no events', 400, 'empty_batch', () => post(app, '[]')],
    ['no UTF-8', 400, 'invalid_utf8', () => post(app, new Uint8Array([0x22, 0xff, 0x22]))],
    [
      'another content type',
      415,
      'unsupported_media_type',
      () => post(app, 'a=b', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
      'content-type',
    ],
    [
      'another charset',
      415,
      'unsupported_media_type',
      () => post(app, '{}', { headers: { 'content-type': 'application/json; charset=latin1' } }),
      'content-type',
    ],
    [
      'another encoding',
      415,
      'unsupported_encoding',
      () => post(app, '{}', { headers: { 'content-encoding': 'compress' } }),
      'content-encoding',
    ],
    [
      'broken gzip',
      400,
      'corrupt_encoding',
      () => post(app, '{}', { headers: { 'content-encoding': 'gzip' } }),
      'content-encoding',
    ],
    ['a large body', 413, 'body_too_large', () => post(app, `[${' '.repeat(1_100_000)}]`)],
    [
      'a bomb',
      413,
      'compression_ratio',
      () =>
        post(app, new Uint8Array(gzipSync(Buffer.alloc(8_000_000, ' '))), { headers: { 'content-encoding': 'gzip' } }),
    ],
    ['513 events', 413, 'too_many_events', () => post(app, `[${Array.from({ length: 513 }, () => '{}').join(',')}]`)],
    [
      'an unknown type',
      422,
      'unknown_event_type',
      () => postEvents(app, anEvent({ event_type: 'auth.login.faild' })),
      '/event_type',
    ],
    [
      'a field of another type',
      422,
      'wrong_type',
      () => postEvents(app, anEvent({ actor: { type: 'user', id: 7 } })),
      '/actor/id',
    ],
  ];

  test.each(cases)('%s: %d %s', async (_name, status, code, send, field) => {
    const count = (await world.events()).length;
    const answer = await send();
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer).toMatchObject({ status, body: { status, code, ...(field === undefined ? {} : { field }) } });
    expect((await world.events()).length).toBe(count);
  });

  test('a body announced too large is refused before it is sent', async () => {
    const { hostname, port } = new URL(app.addresses.public);
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ACME_KEY}\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n{`,
    );
    const answer = await new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(chunk.toString())));
    socket.destroy();
    expect(answer).toContain('413');
    expect(answer).toContain('body_too_large');
  });

  test('429 with Retry-After when a key is in debt', async () => {
    const slow = await world.start({
      TRACEHOUND_GATEWAY_KEY_EVENTS_PER_SECOND: '1',
      TRACEHOUND_GATEWAY_KEY_EVENTS_BURST: '1',
    });
    await ready(slow);
    expect((await postEvents(slow, [anEvent(), anEvent(), anEvent()])).status).toBe(200);
    const answer = await postEvents(slow, anEvent());
    expect(answer).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await postEvents(slow, anEvent({ organization_id: 'acme' }), { key: ACME_KEY })).status).toBe(200);
    await slow.stop();
  });
});

test('the key file is read again when it changes; a broken one leaves the old keys in force', async () => {
  const old = await readFile(world.keysFile, 'utf8');
  const added = `late.${SECRET}-2`;
  expect((await postEvents(app, anEvent({ organization_id: 'globex' }), { key: added })).status).toBe(401);
  await writeFile(world.keysFile, JSON.stringify([...JSON.parse(old), keyEntry('late', ['globex'], `${SECRET}-2`)]));
  await waitFor(
    async () => (await postEvents(app, anEvent({ organization_id: 'globex' }), { key: added })).status === 200,
    {
      what: 'the new key to be known',
    },
  );
  await writeFile(world.keysFile, '[{"key_id":');
  await waitFor(() => world.log.some((line) => line.includes('SEC_GATEWAY_API_KEYS')), {
    what: 'the broken file to be reported',
  });
  expect((await postEvents(app, anEvent(), { key: ACME_KEY })).status).toBe(200);
  await writeFile(world.keysFile, old);
  await waitFor(
    async () => (await postEvents(app, anEvent({ organization_id: 'globex' }), { key: added })).status === 401,
    {
      what: 'the removed key to be unknown',
    },
  );
});

test('catalogue and schemas are served', async () => {
  const types = (await (await fetch(`${app.addresses.public}/v1/event-types`)).json()) as { event_types: unknown[] };
  expect(types.event_types).toHaveLength(EVENT_TYPES.length);
  const { schemas } = (await (await fetch(`${app.addresses.public}/v1/schemas`)).json()) as { schemas: string[] };
  const schema = await (await fetch(`${app.addresses.public}/v1/schemas/${schemas[0]}`)).json();
  expect(schema).toMatchObject({ type: 'record' });
  expect((await fetch(`${app.addresses.public}/v1/schemas/nope`)).status).toBe(404);
});

test('everything acknowledged lies in the log, once, where the answer said', async () => {
  const events = await world.events();
  expect(acknowledged.size).toBeGreaterThan(240);
  for (const [eventId, at] of acknowledged) {
    const copies = events.filter(({ record }) => record.key?.toString().endsWith(`|${eventId}`));
    expect(
      copies.map(({ record }) => ({ topic: record.topic, partition: record.partition, offset: String(record.offset) })),
    ).toEqual([at]);
  }
});

test('consumed equals the sum of verdicts; results are counted', async () => {
  const metrics = await metricsOf(app);
  const sum = (prefix: string): number =>
    [...metrics].filter(([name]) => name.startsWith(prefix)).reduce((total, [, value]) => total + value, 0);
  expect(metrics.get('gateway_records_consumed_total')).toBeGreaterThan(240);
  expect(sum('gateway_verdicts_total{')).toBe(metrics.get('gateway_records_consumed_total'));
  expect(sum('gateway_events_total{')).toBe(metrics.get('gateway_records_consumed_total'));
  expect(metrics.get('gateway_requests_in_flight')).toBe(0);
  expect(metrics.get('gateway_requests_total{status="207"}')).toBe(1);
  expect(metrics.get('gateway_refusals_total{reason="unauthenticated"}')).toBeGreaterThanOrEqual(2);
});

test('nothing personal is logged', () => {
  expect(world.log.join('')).not.toMatch(/203\.0\.113\.7|a-secret-of-the-tests|"u1"/);
});

test('drain: readiness goes, what was taken is answered, then the port is closed', async () => {
  const draining = await world.start({ TRACEHOUND_GATEWAY_DRAIN_DELAY: '300ms' });
  await ready(draining);
  const batch = Array.from({ length: 200 }, () => anEvent());
  const answer = postEvents(draining, batch);
  const stopping = draining.stop();
  expect(await readiness(draining)).toMatchObject({
    status: 503,
    checks: expect.arrayContaining([{ name: 'drain', ok: false, detail: 'draining' }]),
  });
  expect(await answer).toMatchObject({ status: 200, body: { accepted: 200 } });
  await stopping;
  await expect(postEvents(draining, anEvent())).rejects.toThrow();
});
