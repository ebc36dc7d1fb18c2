import { generateKeyPairSync } from 'node:crypto';
import { Secret } from '@tracehound/config';
import { describe, expect, it } from 'vitest';
import { BreakerKeyError } from '../errors.ts';
import { breakerKeyOf } from './breaker-key.ts';

const tripper = { keyId: 'tripper', name: 'tripper', ...generateKeyPairSync('ed25519') };
const policy = { approvals: 1, keys: [], breakerKeys: [tripper] };
const pem = tripper.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

describe('the breaker key of a correlator', () => {
  it('is known by its public half in the keys file', () => {
    expect(breakerKeyOf(new Secret(pem), policy)?.keyId).toBe('tripper');
    expect(breakerKeyOf(null, policy)).toBeNull();
  });

  it('ends the start where nobody would accept what it signs, and is not told', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
    const asApprover = { approvals: 1, keys: [tripper], breakerKeys: [] };
    for (const [text, keys] of [
      [pem, null],
      [pem, asApprover],
      ['no key', policy],
      [rsa.toString(), policy],
    ] as const) {
      let said: unknown;
      try {
        breakerKeyOf(new Secret(text), keys);
      } catch (error) {
        said = error;
      }
      expect(said).toBeInstanceOf(BreakerKeyError);
      const told = JSON.stringify([String(said), said, (said as Error).cause ?? null]);
      for (const line of text.split('\n').filter((one) => one !== '')) expect(told).not.toContain(line);
    }
  });
});
