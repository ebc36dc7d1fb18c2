import { createHash } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import { buildNotice, type Notice } from '@tracehound/alerting';
import { afterEach, describe, expect, test } from 'vitest';
import { alertRecord, T0 } from '../../test/alert-record.fixture.ts';
import { consoleLine } from './console-receiver.ts';
import { createWebhookReceiver } from './webhook-receiver.ts';

let server: Server | null = null;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = null;
});

async function serve(listener: RequestListener): Promise<string> {
  const started = createServer(listener);
  server = started;
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
  const address = started.address();
  return typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}/` : '';
}

function notice(change: { title?: string } = {}): Notice {
  const record = alertRecord({ rule: { ...alertRecord().rule, ...change } });
  return buildNotice({
    record,
    reason: 'opened',
    alertId: record.alert_id,
    firedAtMs: T0,
    linkBase: 'https://a',
    evidence: { events: [], count: { value: 4, exact: false } },
  });
}

function send(url: string, timeoutMs = 500) {
  const keys = [Buffer.alloc(32, 1)];
  const receiver = createWebhookReceiver({
    name: 'hook',
    url,
    keys,
    timeoutMs,
    concurrencyMax: 1,
    lateMs: 300_000,
    now: () => T0,
  });
  return receiver.send({ deliveryId: 'msg_1', notice: notice(), nowMs: T0 });
}

describe('webhook', () => {
  test('does not follow a redirect: the signature is for one address', async () => {
    const paths: string[] = [];
    const url = await serve((request, response) => {
      paths.push(request.url ?? '');
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    expect((await send(url)).response).toMatchObject({ kind: 'status', status: 307 });
    expect(paths).toEqual(['/']);
  });

  test('reads Retry-After and keeps a digest of the answer, not the answer', async () => {
    const url = await serve(
      (_request, response) => void response.writeHead(429, { 'retry-after': '7' }).end('slow down'),
    );
    expect(await send(url)).toEqual({
      response: { kind: 'status', status: 429, retryAfterMs: 7_000 },
      responseSha256: createHash('sha256').update('slow down').digest('hex'),
    });
  });

  test('an endless answer is cut and its status counts', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200);
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', pour);
      pour();
    });
    const { response, responseSha256 } = await send(url, 2_000);
    expect(response).toMatchObject({ kind: 'status', status: 200 });
    expect(responseSha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test('silence is a time-out, a closed port network trouble', async () => {
    const url = await serve(() => undefined);
    expect((await send(url, 100)).response).toEqual({ kind: 'timeout' });
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
    expect((await send(url)).response).toEqual({ kind: 'network', code: 'ECONNREFUSED' });
  });
});

describe('console', () => {
  const context = { deliveryId: 'msg_1', nowMs: T0, lateMs: 300_000 };

  test('is one line with severity, title, count, why, link and id', () => {
    expect(consoleLine(notice(), context)).toBe(
      `[HIGH] Failed verifications, then a success count >= 4: All steps of the pattern in order within 10 minutes for trace_id = t1. https://a/v1/alerts/${'a'.repeat(32)} msg_1`,
    );
  });

  test('says when it is late, and data cannot steer the terminal', () => {
    const line = consoleLine(notice({ title: 'evil\u001b[2J\nforged' }), { ...context, nowMs: T0 + 3_600_000 });
    expect(line).toContain('This notice is late: the alert fired 1 hour ago.');
    expect(line).not.toMatch(/[\u001b\n]/);
  });
});
