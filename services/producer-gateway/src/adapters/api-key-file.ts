import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type ApiKeys, parseApiKeys } from '../domain/api-key.ts';
import { ApiKeysError } from '../errors.ts';
import type { ApiKeySource } from '../ports.ts';

/**
 * API keys from a file, read again when it changes (polled, because a mounted secret is swapped by a symbolic link,
 * which file events miss). A changed file that is broken leaves the old keys in force and is reported.
 */
export function createApiKeyFile(options: {
  readonly path: string;
  readonly pollMs?: number;
  readonly onReload?: (outcome: 'loaded' | 'failed', error: unknown) => void;
}): ApiKeySource & { start(): Promise<void>; stop(): void } {
  let keys: ApiKeys = new Map();

  async function read(): Promise<ApiKeys> {
    let text: string;
    try {
      text = await readFile(options.path, 'utf8');
    } catch (error) {
      throw new ApiKeysError('the API key file cannot be read', error);
    }
    return parseApiKeys(text);
  }

  const reload = (): void => {
    read().then(
      (next) => {
        keys = next;
        options.onReload?.('loaded', null);
      },
      (error: unknown) => options.onReload?.('failed', error),
    );
  };

  return {
    current: () => keys,
    async start() {
      keys = await read();
      watchFile(options.path, { interval: options.pollMs ?? 2_000, persistent: false }, reload);
    },
    stop() {
      unwatchFile(options.path, reload);
    },
  };
}
