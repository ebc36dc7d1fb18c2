import { afterEach, describe, expect, test } from 'vitest';
import { createInternalServer } from './internal-server.ts';
import { HttpProblem } from './problem.ts';
import { closeServer, createHttpServer, listen } from './server.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

describe('internal server', () => {
  test('serves metrics and health, 503 with the reason when not ready', async () => {
    let ok = true;
    const report = () => ({ ok, status: ok ? 'ok' : 'unavailable', checks: [{ name: 'kafka', ok, detail: 'why' }] });
    const server = createInternalServer({
      host: '127.0.0.1',
      port: 0,
      metrics: { contentType: 'text/plain', text: async () => 'x_total 1\n' },
      health: { ready: report, live: () => ({ ok: true, status: 'ok', checks: [] }) },
    });
    const url = await server.start();
    closers.push(() => server.stop());
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await (await fetch(`${url}/metrics`)).text()).toBe('x_total 1\n');
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    ok = false;
    const answer = await fetch(`${url}/health/ready`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({
      status: 'unavailable',
      checks: [{ name: 'kafka', ok: false, detail: 'why' }],
    });
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
  });
});

describe('http server', () => {
  async function started(): Promise<{ url: string; errors: unknown[] }> {
    const errors: unknown[] = [];
    const server = createHttpServer({ bodyBytesMax: 100, onError: (error) => errors.push(error) });
    server.post('/echo', (request) => ({ body: request.body }));
    server.get('/fails', () => {
      throw new Error('password hunter2');
    });
    server.get('/problem', () => {
      throw new HttpProblem({
        status: 429,
        code: 'limited',
        title: 'Slow down.',
        retryAfterS: 7,
        extensions: { left: 0 },
      });
    });
    const url = await listen(server, { host: '127.0.0.1', port: 0 });
    closers.push(() => closeServer(server));
    return { url, errors };
  }

  function post(url: string, body: string, type = 'application/json'): Promise<Response> {
    return fetch(`${url}/echo`, { method: 'POST', headers: { 'content-type': type }, body });
  }

  test('hides what failed inside', async () => {
    const { url, errors } = await started();
    const answer = await fetch(`${url}/fails`);
    expect(answer.status).toBe(500);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    const text = await answer.text();
    expect(text).not.toContain('hunter2');
    expect(JSON.parse(text)).toMatchObject({ status: 500, code: 'internal' });
    expect(errors).toHaveLength(1);
  });

  test('answers a problem with code, Retry-After and request id', async () => {
    const { url, errors } = await started();
    const answer = await fetch(`${url}/problem`);
    expect(answer.status).toBe(429);
    expect(answer.headers.get('retry-after')).toBe('7');
    expect(await answer.json()).toMatchObject({
      type: 'https://tracehound.dev/problems/limited',
      code: 'limited',
      left: 0,
      request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(errors).toHaveLength(0);
  });

  test.each([
    ['too large', JSON.stringify({ a: 'x'.repeat(200) }), 'application/json', 413, 'body_too_large'],
    ['not JSON', '{"a":', 'application/json', 400, 'bad_request'],
    ['prototype poisoning', '{"__proto__":{"admin":true}}', 'application/json', 400, 'bad_request'],
    ['unknown type', 'x', 'text/csv', 415, 'unsupported_media_type'],
  ])('%s', async (_name, body, type, status, code) => {
    const { url } = await started();
    const answer = await post(url, body, type);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ status, code });
  });

  test('an unknown path is a problem too', async () => {
    const { url } = await started();
    expect(await (await fetch(`${url}/nothing`)).json()).toMatchObject({ code: 'not_found' });
  });

  test('close waits for a running request and not for its connection, which the client keeps alive', async () => {
    const server = createHttpServer();
    let release: () => void = () => undefined;
    let entered: () => void = () => undefined;
    const inside = new Promise<void>((resolve) => {
      entered = resolve;
    });
    server.get('/slow', async () => {
      entered();
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return { done: true };
    });
    const url = await listen(server, { host: '127.0.0.1', port: 0 });
    const answer = fetch(`${url}/slow`);
    await inside;
    const begun = performance.now();
    const closing = closeServer(server);
    // The close is under way before the request ends.
    await expect(fetch(`${url}/slow`)).rejects.toThrow();
    release();
    expect(await (await answer).json()).toEqual({ done: true });
    await closing;
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});
