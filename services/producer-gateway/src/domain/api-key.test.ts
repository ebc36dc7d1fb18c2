import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseApiKeys, verifyBearer } from './api-key.ts';
import { placeEvent } from './organization-scope.ts';

const sha256 = createHash('sha256').update('s3cret').digest('hex');

function file(...entries: object[]): string {
  return JSON.stringify(entries);
}

describe('API keys', () => {
  const keys = parseApiKeys(
    file(
      { key_id: 'one', sha256, organizations: ['acme'], name: 'x' },
      { key_id: 'two', sha256: sha256.toUpperCase(), organizations: ['acme', 'globex'] },
      { key_id: 'all', sha256, organizations: 'platform' },
    ),
  );

  test('give the scope of the caller', () => {
    expect(verifyBearer('Bearer one.s3cret', keys)?.scope).toEqual({ kind: 'organization', organization: 'acme' });
    expect(verifyBearer('bearer two.s3cret', keys)?.scope).toEqual({
      kind: 'organizations',
      organizations: new Set(['acme', 'globex']),
    });
    expect(verifyBearer('Bearer all.s3cret', keys)).toEqual({ keyId: 'all', scope: { kind: 'platform' } });
  });

  test.each([
    undefined,
    '',
    'Bearer',
    'Bearer one',
    'Bearer one.',
    'Bearer one.wrong',
    'Bearer one.s3cret extra',
    'Bearer nobody.s3cret',
    'Basic one.s3cret',
    `Bearer one.${'x'.repeat(1_000)}`,
    'Bearer __proto__.s3cret',
  ])('refuse %s', (header) => {
    expect(verifyBearer(header, keys)).toBeNull();
  });

  test.each([
    ['not JSON', 'x'],
    ['not a list', '{}'],
    ['no object', '[1]'],
    ['a bad id', file({ key_id: 'a b', sha256, organizations: ['acme'] })],
    ['a bad hash', file({ key_id: 'a', sha256: 's3cret', organizations: ['acme'] })],
    ['no organization', file({ key_id: 'a', sha256, organizations: [] })],
    ['the reserved organization', file({ key_id: 'a', sha256, organizations: ['platform'] })],
    ['an organization that breaks record keys', file({ key_id: 'a', sha256, organizations: ['a|b'] })],
    ['an id twice', file({ key_id: 'a', sha256, organizations: ['b'] }, { key_id: 'a', sha256, organizations: ['c'] })],
  ])('a file with %s is refused without repeating it', (_name, text) => {
    expect(() => parseApiKeys(text)).toThrow(expect.objectContaining({ code: 'SEC_GATEWAY_API_KEYS' }));
  });
});

describe('placeEvent', () => {
  const one = { kind: 'organization', organization: 'acme' } as const;
  const several = { kind: 'organizations', organizations: new Set(['acme', 'globex']) } as const;
  const platform = { kind: 'platform' } as const;

  test.each([
    [one, null, false, { organizationId: 'acme', intakeOrg: 'acme' }],
    [one, 'acme', false, { organizationId: 'acme', intakeOrg: 'acme' }],
    [several, 'globex', false, { organizationId: 'globex', intakeOrg: 'globex' }],
    [platform, 'globex', false, { organizationId: 'globex', intakeOrg: 'globex' }],
    [platform, null, true, { organizationId: null, intakeOrg: 'platform' }],
  ])('%o with organization %s', (scope, stated, nullAllowed, placement) => {
    expect(placeEvent(scope, stated, nullAllowed)).toEqual({ ok: true, placement });
  });

  test.each([
    [one, 'globex', true, 'server_owned_field'],
    [several, 'initech', true, 'forbidden_organization'],
    [several, null, true, 'organization_required'],
    [platform, null, false, 'organization_required'],
    [platform, 'platform', true, 'invalid_value'],
    [platform, 'a|b', true, 'invalid_value'],
    [platform, 'a b', true, 'invalid_value'],
  ])('%o with organization %s is refused', (scope, stated, nullAllowed, reason) => {
    expect(placeEvent(scope, stated, nullAllowed)).toMatchObject({ ok: false, reason });
  });
});
