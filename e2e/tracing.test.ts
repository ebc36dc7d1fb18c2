import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Deployment, startDeployment } from '@tracehound/cli';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver, testStack, waitFor } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from './play-on.fixture.ts';

/** One event is enough for an alert, and the alert comes with the event, not with time. */
const RULES = `title: Refused keys
id: be0c0000-0000-4000-8000-000000000011
name: refused
status: test
logsource: { product: tracehound }
detection: { selection: { event_type: auth.login.failure }, condition: selection }
level: informational
---
title: One is enough
id: be0c0000-0000-4000-8000-000000000012
status: test
correlation:
  type: event_count
  rules: [refused]
  group-by: [actor.id]
  timespan: 10m
  condition: { gte: 1 }
level: high
`;

const CLIENT = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
const ACTOR = 'someone-with-a-name';

let receiver: OtlpReceiver;
let deployment: Deployment;

beforeAll(async () => {
  const stack = await testStack();
  receiver = await startOtlpReceiver();
  deployment = await startDeployment({
    root: ROOT,
    directory: mkdtempSync(join(tmpdir(), 'tracehound-tracing-')),
    addresses: stack,
    namespace: stack.namespace(),
    rules: [{ path: 'tracing.yml', content: RULES }],
    latenessMs: 120_000,
    receiverUrl: 'http://127.0.0.1:9/',
    env: { TRACEHOUND_TRACING_ENDPOINT: receiver.url, TRACEHOUND_TRACING_SAMPLE_PER_MILLION: '1000000' },
  });
});

afterAll(async () => {
  await deployment?.stop();
  await receiver?.close();
});

async function publish(headers: Readonly<Record<string, string>>): Promise<void> {
  const key = readFileSync(deployment.secrets.apiKeyFile, 'utf8').trim();
  const response = await fetch(`${deployment.gatewayUrl}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({
      event_type: 'auth.login.failure',
      organization_id: 'acme',
      actor: { type: 'user', id: ACTOR },
      source: { platform: 'test' },
    }),
  });
  expect(response.status, await response.text()).toBe(200);
}

/** The span of this name that comes of `cause`: below it, or linked to it. */
function following(service: string, name: string, cause: ReceivedSpan): Promise<ReceivedSpan> {
  return waitFor(
    () =>
      receiver.spans.find(
        (span) =>
          span.service === service &&
          span.name === name &&
          (span.parentSpanId === cause.spanId ||
            span.links.some(({ traceId, spanId }) => traceId === cause.traceId && spanId === cause.spanId)),
      ),
    { what: `${service}: ${name} after ${cause.name}`, timeoutMs: 60_000 },
  );
}

describe('tracing', () => {
  it('leads from the request of one event to alerter and sink, by parents in a process and links between them', async () => {
    const [events, matches, alerts] = ['security.events', 'security.matches', 'security.alerts'].map(deployment.topic);
    await publish({ traceparent: `00-${CLIENT.traceId}-${CLIENT.spanId}-00` });

    const request = await waitFor(() => receiver.spans.find(({ name }) => name === 'POST /v1/events'), {
      what: 'the span of the request',
      timeoutMs: 60_000,
    });
    expect(request).toMatchObject({ ...CLIENT, spanId: request.spanId, parentSpanId: CLIENT.spanId });
    expect(request.attributes).toMatchObject({ 'http.response.status_code': 200 });
    const sent = await following('producer-gateway', `send ${events}`, request);
    expect(sent.traceId).toBe(CLIENT.traceId);
    const detected = await following('correlator', `process ${events}`, sent);
    expect(detected.parentSpanId ?? '', 'a batch has links, no parent').toBe('');
    expect(detected.attributes).toMatchObject({
      'messaging.system': 'kafka',
      'messaging.operation.name': 'process',
      'messaging.destination.name': events,
      'messaging.batch.message_count': 1,
      'messaging.kafka.offset': expect.anything(),
    });
    const flushed = await following('correlator', `flush ${matches}`, detected);
    const alerted = await following('correlator', `send ${alerts}`, flushed);
    await following('alerter', `process ${alerts}`, alerted);
    await following('sink-audit', `process ${alerts}`, alerted);
    await following('sink-audit', `process ${events}`, sent);

    const said = JSON.stringify(receiver.spans);
    for (const word of [ACTOR, 'acme', '127.0.0.1']) expect(said).not.toContain(word);
  });

  it('ignores and counts a traceparent that says nothing, over HTTP and in a record', async () => {
    const topic = deployment.topic('security.events');
    await publish({ traceparent: 'not-a-traceparent' });
    const [good] = (await recordsOf(topic)).filter(({ value }) => value !== null);
    const producer = await deployment.kafka.producer();
    try {
      const record = { key: null, value: good?.value ?? null, headers: { traceparent: Buffer.from([0xff, 0x00]) } };
      await producer.sendTo({ topic, partition: 0 }, [record]);
    } finally {
      await producer.close();
    }
    for (const [service, prefix] of [
      ['producer-gateway', 'gateway'],
      ['correlator', 'correlator'],
      ['sink-audit', 'sink'],
    ] as const) {
      const internal = deployment.services.get(service)?.internalUrl;
      await waitFor(
        async () =>
          new RegExp(`^${prefix}_traceparent_invalid_total [1-9]`, 'm').test(
            await (await fetch(`${internal}/metrics`)).text(),
          ),
        { what: `${service} counts the bad header`, timeoutMs: 60_000 },
      );
    }
    expect(deployment.hopeless()).toBeNull();
  });

  it('puts contexts into headers only: no span of ours is named in a record', async () => {
    const ids = new Set(receiver.spans.map(({ spanId }) => spanId));
    for (const name of ['security.events', 'security.matches', 'security.alerts']) {
      const records = await recordsOf(deployment.topic(name));
      const traced = records.filter(({ headers }) => headers['traceparent'] !== undefined);
      expect(traced.length, name).toBeGreaterThan(0);
      if (name === 'security.matches') {
        for (const { value } of traced) expect(await matchesIn(value)).toBeGreaterThan(0);
      }
      for (const { value } of records) {
        const text = value?.toString('latin1') ?? '';
        for (const id of ids) expect(text).not.toContain(id);
      }
    }
  });
});

/** A range of time goes to every partition; only where a match goes does the context go along. */
async function matchesIn(value: Buffer | null): Promise<number> {
  const decoded = await deployment.codec.decode(value ?? Buffer.alloc(0));
  return decoded.name === 'tracehound.pipeline.v1.MatchBatch' ? decoded.value.matches.length : 0;
}

async function recordsOf(topic: string) {
  const records = [];
  for (const { partition } of await deployment.admin.offsets(topic)) {
    for await (const record of deployment.kafka.read({ topic, partition })) records.push(record);
  }
  return records;
}
