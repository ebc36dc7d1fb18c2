import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { classifyPostgresError, PostgresError } from './postgres-error.ts';

function reply(code: string, more: Record<string, string> = {}): Error {
  return Object.assign(new pg.DatabaseError('Key (email)=(hunter2) already exists.', 1, 'error'), { code, ...more });
}

describe('classifyPostgresError', () => {
  test.each([
    ['40001', 'SEC_PG_SERIALIZATION', true],
    ['40P01', 'SEC_PG_SERIALIZATION', true],
    ['57014', 'SEC_PG_TIMEOUT', true],
    ['57P01', 'SEC_PG_UNAVAILABLE', true],
    ['53100', 'SEC_PG_DISK_FULL', true],
    ['53300', 'SEC_PG_UNAVAILABLE', true],
    ['08006', 'SEC_PG_UNAVAILABLE', true],
    ['25006', 'SEC_PG_UNAVAILABLE', true],
    ['23505', 'SEC_PG_CONSTRAINT', false],
    ['22P02', 'SEC_PG_DATA', false],
    ['28P01', 'SEC_PG_DENIED', false],
    ['42P01', 'SEC_PG_STATEMENT', false],
  ])('%s is %s', (state, code, retriable) => {
    expect(classifyPostgresError(reply(state))).toMatchObject({ code, retriable, fields: { sqlstate: state } });
  });

  test('errors without a state are connections', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' });
    expect(classifyPostgresError(refused)).toMatchObject({ code: 'SEC_PG_UNAVAILABLE', retriable: true });
    expect(classifyPostgresError(new AggregateError([refused]))).toMatchObject({ code: 'SEC_PG_UNAVAILABLE' });
    expect(classifyPostgresError('lost')).toMatchObject({ code: 'SEC_PG_UNAVAILABLE' });
  });

  test('names the constraint and never the value', () => {
    const error = classifyPostgresError(
      reply('23505', { table: 'alerts', constraint: 'alerts_key', detail: 'hunter2' }),
    );
    expect(error).toBeInstanceOf(PostgresError);
    expect(error.fields).toEqual({ sqlstate: '23505', table: 'alerts', constraint: 'alerts_key' });
    expect(`${error.message} ${JSON.stringify(error.fields)}`).not.toContain('hunter2');
  });
});
