import { closeServer, createHttpServer, listen } from './server.ts';

type HealthAnswer = {
  readonly ok: boolean;
  readonly status: string;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
};

export type InternalServerOptions = {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly health: { ready(): HealthAnswer; live(): HealthAnswer };
};

/**
 * `GET /metrics`, `/health/live` and `/health/ready` (200, or 503 with the checks that say why). It answers until
 * everything else has stopped, so it is started first. Never expose it to clients.
 */
export function createInternalServer(options: InternalServerOptions): {
  start(): Promise<string>;
  stop(): Promise<void>;
} {
  const server = createHttpServer({ bodyBytesMax: 1 });
  server.get('/metrics', async (_request, reply) =>
    reply.type(options.metrics.contentType).send(await options.metrics.text()),
  );
  for (const kind of ['live', 'ready'] as const) {
    server.get(`/health/${kind}`, (_request, reply) => {
      const { ok, status, checks } = options.health[kind]();
      return reply.code(ok ? 200 : 503).send({ status, checks });
    });
  }
  return {
    start: () => listen(server, options),
    stop: () => closeServer(server, 1_000),
  };
}
