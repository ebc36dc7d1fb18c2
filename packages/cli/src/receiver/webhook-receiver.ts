import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { decodeWebhookSecret, type Notice, verifyWebhook } from '@tracehound/alerting';

/** A notice as it arrived. `id` is the `webhook-id`: a sender may repeat it, so count ids, not arrivals. */
export type ReceivedNotice = {
  readonly id: string;
  /** The signature held for the raw body and the time was near. A notice that fails is answered 401, and kept for checks. */
  readonly verified: boolean;
  readonly receivedAtMs: number;
  /** `alert.opened` and so on; empty when the body is no notice. */
  readonly type: string;
  readonly alertId: string;
  /** As sent; null unless verified and of the expected form. */
  readonly notice: (Omit<Notice, 'details'> & { readonly details: Notice['details'] | 'follow' }) | null;
  /** Arrivals under this id so far, this one included. */
  readonly arrivals: number;
};

export type WebhookReceiver = {
  /** Where notices are to be posted. */
  readonly url: string;
  /** One entry per `webhook-id`, in order of first arrival; unverified arrivals each have an entry of their own. */
  notices(): readonly ReceivedNotice[];
  /** All arrivals, repetitions included. */
  readonly arrivals: number;
  /** Called once per new verified notice; returns how to stop it. */
  onNotice(listener: (notice: ReceivedNotice) => void): () => void;
  close(): Promise<void>;
};

export type WebhookReceiverOptions = {
  /** File with a `whsec_` secret. */
  readonly secretFile: string;
  readonly host?: string;
  /** 0, the default, takes a free port. */
  readonly port?: number;
  readonly now?: () => number;
};

/** Our notices stay below 20 kB. */
const BODY_BYTES_MAX = 262_144;

/**
 * The other end of a signed webhook: verifies the Standard Webhooks signature over the raw bytes and drops repetitions
 * by `webhook-id`. It prints nothing. Answers 204, 401 for a bad signature, 413 for a body that is too large.
 */
export async function startWebhookReceiver(options: WebhookReceiverOptions): Promise<WebhookReceiver> {
  const key = decodeWebhookSecret(readFileSync(options.secretFile, 'utf8').trim());
  if (!key) throw new Error('the webhook secret file must hold whsec_ and 24 to 64 bytes in base64');
  const now = options.now ?? Date.now;
  const known = new Map<string, ReceivedNotice>();
  const refused: ReceivedNotice[] = [];
  const listeners = new Set<(notice: ReceivedNotice) => void>();
  let arrivals = 0;

  function accept(headers: IncomingMessage['headers'], body: string): number {
    arrivals += 1;
    const receivedAtMs = now();
    const text = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
    );
    const id = text['webhook-id'] ?? '';
    const failure = verifyWebhook({ headers: text, body }, [key as Buffer], Math.floor(receivedAtMs / 1_000));
    if (failure !== null) {
      refused.push({ id, verified: false, receivedAtMs, type: '', alertId: '', notice: null, arrivals: 1 });
      return 401;
    }
    const before = known.get(id);
    if (before) {
      known.set(id, { ...before, arrivals: before.arrivals + 1 });
      return 204;
    }
    const notice = { id, verified: true, receivedAtMs, ...contentOf(body), arrivals: 1 };
    known.set(id, notice);
    for (const listener of listeners) listener(notice);
    return 204;
  }

  const server = createServer((request, response) => {
    void answer(request, response, accept);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
  });

  return {
    url: `${addressOf(server)}/notices`,
    notices: () => [...known.values(), ...refused],
    get arrivals() {
      return arrivals;
    },
    onNotice(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  accept: (headers: IncomingMessage['headers'], body: string) => number,
): Promise<void> {
  const status = await statusOf(request, accept).catch(() => 400);
  response.writeHead(status, { connection: status === 413 ? 'close' : 'keep-alive' }).end();
}

async function statusOf(request: IncomingMessage, accept: Parameters<typeof answer>[2]): Promise<number> {
  if (request.method !== 'POST') return 405;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) return 413;
    chunks.push(chunk);
  }
  return accept(request.headers, Buffer.concat(chunks).toString('utf8'));
}

/** The parts of a verified body that a reader asks for; a body of another sender gives empty ones. */
function contentOf(body: string): Pick<ReceivedNotice, 'type' | 'alertId' | 'notice'> {
  try {
    const { type, data } = JSON.parse(body) as { type?: unknown; data?: { alert_id?: unknown } };
    if (typeof type === 'string' && typeof data?.alert_id === 'string') {
      // Signed by our own alerter, whose only body this is.
      return { type, alertId: data.alert_id, notice: data as unknown as ReceivedNotice['notice'] };
    }
  } catch {
    // Not JSON: verified all the same, of no content.
  }
  return { type: '', alertId: '', notice: null };
}

function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the receiver has no port');
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}
