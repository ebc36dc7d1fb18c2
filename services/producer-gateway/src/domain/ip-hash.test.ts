import { describe, expect, test } from 'vitest';
import { canonicalAddress, hashAddress, ipHashKey } from './ip-hash.ts';

describe('canonicalAddress', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });

  test.each(['', 'cloudtrail.amazonaws.com', 'AWS Internal', '1.2.3', '1.2.3.4.5', '01.2.3.4', '12345', '[::1]'])(
    '%s is no address',
    (text) => {
      expect(canonicalAddress(text)).toBeNull();
    },
  );
});

test('one address has one hash under one key, and another under another', () => {
  const key = ipHashKey('a'.repeat(32));
  const other = ipHashKey('b'.repeat(32));
  expect(hashAddress('1.2.3.4', key)).toMatch(/^[0-9a-f]{64}$/);
  expect(hashAddress('1.2.3.4', key)).toBe(hashAddress('1.2.3.4', ipHashKey(`${'a'.repeat(32)}\n`)));
  expect(hashAddress('1.2.3.4', key)).not.toBe(hashAddress('1.2.3.4', other));
  expect(key.kid).toMatch(/^[0-9a-f]{8}$/);
  expect(key.kid).not.toBe(other.kid);
});
