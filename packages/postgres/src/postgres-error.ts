import { type ErrorCategory, type ErrorCode, TracehoundError } from '@tracehound/event-model';

/**
 * A failed statement. `fields` name SQLSTATE, constraint, table and column; never values, which PostgreSQL puts into
 * `detail` and some messages.
 */
export class PostgresError extends TracehoundError {}

type Kind = {
  readonly code: ErrorCode;
  readonly category: ErrorCategory;
  readonly retriable: boolean;
  readonly message: string;
};

const UNAVAILABLE: Kind = {
  code: 'SEC_PG_UNAVAILABLE',
  category: 'dependency',
  retriable: true,
  message: 'PostgreSQL cannot be reached',
};
const DISK_FULL: Kind = {
  code: 'SEC_PG_DISK_FULL',
  category: 'dependency',
  retriable: true,
  message: 'the disk of PostgreSQL is full',
};
const TIMEOUT: Kind = {
  code: 'SEC_PG_TIMEOUT',
  category: 'timeout',
  retriable: true,
  message: 'a statement took too long',
};
const SERIALIZATION: Kind = {
  code: 'SEC_PG_SERIALIZATION',
  category: 'conflict',
  retriable: true,
  message: 'a transaction must be repeated',
};
const CONSTRAINT: Kind = {
  code: 'SEC_PG_CONSTRAINT',
  category: 'conflict',
  retriable: false,
  message: 'a constraint refused the change',
};
const DATA: Kind = {
  code: 'SEC_PG_DATA',
  category: 'invalid_input',
  retriable: false,
  message: 'PostgreSQL refused a value',
};
const DENIED: Kind = {
  code: 'SEC_PG_DENIED',
  category: 'unauthorized',
  retriable: false,
  message: 'PostgreSQL refused the login or the statement',
};
const STATEMENT: Kind = {
  code: 'SEC_PG_STATEMENT',
  category: 'permanent',
  retriable: false,
  message: 'PostgreSQL refused a statement',
};

/** SQLSTATE, longest prefix first (PostgreSQL documentation, appendix A). */
const STATES: readonly (readonly [string, Kind])[] = [
  ['40001', SERIALIZATION],
  ['40P01', SERIALIZATION],
  ['57014', TIMEOUT],
  ['55P03', TIMEOUT],
  ['42501', DENIED],
  ['25006', UNAVAILABLE],
  ['53100', DISK_FULL],
  ['08', UNAVAILABLE],
  ['53', UNAVAILABLE],
  ['57', UNAVAILABLE],
  ['58', UNAVAILABLE],
  ['23', CONSTRAINT],
  ['22', DATA],
  ['28', DENIED],
];

/** Total: anything caught around a PostgreSQL call becomes a `PostgresError`. Errors without SQLSTATE are connections. */
export function classifyPostgresError(error: unknown): PostgresError {
  if (error instanceof PostgresError) return error;
  const state = textOf(error, 'code');
  const isState = state !== undefined && /^[0-9A-Z]{5}$/.test(state);
  const kind = isState ? (STATES.find(([prefix]) => state.startsWith(prefix))?.[1] ?? STATEMENT) : UNAVAILABLE;
  const fields: Record<string, string> = isState ? { sqlstate: state } : {};
  for (const name of ['schema', 'table', 'column', 'constraint']) {
    const value = textOf(error, name);
    if (value !== undefined) fields[name] = value;
  }
  return new PostgresError(kind.message, { ...kind, cause: error, fields });
}

function textOf(error: unknown, name: string): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const value: unknown = Reflect.get(error, name);
  return typeof value === 'string' ? value : undefined;
}
