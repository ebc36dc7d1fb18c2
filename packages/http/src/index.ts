/**
 * HTTP servers with safe defaults: bounds on size and time, problem documents (RFC 9457) without stack traces, a close
 * that drains, and the internal server with metrics and health. It holds no route of any service and no authentication.
 */

export type { FastifyInstance as HttpServer, FastifyReply as HttpReply, FastifyRequest as HttpRequest } from 'fastify';
export { createInternalServer, type InternalServerOptions } from './internal-server.ts';
export { HttpProblem, type Problem, type ProblemOptions, problemDocument, sendProblem } from './problem.ts';
export { closeServer, createHttpServer, type HttpServerOptions, listen } from './server.ts';
