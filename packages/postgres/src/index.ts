/**
 * PostgreSQL as this project uses it: a pool, transactions that repeat only what PostgreSQL says may be repeated,
 * binary COPY, and migrations that refuse a changed past. It holds no table of any service.
 */

export type { Pool, PoolClient } from 'pg';
export {
  type BinaryColumn,
  type BinaryColumnType,
  type BinaryRow,
  type BinaryValue,
  binaryCopyStream,
  copyBinary,
} from './copy-binary.ts';
export { ensureDatabase } from './ensure-database.ts';
export { type AppliedMigration, migrate } from './migrate.ts';
export { createPool, type PoolOptions } from './pool.ts';
export { classifyPostgresError, PostgresError } from './postgres-error.ts';
export { type TransactionOptions, transaction } from './transaction.ts';
