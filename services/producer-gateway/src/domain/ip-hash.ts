import { createHash, createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';

/** A key of the address hash with the id that is stored beside each hash, so that keys can be rotated. */
export type IpHashKey = { readonly kid: string; readonly key: KeyObject };

/** The key file holds any text of 32 characters or more; the id is derived, so that equal keys have equal ids. */
export function ipHashKey(text: string): IpHashKey {
  const bytes = Buffer.from(text.trim(), 'utf8');
  const kid = createHash('sha256').update('tracehound ip hash key id').update(bytes).digest('hex').slice(0, 8);
  return { key: createSecretKey(bytes), kid };
}

/**
 * One text per address: IPv6 in the short lower-case form of RFC 5952, IPv4 inside IPv6 as IPv4. Null when it is none.
 */
export function canonicalAddress(text: string): string | null {
  const plain = text.includes('%') ? text.slice(0, text.indexOf('%')) : text;
  const version = isIP(plain);
  if (version === 0) return null;
  if (version === 4) return plain;
  // The URL parser writes RFC 5952; it shows IPv4 inside IPv6 as two groups, which are turned back.
  const short = new URL(`http://[${plain}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short);
  if (!mapped) return short;
  const high = Number.parseInt(mapped[1] ?? '', 16);
  const low = Number.parseInt(mapped[2] ?? '', 16);
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** HMAC-SHA256 over the canonical address, lower-case hex: equal addresses stay comparable, none can be read back. */
export function hashAddress(address: string, { key }: IpHashKey): string {
  return createHmac('sha256', key).update(address).digest('hex');
}
