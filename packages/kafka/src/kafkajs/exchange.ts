import { createRequire } from 'node:module';

const exchanged = new Set<string>();

/**
 * Lets kafkajs 2.2.4 use another in place of what one of its modules exports. Idempotent. It loads its codecs of requests and answers
 * when the first of them is due, so they are exchanged before; where somebody else has used one in this process already, it goes on
 * being used, which is slower and nothing else.
 */
export function exchange<Exports>(path: string, other: (exports: Exports) => Exports): void {
  if (exchanged.has(path)) return;
  exchanged.add(path);
  const require = createRequire(import.meta.url);
  const exports = require(path) as Exports;
  const loaded = require.cache[require.resolve(path)];
  if (loaded !== undefined) loaded.exports = other(exports);
}
