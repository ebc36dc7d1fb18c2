import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { decodeWebhookSecret, verifyWebhook } from '@tracehound/alerting';

export type Arrival = {
  readonly id: string;
  readonly atMs: number;
  readonly isVerified: boolean;
  /** Parsed body: `{ type, timestamp, data }`. */
  readonly body: { readonly type: string; readonly data: Readonly<Record<string, unknown>> };
};

export type ReceiverDouble = {
  readonly url: string;
  readonly arrivals: readonly Arrival[];
  /** Distinct webhook-ids, sorted. */
  ids(): string[];
  /** What the next arrivals are answered, in turn; afterwards 204. `hang` never answers. */
  answer(...replies: readonly (Reply | 'hang')[]): void;
  close(): Promise<void>;
};

export type Reply = { readonly status: number; readonly headers?: Readonly<Record<string, string>> };

export const SECRET: string = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

/** A real HTTP server that notes every request and answers as told. */
export async function receiverDouble(): Promise<ReceiverDouble> {
  const keys = [decodeWebhookSecret(SECRET) ?? Buffer.alloc(0)];
  const arrivals: Arrival[] = [];
  const replies: (Reply | 'hang')[] = [];
  const server = createServer((request, response) => void handle(request, response));

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString('utf8');
    const headers = request.headers as Record<string, string | undefined>;
    arrivals.push({
      id: headers['webhook-id'] ?? '',
      atMs: Date.now(),
      isVerified: verifyWebhook({ headers, body: text }, keys, Math.floor(Date.now() / 1_000)) === null,
      body: JSON.parse(text) as Arrival['body'],
    });
    const reply = replies.shift() ?? { status: 204 };
    if (reply === 'hang') return;
    response.writeHead(reply.status, reply.headers).end();
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the receiver has no port');
  return {
    url: `http://127.0.0.1:${address.port}/hook`,
    arrivals,
    ids: () => [...new Set(arrivals.map((arrival) => arrival.id))].sort(),
    answer: (...next) => void replies.push(...next),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
