import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type BinaryColumn,
  copyBinary,
  createPool,
  ensureDatabase,
  migrate,
  type Pool,
  transaction,
} from '@tracehound/postgres';
import { testStack } from '@tracehound/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

let url: string;
let pool: Pool;
const directories: string[] = [];

beforeAll(async () => {
  url = await (await testStack()).database();
  pool = createPool(url, { applicationName: 'postgres-test' });
});

afterAll(async () => {
  await pool.end();
  for (const directory of directories) await rm(directory, { recursive: true });
});

async function migrations(files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'migrations-test-'));
  directories.push(directory);
  for (const [name, sql] of Object.entries(files)) await writeFile(join(directory, name), sql);
  return directory;
}

const COLUMNS: readonly BinaryColumn[] = [
  { name: 'id', type: 'uuid' },
  { name: 'name', type: 'text' },
  { name: 'small', type: 'int2' },
  { name: 'middle', type: 'int4' },
  { name: 'big', type: 'int8' },
  { name: 'ratio', type: 'float8' },
  { name: 'flag', type: 'bool' },
  { name: 'at', type: 'timestamptz' },
  { name: 'attrs', type: 'jsonb' },
  { name: 'raw', type: 'bytea' },
  { name: 'tags', type: 'text[]' },
];

describe('copyBinary', () => {
  test('every type comes back as it went in, with nulls, many chunks', async () => {
    await pool.query(`CREATE TABLE copied (id uuid, name text, small int2, middle int4, big int8, ratio float8,
      flag bool, at timestamptz, attrs jsonb, raw bytea, tags text[])`);
    const at = Date.parse('2024-02-29T12:34:56.789Z');
    const row = [
      '0190163d-8694-739b-aea5-966c26f8ad91',
      'naïve "quoted" \\ 雪',
      -32_768,
      -5,
      9_223_372_036_854_775_807n,
      0.1,
      true,
      at,
      { list: [1, 'x'], 'a"b': null },
      Buffer.from([0, 1, 255]),
      ['a', null, 'c,"d"'],
    ] as const;
    const count = await transaction(pool, (client) =>
      copyBinary(client, 'public.copied', COLUMNS, [
        ...Array.from({ length: 2_000 }, () => row),
        COLUMNS.map(() => null),
        [...row.slice(0, 10), []],
      ]),
    );
    expect(count).toBe(2_002);
    const { rows } = await pool.query('SELECT * FROM copied');
    expect(rows).toHaveLength(2_002);
    expect(rows[1_999]).toEqual({
      id: row[0],
      name: row[1],
      small: row[2],
      middle: row[3],
      big: row[4],
      ratio: row[5],
      flag: row[6],
      at: new Date(at),
      attrs: row[8],
      raw: row[9],
      tags: [...row[10]],
    });
    expect(Object.values(rows[2_000]).every((value) => value === null)).toBe(true);
    expect(rows[2_001].tags).toEqual([]);
  });

  test('a misfit sends nothing and leaves the connection usable', async () => {
    await pool.query('CREATE TABLE misfit (n int4)');
    const failing = transaction(pool, (client) =>
      copyBinary(client, 'misfit', [{ name: 'n', type: 'int4' }], [[1], ['x']]),
    );
    await expect(failing).rejects.toMatchObject({ code: 'SEC_CORE_INVARIANT' });
    expect((await pool.query('SELECT count(*) AS n FROM misfit')).rows).toEqual([{ n: 0n }]);
  });

  test('a constraint is classified', async () => {
    await pool.query('CREATE TABLE keyed (n int4 PRIMARY KEY)');
    const failing = transaction(pool, (client) =>
      copyBinary(client, 'keyed', [{ name: 'n', type: 'int4' }], [[1], [1]]),
    );
    await expect(failing).rejects.toMatchObject({ code: 'SEC_PG_CONSTRAINT', fields: { constraint: 'keyed_pkey' } });
  });
});

describe('transaction', () => {
  test('repeats a serialization failure until it holds', async () => {
    await pool.query('CREATE TABLE counter (n int8); INSERT INTO counter VALUES (0)');
    let runs = 0;
    const add = (): Promise<unknown> =>
      transaction(
        pool,
        async (client) => {
          runs++;
          const { rows } = await client.query<{ n: bigint }>('SELECT n FROM counter');
          await client.query('UPDATE counter SET n = $1', [(rows[0]?.n ?? 0n) + 1n]);
        },
        { isolation: 'serializable', attemptsMax: 50 },
      );
    await Promise.all(Array.from({ length: 8 }, add));
    expect((await pool.query('SELECT n FROM counter')).rows).toEqual([{ n: 8n }]);
    expect(runs).toBeGreaterThan(8);
  });

  test('rolls back and passes an error of the caller unchanged', async () => {
    await pool.query('CREATE TABLE rolled (n int4)');
    const own = new Error('own');
    const failing = transaction(pool, async (client) => {
      await client.query('INSERT INTO rolled VALUES (1)');
      throw own;
    });
    await expect(failing).rejects.toBe(own);
    expect((await pool.query('SELECT * FROM rolled')).rowCount).toBe(0);
  });

  test('a killed backend is SEC_PG_UNAVAILABLE and the pool heals', async () => {
    const failing = transaction(pool, (client) => client.query('SELECT pg_terminate_backend(pg_backend_pid())'));
    await expect(failing).rejects.toMatchObject({ code: 'SEC_PG_UNAVAILABLE' });
    expect((await pool.query('SELECT 1')).rowCount).toBe(1);
  });

  test('a server that is not there is SEC_PG_UNAVAILABLE', async () => {
    const nowhere = createPool('postgres://postgres@127.0.0.1:1/test', { applicationName: 'postgres-test' });
    await expect(transaction(nowhere, async () => 1)).rejects.toMatchObject({ code: 'SEC_PG_UNAVAILABLE' });
    await nowhere.end();
  });
});

describe('migrate', () => {
  test('applies in order, once, also from several processes at once', async () => {
    const directory = await migrations({
      '0001_first.sql': 'CREATE TABLE m (n int4); INSERT INTO m VALUES (1);',
      '0002_second.sql': 'INSERT INTO m SELECT n + 1 FROM m;',
    });
    const runs = await Promise.all([migrate(pool, directory), migrate(url, directory), migrate(url, directory)]);
    expect(runs.flat().map((entry) => entry.name)).toEqual(['0001_first.sql', '0002_second.sql']);
    expect((await pool.query('SELECT n FROM m ORDER BY n')).rows).toEqual([{ n: 1 }, { n: 2 }]);
    await writeFile(join(directory, '0003_third.sql'), 'INSERT INTO m VALUES (9);');
    expect(await migrate(url, directory)).toMatchObject([{ name: '0003_third.sql' }]);
    expect(await migrate(url, directory)).toEqual([]);

    await writeFile(join(directory, '0001_first.sql'), 'CREATE TABLE m (n int8);');
    await expect(migrate(url, directory)).rejects.toMatchObject({
      code: 'SEC_PG_MIGRATION',
      fields: { migration: '0001_first.sql' },
    });
    await rm(join(directory, '0001_first.sql'));
    await expect(migrate(url, directory)).rejects.toThrow('missing');
  });

  test('a failing file leaves nothing of itself behind', async () => {
    const own = await (await testStack()).database();
    const directory = await migrations({ '0001_bad.sql': 'CREATE TABLE half (n int4); SELECT nonsense;' });
    await expect(migrate(own, directory)).rejects.toMatchObject({ code: 'SEC_PG_MIGRATION' });
    await writeFile(join(directory, '0001_bad.sql'), 'CREATE TABLE half (n int4);');
    expect(await migrate(own, directory)).toHaveLength(1);
  });

  test('refuses a name it cannot order', async () => {
    const directory = await migrations({ 'first.sql': 'SELECT 1;' });
    await expect(migrate(url, directory)).rejects.toThrow('not named');
  });
});

test('ensureDatabase creates once', async () => {
  const target = new URL(url);
  target.pathname = `${target.pathname}_more`;
  const made = await Promise.all([ensureDatabase(target.href), ensureDatabase(target.href)]);
  expect(made.filter(Boolean).length).toBeGreaterThanOrEqual(1);
  expect(await ensureDatabase(target.href)).toBe(false);
  await pool.query(`DROP DATABASE "${target.pathname.slice(1)}"`);
});
