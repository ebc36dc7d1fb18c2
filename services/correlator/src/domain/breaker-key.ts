import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import type { Secret } from '@tracehound/config';
import type { ApprovalPolicy } from '@tracehound/event-model';
import { BreakerKeyError } from '../errors.ts';

/** What this process signs breakers with. */
export type BreakerKey = { readonly keyId: string; readonly privateKey: KeyObject };

/**
 * The breaker key of the process; null without one: floods are then only logged where activations must be signed. Its id is that of
 * the entry of the keys file with its public half.
 * @throws BreakerKeyError when the file holds no Ed25519 key in PEM, or the keys file does not give it the role `breaker`: better no
 * start than a breaker that nobody accepts when it is needed. Says nothing of the content.
 */
export function breakerKeyOf(file: Secret | null, policy: ApprovalPolicy | null): BreakerKey | null {
  if (file === null) return null;
  const privateKey = parse(file);
  const publicKey = createPublicKey(privateKey);
  const entry = policy?.breakerKeys?.find((one) => one.publicKey.equals(publicKey));
  if (entry === undefined) throw new BreakerKeyError('is not in the keys file with the role breaker');
  return { keyId: entry.keyId, privateKey };
}

function parse(file: Secret): KeyObject {
  let key: KeyObject | null;
  try {
    key = createPrivateKey(file.reveal());
  } catch {
    key = null;
  }
  // Not the cause: it may repeat parts of the file.
  if (key?.asymmetricKeyType !== 'ed25519') throw new BreakerKeyError('is no Ed25519 key in PEM');
  return key;
}
