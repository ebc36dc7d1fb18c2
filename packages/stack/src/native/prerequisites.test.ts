import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkPrerequisites, ensurePrerequisites, postgresFlavor } from './prerequisites.ts';

const everything = {
  kinds: ['kafka', 'registry', 'redis-state', 'redis-edge', 'postgres'],
  postgresFlavor: 'embedded',
  isKafkaCached: false,
  isRegistryCached: false,
} as const;

let path: string | undefined;

beforeEach(() => {
  path = process.env['PATH'];
});
afterEach(() => {
  process.env['PATH'] = path;
});

it('finds what this machine has, with versions', async () => {
  const found = await checkPrerequisites(everything);
  expect(found.map(({ name }) => name)).toEqual(['java', 'mvn', 'go', 'redis-server']);
  for (const { ok, found: version } of found) if (ok) expect(version).toMatch(/^\d+/);
});

it('names everything missing at once, with the way to get it', async () => {
  process.env['PATH'] = '/nonexistent'; // also hides apt-get, so nothing is installed
  const error: unknown = await ensurePrerequisites(everything, () => undefined).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'SEC_STACK_PREREQUISITE_MISSING' });
  const message = error instanceof Error ? error.message : '';
  for (const name of ['java', 'mvn', 'go', 'redis-server']) expect(message).toContain(`- ${name} (`);
  expect(message).toContain('apt-get install redis-server');
});

it('asks for no build tools once their results are cached', async () => {
  const found = await checkPrerequisites({ ...everything, isKafkaCached: true, isRegistryCached: true });
  expect(found.map(({ name }) => name)).toEqual(['java', 'redis-server']);
});

it('takes only the two words for the PostgreSQL flavour', () => {
  expect(postgresFlavor({})).toBe('embedded');
  expect(postgresFlavor({ TRACEHOUND_POSTGRES_FLAVOR: 'system' })).toBe('system');
  expect(() => postgresFlavor({ TRACEHOUND_POSTGRES_FLAVOR: 'mysql' })).toThrow('must be embedded or system');
});
