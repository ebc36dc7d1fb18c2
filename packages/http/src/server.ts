import { randomUUID } from 'node:crypto';
import { type FastifyError, type FastifyInstance, fastify } from 'fastify';
import { HttpProblem, type ProblemOptions, sendProblem } from './problem.ts';

export type HttpServerOptions = {
  /** Bytes of a body on the wire; default 1 MiB. */
  readonly bodyBytesMax?: number;
  /** Whole request, headers and body; default 30,000 ms. Ends slow-loris senders. */
  readonly requestTimeoutMs?: number;
  /** Idle keep-alive connections; default 72,000 ms, above the 60 s of common load balancers. */
  readonly keepAliveTimeoutMs?: number;
  /** Called for errors that are answered with 500: a bug or a dependency, for the log. */
  readonly onError?: (error: unknown, requestId: string) => void;
};

const BODY_BYTES_MAX_DEFAULT = 1_048_576;
const REQUEST_TIMEOUT_MS_DEFAULT = 30_000;
const KEEP_ALIVE_TIMEOUT_MS_DEFAULT = 72_000;
/** Open connections have this long to end their request once the server closes. */
const DRAIN_MS = 10_000;
const IDLE_SWEEP_MS = 25;

/**
 * A Fastify instance whose every answer to an error is a problem document and never a stack trace. While closing it
 * answers 503 to requests on open connections. Prototype poisoning in JSON bodies is refused with 400.
 */
export function createHttpServer(options: HttpServerOptions = {}): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: options.bodyBytesMax ?? BODY_BYTES_MAX_DEFAULT,
    requestTimeout: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT,
    connectionTimeout: 0,
    keepAliveTimeout: options.keepAliveTimeoutMs ?? KEEP_ALIVE_TIMEOUT_MS_DEFAULT,
    return503OnClosing: true,
    forceCloseConnections: 'idle',
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    genReqId: () => randomUUID(),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 200 },
  });
  server.setNotFoundHandler((request, reply) =>
    sendProblem(reply, { status: 404, code: 'not_found', title: 'There is nothing at this path.' }, request.id),
  );
  server.setErrorHandler((error: FastifyError | Error, request, reply) => {
    const problem = problemOf(error);
    if (problem.status >= 500) options.onError?.(error, request.id);
    return sendProblem(reply, problem, request.id);
  });
  return server;
}

/** Problems pass; Fastify's own refusals keep their status with our words; all else is a 500 without details. */
function problemOf(error: FastifyError | Error): ProblemOptions {
  if (error instanceof HttpProblem) return error.options;
  const status = 'statusCode' in error ? error.statusCode : undefined;
  switch (status) {
    case 413:
      return { status, code: 'body_too_large', title: 'The body is larger than allowed.' };
    case 415:
      return {
        status,
        code: 'unsupported_media_type',
        title: 'This content type is not supported.',
        field: 'content-type',
      };
    case 400:
      return { status, code: 'bad_request', title: 'The request cannot be read.' };
    case 503:
      return { status, code: 'draining', title: 'The server is shutting down.', retryAfterS: 1 };
    default:
      return { status: 500, code: 'internal', title: 'Something failed inside.' };
  }
}

/** Binds and returns the address as `http://host:port`; port 0 takes a free one. */
export async function listen(server: FastifyInstance, options: { host: string; port: number }): Promise<string> {
  return server.listen({ host: options.host, port: options.port });
}

/**
 * Stops taking connections, waits for running requests up to 10 s, then cuts what is left. Idempotent.
 */
export async function closeServer(server: FastifyInstance, drainMs: number = DRAIN_MS): Promise<void> {
  const cut = setTimeout(() => server.server.closeAllConnections(), drainMs);
  // A connection that was busy when closing began is kept alive by its answer; it is idle from then on.
  const sweep = setInterval(() => server.server.closeIdleConnections(), IDLE_SWEEP_MS);
  try {
    await server.close();
  } finally {
    clearTimeout(cut);
    clearInterval(sweep);
  }
}
