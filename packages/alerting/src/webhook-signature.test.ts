import { describe, expect, test } from 'vitest';
import { decodeWebhookSecret, signWebhook, verifyWebhook } from './webhook-signature.ts';

/** The vector of the reference libraries (standard-webhooks/standard-webhooks:libraries/javascript/src/index.test.ts). */
const OFFICIAL = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestampSeconds: 1_614_265_330,
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};

function key(secret: string): Buffer {
  const decoded = decodeWebhookSecret(secret);
  if (!decoded) throw new Error('the secret of the test is malformed');
  return decoded;
}

const OTHER = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

describe('Standard Webhooks signature', () => {
  test('equals the official vector', () => {
    expect(signWebhook(OFFICIAL, [key(OFFICIAL.secret)])).toEqual({
      'webhook-id': OFFICIAL.id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': OFFICIAL.signature,
    });
  });

  test('verifies with either key while secrets rotate', () => {
    const headers = signWebhook(OFFICIAL, [key(OTHER), key(OFFICIAL.secret)]);
    expect(headers['webhook-signature'].split(' ')).toHaveLength(2);
    for (const secret of [OTHER, OFFICIAL.secret]) {
      expect(verifyWebhook({ headers, body: OFFICIAL.body }, [key(secret)], OFFICIAL.timestampSeconds)).toBeNull();
    }
  });

  test.each([
    ['another body', { body: '{"test": 2432232315}' }, 'signature_mismatch'],
    ['another id', { headers: { 'webhook-id': 'msg_other' } }, 'signature_mismatch'],
    ['another time', { headers: { 'webhook-timestamp': '1614265331' } }, 'signature_mismatch'],
    ['a time that is no number', { headers: { 'webhook-timestamp': '1e9' } }, 'timestamp_invalid'],
    [
      'another version only',
      { headers: { 'webhook-signature': OFFICIAL.signature.replace('v1', 'v2') } },
      'signature_mismatch',
    ],
    ['a signature cut short', { headers: { 'webhook-signature': 'v1,g0hM' } }, 'signature_mismatch'],
    ['no signature', { headers: { 'webhook-signature': undefined } }, 'headers_missing'],
  ])('refuses %s', (_name, change, failure) => {
    const signed = signWebhook(OFFICIAL, [key(OFFICIAL.secret)]);
    const headers = { ...signed, ...('headers' in change ? change.headers : {}) };
    const body = 'body' in change ? change.body : OFFICIAL.body;
    expect(verifyWebhook({ headers, body }, [key(OFFICIAL.secret)], OFFICIAL.timestampSeconds)).toBe(failure);
  });

  test('refuses a replay after five minutes, and one from the future', () => {
    const headers = signWebhook(OFFICIAL, [key(OFFICIAL.secret)]);
    const at = (offset: number) =>
      verifyWebhook({ headers, body: OFFICIAL.body }, [key(OFFICIAL.secret)], OFFICIAL.timestampSeconds + offset);
    expect([at(300), at(-300)]).toEqual([null, null]);
    expect([at(301), at(-301)]).toEqual(['timestamp_outside', 'timestamp_outside']);
  });

  test.each([
    'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    'whsec_',
    'whsec_!!',
    'whsec_c2hvcnQ=',
    `whsec_${Buffer.alloc(65).toString('base64')}`,
  ])('refuses the secret %s', (secret) => {
    expect(decodeWebhookSecret(secret)).toBeNull();
  });
});
