import type { IncomingMessage } from 'node:http';
import { EVENT_TYPES, RECORD_SCHEMAS, SEVERITIES, type SpanStart, type Tracer } from '@tracehound/event-model';
import { type HttpReply, type HttpRequest, type HttpServer, type ProblemOptions, sendProblem } from '@tracehound/http';
import { faultPoint } from '@tracehound/lifecycle';
import type { BodyKind } from '../domain/event-list.ts';
import { parseInstant } from '../domain/event-time.ts';
import type { InFlight } from '../domain/in-flight.ts';
import { type Admission, type Refusal, refuse } from '../domain/intake-request.ts';
import { parseTraceparent } from '../domain/trace-context.ts';
import { REFUSALS } from '../errors.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { GatewayPipeline } from '../pipeline.ts';
import type { BatchAnswer, EventResult } from '../stages/respond.ts';
import { type BodyBounds, readBody } from './request-body.ts';

export type IntakeRoutesOptions = {
  readonly pipeline: GatewayPipeline;
  readonly metrics: GatewayMetrics;
  readonly bounds: BodyBounds;
  readonly inFlight: InFlight;
  readonly tracer: Tracer;
  readonly now: () => number;
};

/** Seconds after which a client may try again when Kafka could not be reached; jittered so that clients do not return together. */
const RETRY_AFTER_S_MIN = 1;
const RETRY_AFTER_S_MAX = 5;

const REQUEST_SPAN: SpanStart = {
  name: 'POST /v1/events',
  kind: 'server',
  attributes: { 'http.request.method': 'POST', 'http.route': '/v1/events' },
};

/** `POST /v1/events`, `GET /v1/event-types`, `GET /v1/schemas`. */
export function registerIntakeRoutes(server: HttpServer, options: IntakeRoutesOptions): void {
  const { pipeline, metrics } = options;
  // The handler reads the body itself: authentication comes first, and bounds hold while bytes arrive.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', (_request, payload: IncomingMessage, done) => done(null, payload));

  // Bounds are checked by the limit stage and while reading; Fastify's own would answer before authentication.
  const route = { bodyLimit: Number.MAX_SAFE_INTEGER, onResponse: countResponse };
  server.post('/v1/events', route, async (request, reply) => {
    const leave = options.inFlight.enter();
    metrics.inFlight.set(options.inFlight.count());
    try {
      if (options.tracer.enabled) await traceRequest(request, reply);
      else await answerRequest(request, reply);
    } finally {
      leave();
      metrics.inFlight.set(options.inFlight.count());
    }
    return reply;
  });

  server.get('/v1/event-types', (_request, reply) =>
    reply.header('cache-control', 'public, max-age=300').send({ event_types: EVENT_TYPES, severities: SEVERITIES }),
  );
  server.get('/v1/schemas', (_request, reply) =>
    reply.header('cache-control', 'public, max-age=300').send({ schemas: Object.keys(RECORD_SCHEMAS) }),
  );
  server.get<{ Params: { name: string } }>('/v1/schemas/:name', (request, reply) => {
    const schema = Object.entries(RECORD_SCHEMAS).find(([name]) => name === request.params.name)?.[1];
    if (schema) return reply.header('cache-control', 'public, max-age=300').send(schema);
    return sendProblem(
      reply,
      { status: 404, code: 'not_found', title: 'There is no schema of this name.' },
      request.id,
    );
  });

  async function traceRequest(request: HttpRequest, reply: HttpReply): Promise<void> {
    const traceparent = request.headers['traceparent'];
    const parent = options.tracer.read(typeof traceparent === 'string' ? traceparent : undefined);
    await options.tracer.span({ ...REQUEST_SPAN, parent }, async (span) => {
      await answerRequest(request, reply);
      span?.set({ 'http.response.status_code': reply.statusCode });
    });
  }

  async function answerRequest(request: HttpRequest, reply: HttpReply): Promise<void> {
    const taken = await takeRequest(request);
    if (taken.ok) sendAnswer(request, reply, taken.value);
    else sendRefusal(request, reply, taken);
  }

  async function takeRequest(request: HttpRequest): Promise<Admission<BatchAnswer>> {
    const admitted = pipeline.admit({
      authorization: request.headers.authorization,
      contentLength: lengthOf(request.headers['content-length']),
    });
    if (!admitted.ok) return admitted;
    const kind = bodyKindOf(request.headers['content-type']);
    if (kind === null) return refuse('unsupported_media_type', { field: 'content-type' });
    const read = await readBody(request.raw, request.headers['content-encoding'], options.bounds);
    if (!read.ok) return read;
    metrics.receivedBytes.inc({ form: 'wire' }, read.value.wireBytes);
    metrics.receivedBytes.inc({ form: 'plain' }, read.value.plain.length);
    observeSkew(request.headers['x-sent-at']);
    const traceparent = request.headers['traceparent'];
    const trace = typeof traceparent === 'string' ? parseTraceparent(traceparent) : null;
    return pipeline.take(admitted.value, { kind, plain: read.value.plain, trace });
  }

  async function countResponse(_request: HttpRequest, reply: HttpReply): Promise<void> {
    metrics.requests.inc({ status: String(reply.statusCode) });
    metrics.requestSeconds.observe(reply.elapsedTime / 1_000);
  }

  /** Measured for operators only. Event times never depend on it: two copies of an event would differ (X2). */
  function observeSkew(sentAt: string | readonly string[] | undefined): void {
    const sentAtMs = typeof sentAt === 'string' ? parseInstant(sentAt) : null;
    if (sentAtMs !== null) metrics.senderSkewSeconds.observe(Math.abs(options.now() - sentAtMs) / 1_000);
  }

  function sendRefusal(request: HttpRequest, reply: HttpReply, refusal: Refusal): void {
    metrics.refusals.inc({ reason: refusal.reason });
    const { status, title } = REFUSALS[refusal.reason];
    // A body that was not read to its end is not worth reading on; its connection ends with the answer.
    if (!request.raw.readableEnded) reply.header('connection', 'close');
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    const problem: ProblemOptions = {
      status,
      code: refusal.reason,
      title,
      ...(refusal.detail === null ? {} : { detail: refusal.detail }),
      ...(refusal.field === null ? {} : { field: refusal.field }),
      ...(refusal.retryAfterS === null ? {} : { retryAfterS: refusal.retryAfterS }),
    };
    sendProblem(reply, problem, request.id);
  }

  function sendAnswer(request: HttpRequest, reply: HttpReply, answer: BatchAnswer): void {
    faultPoint('g:before-respond');
    for (const result of ['accepted', 'duplicate', 'rejected', 'retry'] as const) {
      if (answer.counts[result] > 0) metrics.events.inc({ result }, answer.counts[result]);
    }
    const minimal = request.headers['prefer']?.toString().includes('return=minimal') ?? false;
    const results = minimal ? answer.results.filter((result) => result.status !== 'accepted') : answer.results;
    const body = { request_id: request.id, ...answer.counts, results };
    if (answer.counts.retry > 0) reply.header('retry-after', String(retryAfterS()));
    if (answer.status === 200 || answer.status === 207) {
      reply.code(answer.status).send(body);
      return;
    }
    sendProblem(reply, problemOf(answer, results), request.id);
  }
}

/** Nothing was accepted: a problem document that names the first event's trouble and lists all. */
function problemOf(answer: BatchAnswer, results: readonly EventResult[]): ProblemOptions {
  const extensions = { ...answer.counts, results };
  if (answer.status === 503) {
    return {
      status: 503,
      code: 'not_acknowledged',
      title: 'No event could be written now; send them again.',
      extensions,
    };
  }
  const first = results.find((result) => result.status === 'rejected');
  const title = answer.status === 403 ? 'This key may not write these events.' : 'No event is valid.';
  return {
    status: answer.status,
    code: first?.code ?? 'rejected',
    title,
    extensions,
    ...(first?.detail === undefined ? {} : { detail: first.detail }),
    ...(first?.field ? { field: first.field } : {}),
  };
}

function bodyKindOf(contentType: string | undefined): BodyKind | null {
  const [type = '', ...parameters] = (contentType ?? '').toLowerCase().split(';');
  const charset = parameters.map((parameter) => parameter.trim()).find((parameter) => parameter.startsWith('charset='));
  if (charset !== undefined && !/^charset="?utf-?8"?$/.test(charset)) return null;
  switch (type.trim()) {
    case 'application/json':
      return 'json';
    case 'application/x-ndjson':
    case 'application/ndjson':
    case 'application/jsonl':
      return 'ndjson';
    default:
      return null;
  }
}

function lengthOf(header: string | undefined): number | null {
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : null;
}

function retryAfterS(): number {
  return RETRY_AFTER_S_MIN + Math.floor(Math.random() * (RETRY_AFTER_S_MAX - RETRY_AFTER_S_MIN + 1));
}
