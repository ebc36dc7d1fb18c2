import { type ErrorCategory, type ErrorCode, TracehoundError } from '@tracehound/event-model';
import type { FastifyReply } from 'fastify';

/**
 * Problem document (RFC 9457). `type` is a stable address made of the code, `status` the HTTP status, `field` the
 * position of what is wrong in the request (JSON pointer or header name). Texts hold no data of the request.
 */
export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail?: string;
  readonly field?: string;
  readonly request_id?: string;
  readonly [extension: string]: unknown;
};

export type ProblemOptions = {
  readonly status: number;
  /** Stable snake_case word; clients branch on it. */
  readonly code: string;
  readonly title: string;
  readonly detail?: string;
  readonly field?: string;
  /** Seconds until another try makes sense; sent as `Retry-After`. */
  readonly retryAfterS?: number;
  /** Further members of the document. */
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
};

/** Thrown by a handler to answer with a problem document. */
export class HttpProblem extends TracehoundError {
  readonly options: ProblemOptions;

  constructor(options: ProblemOptions) {
    super(options.title, {
      code: codeOf(options.code),
      category: categoryOf(options.status),
      retriable: options.status === 429 || options.status >= 500,
      cause: options.cause,
      fields: { status: options.status },
    });
    this.options = options;
  }
}

function codeOf(code: string): ErrorCode {
  return `SEC_HTTP_${code.toUpperCase()}`;
}

function categoryOf(status: number): ErrorCategory {
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 404) return 'not_found';
  if (status === 409) return 'conflict';
  if (status === 429) return 'overload';
  return status >= 500 ? 'dependency' : 'invalid_input';
}

export function problemDocument(options: ProblemOptions, requestId?: string): Problem {
  return {
    type: `https://tracehound.dev/problems/${options.code.replaceAll('_', '-')}`,
    title: options.title,
    status: options.status,
    code: options.code,
    ...(options.detail === undefined ? {} : { detail: options.detail }),
    ...(options.field === undefined ? {} : { field: options.field }),
    ...(requestId === undefined ? {} : { request_id: requestId }),
    ...options.extensions,
  };
}

export function sendProblem(reply: FastifyReply, options: ProblemOptions, requestId?: string): FastifyReply {
  if (options.retryAfterS !== undefined) reply.header('retry-after', String(options.retryAfterS));
  return (
    reply
      .code(options.status)
      .type('application/problem+json')
      // Bytes, because Fastify adds a charset to texts, which this media type does not have.
      .send(Buffer.from(JSON.stringify(problemDocument(options, requestId))))
  );
}
