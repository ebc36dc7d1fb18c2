import { createHash, timingSafeEqual } from 'node:crypto';
import { parse } from 'yaml';
import { AlerterFileError } from '../errors.ts';
import type { OrganizationScope } from '../ports.ts';

const KEY = 'TRACEHOUND_ALERTER_TOKENS_FILE';

/** Shorter tokens could be guessed over the network. */
const TOKEN_CHARACTERS_MIN = 24;

/** What a bearer token may read; null = the token is unknown. */
export type TokenCheck = (token: string) => { readonly organizations: OrganizationScope } | null;

/**
 * Tokens of the HTTP API: `[{ token: …, organizations: [acme] }]`, `organizations: '*'` for all. Digests are compared in
 * constant time, all of them each time.
 */
export function parseTokens(text: string): TokenCheck {
  const entries = list(text).map((entry, index) => tokenEntry(entry, index));
  const problems = entries.flatMap((entry) => ('problem' in entry ? [entry.problem] : []));
  if (entries.length === 0) problems.push('holds no token');
  if (problems.length > 0) throw new AlerterFileError(KEY, problems);
  const known = entries.flatMap((entry) => ('digest' in entry ? [entry] : []));
  return (token) => {
    const digest = sha256(token);
    let found: { readonly organizations: OrganizationScope } | null = null;
    for (const entry of known)
      if (timingSafeEqual(entry.digest, digest)) found = { organizations: entry.organizations };
    return found;
  };
}

function list(text: string): readonly unknown[] {
  try {
    const value: unknown = parse(text, { maxAliasCount: 0 });
    if (Array.isArray(value)) return value;
  } catch {
    // The parser's message quotes the file, and the file is full of secrets.
  }
  throw new AlerterFileError(KEY, ['is not a YAML or JSON list']);
}

function tokenEntry(
  entry: unknown,
  index: number,
): { readonly digest: Buffer; readonly organizations: OrganizationScope } | { readonly problem: string } {
  const token: unknown = typeof entry === 'object' && entry !== null ? Reflect.get(entry, 'token') : undefined;
  const scope: unknown = typeof entry === 'object' && entry !== null ? Reflect.get(entry, 'organizations') : undefined;
  if (typeof token !== 'string' || token.length < TOKEN_CHARACTERS_MIN) {
    return { problem: `entry ${index + 1} needs a token of ${TOKEN_CHARACTERS_MIN} characters or more` };
  }
  if (scope === '*') return { digest: sha256(token), organizations: null };
  const names = Array.isArray(scope) ? scope.filter((name): name is string => typeof name === 'string') : [];
  if (names.length === 0) return { problem: `entry ${index + 1} needs organizations, or '*'` };
  return { digest: sha256(token), organizations: names };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
