import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Standard Webhooks 1.0 (`standard-webhooks/standard-webhooks:spec/standard-webhooks.md`): HMAC-SHA256 over
 * `id.timestamp.body`, key = base64 after `whsec_`, header `v1,<base64>`; a list separated by spaces while keys rotate.
 */
const SECRET_PREFIX = 'whsec_';

/** Bounds of the specification for symmetric keys, in bytes. */
const SECRET_BYTES = { min: 24, max: 64 } as const;

/** A replay older than this is refused by a receiver (the reference libraries use five minutes). */
export const SIGNATURE_TOLERANCE_SECONDS: number = 300;

export type WebhookHeaders = {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
};

export type SignedMessage = {
  readonly id: string;
  /** Whole seconds since 1970; renewed at each attempt while the id stays. */
  readonly timestampSeconds: number;
  readonly body: string;
};

export type VerificationFailure = 'headers_missing' | 'timestamp_invalid' | 'timestamp_outside' | 'signature_mismatch';

/** Raw key of a secret in `whsec_` form; null when it is malformed or of a length the specification forbids. */
export function decodeWebhookSecret(secret: string): Buffer | null {
  if (!secret.startsWith(SECRET_PREFIX)) return null;
  const text = secret.slice(SECRET_PREFIX.length);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return null;
  const key = Buffer.from(text, 'base64');
  return key.length >= SECRET_BYTES.min && key.length <= SECRET_BYTES.max ? key : null;
}

/** Headers of one attempt, signed with every key given (two while a secret is being rotated). */
export function signWebhook(message: SignedMessage, keys: readonly Buffer[]): WebhookHeaders {
  return {
    'webhook-id': message.id,
    'webhook-timestamp': String(message.timestampSeconds),
    'webhook-signature': keys.map((key) => `v1,${digest(message, key).toString('base64')}`).join(' '),
  };
}

/** Null when the signature holds for any of the keys and the time is near `nowSeconds`; else why not. Constant time per key. */
export function verifyWebhook(
  received: { readonly headers: Readonly<Record<string, string | undefined>>; readonly body: string },
  keys: readonly Buffer[],
  nowSeconds: number,
): VerificationFailure | null {
  const id = received.headers['webhook-id'];
  const timestamp = received.headers['webhook-timestamp'];
  const signatures = received.headers['webhook-signature'];
  if (!id || !timestamp || !signatures) return 'headers_missing';
  if (!/^[0-9]{1,15}$/.test(timestamp)) return 'timestamp_invalid';
  const timestampSeconds = Number(timestamp);
  if (Math.abs(nowSeconds - timestampSeconds) > SIGNATURE_TOLERANCE_SECONDS) return 'timestamp_outside';
  const message = { id, timestampSeconds, body: received.body };
  const offered = signatures.split(' ').filter((entry) => entry.startsWith('v1,'));
  for (const key of keys) {
    const wanted = digest(message, key);
    for (const entry of offered) {
      const got = Buffer.from(entry.slice('v1,'.length), 'base64');
      if (got.length === wanted.length && timingSafeEqual(got, wanted)) return null;
    }
  }
  return 'signature_mismatch';
}

function digest(message: SignedMessage, key: Buffer): Buffer {
  return createHmac('sha256', key).update(`${message.id}.${message.timestampSeconds}.${message.body}`).digest();
}
