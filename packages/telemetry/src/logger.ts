import { classifyError, TracehoundError } from '@tracehound/event-model';
import { destination, type Logger as PinoLogger, pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/**
 * Structured log: the message is constant text, data lies in fields (`stage`, `organizationId`, `traceId`, `eventId`,
 * `ruleId`, `topic`, `partition`, `offset`, `code`), a caught error under `err`. Never per event at `info`.
 */
export type Logger = {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** A logger whose lines carry these fields too. */
  child(fields: Readonly<Record<string, unknown>>): Logger;
};

export type LoggerOptions = {
  readonly service: string;
  readonly level?: LogLevel;
  /** Where lines go; default: standard error, written synchronously so that a crash loses none. */
  readonly write?: (line: string) => void;
};

/** Names whose values never reach a log, at the root of the fields and two levels down. */
const SECRET_NAMES = [
  'password',
  'passwd',
  'secret',
  'token',
  'apiKey',
  'api_key',
  'authorization',
  'cookie',
  'payload',
  'body',
  'ip',
  'email',
];

export const REDACTION_PATHS: readonly string[] = SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/** Errors deeper than this in a cause chain are cut. */
const CAUSE_DEPTH_MAX = 3;

export function createLogger(options: LoggerOptions): Logger {
  const settings = {
    level: options.level ?? 'info',
    base: { service: options.service },
    timestamp: pinoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: [...REDACTION_PATHS], censor: '[redacted]' },
    serializers: { err: (error: unknown) => describeError(error, CAUSE_DEPTH_MAX) },
  };
  const stream = options.write ? { write: options.write } : destination({ fd: 2, sync: true });
  return wrap(pino(settings, stream));
}

function pinoTime(): string {
  return `,"time":"${new Date().toISOString()}"`;
}

function wrap(inner: PinoLogger): Logger {
  return {
    debug: (message, fields) => inner.debug(printable(fields), message),
    info: (message, fields) => inner.info(printable(fields), message),
    warn: (message, fields) => inner.warn(printable(fields), message),
    error: (message, fields) => inner.error(printable(fields), message),
    child: (fields) => wrap(inner.child(printable(fields))),
  };
}

/** Offsets are bigint here and JSON has none: they are printed as text, exactly. */
function printable(fields: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields ?? {})) {
    result[name] = typeof value === 'bigint' ? value.toString() : value;
  }
  return result;
}

/**
 * Code, category, message, stack and causes; nothing else of the error object, because drivers hang rows and
 * parameters on theirs. Messages of parsers quote their input, so a `SyntaxError` loses its own.
 */
function describeError(error: unknown, depth: number): Readonly<Record<string, unknown>> {
  if (!(error instanceof Error)) return { name: typeof error, message: 'something that is no Error was thrown' };
  const { code, category } = classifyError(error);
  return {
    name: error.name,
    code,
    category,
    message: error instanceof SyntaxError ? 'syntax error' : error.message,
    ...(error instanceof TracehoundError && Object.keys(error.fields).length > 0
      ? { fields: printable(error.fields) }
      : {}),
    stack: error.stack
      ?.split('\n')
      .filter((line) => line.startsWith('    at '))
      .join('\n'),
    ...(error.cause !== undefined && depth > 0 ? { cause: describeError(error.cause, depth - 1) } : {}),
  };
}
