import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeWebhookSecret, signWebhook } from '@tracehound/alerting';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts';

const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
const BODY = JSON.stringify({ type: 'alert.opened', data: { alert_id: 'a1', details: 'follow' } });
let directory = '';
let receiver: WebhookReceiver;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tracehound-receiver-'));
  const secretFile = join(directory, 'secret');
  writeFileSync(secretFile, `${SECRET}\n`);
  receiver = await startWebhookReceiver({ secretFile });
});

afterEach(async () => {
  await receiver.close();
  rmSync(directory, { recursive: true });
});

async function post(id: string, options: { body?: string; secret?: string; atSeconds?: number } = {}): Promise<number> {
  const body = options.body ?? BODY;
  const key = decodeWebhookSecret(options.secret ?? SECRET) as Buffer;
  const timestampSeconds = options.atSeconds ?? Math.floor(Date.now() / 1_000);
  const headers = { ...signWebhook({ id, timestampSeconds, body }, [key]) };
  return (await fetch(receiver.url, { method: 'POST', headers, body })).status;
}

test('keeps a verified notice once per webhook-id and tells listeners once', async () => {
  const told: string[] = [];
  receiver.onNotice((notice) => told.push(notice.id));
  expect([await post('msg_1'), await post('msg_1'), await post('msg_2')]).toEqual([204, 204, 204]);
  expect(receiver.notices()).toMatchObject([
    { id: 'msg_1', verified: true, type: 'alert.opened', alertId: 'a1', arrivals: 2 },
    { id: 'msg_2', verified: true, arrivals: 1 },
  ]);
  expect(told).toEqual(['msg_1', 'msg_2']);
  expect(receiver.arrivals).toBe(3);
});

test('refuses another key, an old time and an unsigned body, and keeps them for checks', async () => {
  expect(await post('msg_1', { secret: `whsec_${Buffer.alloc(32, 4).toString('base64')}` })).toBe(401);
  expect(await post('msg_2', { atSeconds: 1_600_000_000 })).toBe(401);
  expect((await fetch(receiver.url, { method: 'POST', body: BODY })).status).toBe(401);
  expect(receiver.notices().map((notice) => notice.verified)).toEqual([false, false, false]);
});

test('a verified body of unknown form is kept without content; a huge one is refused', async () => {
  expect(await post('msg_1', { body: 'not json' })).toBe(204);
  expect(receiver.notices()[0]).toMatchObject({ verified: true, type: '', alertId: '', notice: null });
  expect(await post('msg_2', { body: 'x'.repeat(300_000) })).toBe(413);
  expect((await fetch(receiver.url)).status).toBe(405);
});

test('a malformed secret is refused at the start', async () => {
  const secretFile = join(directory, 'bad');
  writeFileSync(secretFile, 'hunter2');
  await expect(startWebhookReceiver({ secretFile })).rejects.toThrow('whsec_');
});
