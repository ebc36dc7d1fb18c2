import { createHash, timingSafeEqual } from 'node:crypto';
import { ApiKeysError } from '../errors.ts';

/** Which organizations a key may write for. */
export type KeyScope =
  | { readonly kind: 'platform' }
  /** One organization: it is server-owned, events need not name it. */
  | { readonly kind: 'organization'; readonly organization: string }
  | { readonly kind: 'organizations'; readonly organizations: ReadonlySet<string> };

export type ApiKey = {
  readonly keyId: string;
  readonly name: string;
  readonly scope: KeyScope;
  readonly sha256: Buffer;
};

/** Who sends: the part of a key the rest of the gateway sees. */
export type Caller = { readonly keyId: string; readonly scope: KeyScope };

export type ApiKeys = ReadonlyMap<string, ApiKey>;

/** Organization ids are part of record keys (`<organization>|<event_id>`), so `|` and control characters are out. */
export const ORGANIZATION_ID: RegExp = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;
const SHA256_HEX = /^[0-9a-f]{64}$/i;
/** Compared against when the key id is unknown, so that the time of an answer does not tell which ids exist. */
const NOBODY = Buffer.alloc(32);
/** A secret longer than this is no key of ours and is not hashed. */
const SECRET_LENGTH_MAX = 256;

/** `[{key_id, sha256, organizations: [...] | 'platform', name}]`; sha256 is over the secret, the part after the dot. */
export function parseApiKeys(text: string): ApiKeys {
  let entries: unknown;
  try {
    entries = JSON.parse(text);
  } catch {
    throw new ApiKeysError('the API key file is not JSON');
  }
  if (!Array.isArray(entries)) throw new ApiKeysError('the API key file is not a list');
  const keys = new Map<string, ApiKey>();
  for (const entry of entries as readonly unknown[]) {
    const key = parseKey(entry);
    if (keys.has(key.keyId)) throw new ApiKeysError('an API key id occurs twice');
    keys.set(key.keyId, key);
  }
  return keys;
}

function parseKey(entry: unknown): ApiKey {
  if (typeof entry !== 'object' || entry === null) throw new ApiKeysError('an API key is not an object');
  const keyId: unknown = Reflect.get(entry, 'key_id');
  const sha256: unknown = Reflect.get(entry, 'sha256');
  const name: unknown = Reflect.get(entry, 'name');
  if (typeof keyId !== 'string' || !KEY_ID.test(keyId)) throw new ApiKeysError('an API key has a bad key_id');
  if (typeof sha256 !== 'string' || !SHA256_HEX.test(sha256)) throw new ApiKeysError('an API key has a bad sha256');
  return {
    keyId,
    name: typeof name === 'string' ? name : keyId,
    sha256: Buffer.from(sha256, 'hex'),
    scope: parseScope(Reflect.get(entry, 'organizations')),
  };
}

function parseScope(organizations: unknown): KeyScope {
  if (organizations === 'platform') return { kind: 'platform' };
  if (!Array.isArray(organizations) || organizations.length === 0) {
    throw new ApiKeysError('an API key has no organizations');
  }
  const ids = organizations.map((id: unknown) => {
    if (typeof id !== 'string' || !ORGANIZATION_ID.test(id) || id === 'platform') {
      throw new ApiKeysError('an API key has a bad organization id');
    }
    return id;
  });
  const [first] = ids;
  return ids.length === 1 && first !== undefined
    ? { kind: 'organization', organization: first }
    : { kind: 'organizations', organizations: new Set(ids) };
}

/** The caller of `Bearer <key id>.<secret>`, or null. The secret is compared by hash in constant time. */
export function verifyBearer(header: string | undefined, keys: ApiKeys): Caller | null {
  const match = /^Bearer +([A-Za-z0-9_-]{1,64})\.([\x21-\x7e]+) *$/i.exec(header ?? '');
  const [, keyId, secret] = match ?? [];
  if (keyId === undefined || secret === undefined || secret.length > SECRET_LENGTH_MAX) return null;
  const key = keys.get(keyId);
  const given = createHash('sha256').update(secret).digest();
  const equal = timingSafeEqual(given, key?.sha256 ?? NOBODY);
  return key && equal ? { keyId: key.keyId, scope: key.scope } : null;
}
