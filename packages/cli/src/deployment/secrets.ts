import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files with the secrets of a local deployment, made on first use with mode 0600 and never printed. */
export type LocalSecrets = {
  /** Bearer token of organization `acme`, for people and their curl. */
  readonly apiKeyFile: string;
  /** Bearer token of a platform key, which sets the organization per event; scenarios use it. */
  readonly platformKeyFile: string;
  /** What the gateway reads: ids, SHA-256 of the secrets, scopes. */
  readonly apiKeysFile: string;
  readonly webhookSecretFile: string;
  readonly alerterTokensFile: string;
  readonly alerterTokenFile: string;
  readonly ipHashKeyFile: string;
};

function onceWritten(file: string, content: () => string): string {
  if (!existsSync(file)) {
    writeFileSync(file, content(), { mode: 0o600 });
    chmodSync(file, 0o600);
  }
  return file;
}

const token = (id: string): string => `${id}.${randomBytes(24).toString('base64url')}`;
const read = (file: string): string => readFileSync(file, 'utf8').trim();
const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The secret part of a `<key id>.<secret>` token. */
const secretOf = (text: string): string => text.slice(text.indexOf('.') + 1);

export function ensureSecrets(directory: string): LocalSecrets {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const at = (name: string): string => join(directory, name);
  const apiKeyFile = onceWritten(at('api-key'), () => token('acme-dev'));
  const platformKeyFile = onceWritten(at('platform-key'), () => token('platform-dev'));
  const alerterTokenFile = onceWritten(at('alerter-token'), () => token('analyst-dev'));
  const key = (file: string, name: string, organizations: readonly string[] | 'platform') => {
    const text = read(file);
    return { key_id: text.slice(0, text.indexOf('.')), sha256: digest(secretOf(text)), organizations, name };
  };
  const apiKeysFile = onceWritten(at('api-keys.json'), () =>
    JSON.stringify(
      [key(apiKeyFile, 'local development', ['acme']), key(platformKeyFile, 'local scenarios', 'platform')],
      null,
      2,
    ),
  );
  const alerterTokensFile = onceWritten(at('alerter-tokens.json'), () =>
    JSON.stringify([{ token: read(alerterTokenFile), organizations: '*' }], null, 2),
  );
  return {
    apiKeyFile,
    platformKeyFile,
    apiKeysFile,
    alerterTokenFile,
    alerterTokensFile,
    webhookSecretFile: onceWritten(at('webhook-secret'), () => `whsec_${randomBytes(32).toString('base64')}`),
    ipHashKeyFile: onceWritten(at('ip-hash-key'), () => randomBytes(32).toString('base64')),
  };
}
