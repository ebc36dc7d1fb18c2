import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '@tracehound/config';
import { BUILT_IN_ENRICHERS, type Enricher } from '@tracehound/enrich';

/** Built-in ones by name, others by the default export of a module. @throws ConfigError that says which is wrong and how. */
export async function loadEnrichers(wanted: readonly string[]): Promise<readonly Enricher[]> {
  return Promise.all(wanted.map(async (word) => BUILT_IN_ENRICHERS[word] ?? load(word)));
}

async function load(path: string): Promise<Enricher> {
  const wrong = (problem: string): ConfigError =>
    new ConfigError([
      {
        key: 'TRACEHOUND_GATEWAY_ENRICHERS',
        problem,
        allowed: `${Object.keys(BUILT_IN_ENRICHERS).join(', ')}, or paths of modules`,
      },
    ]);
  const module: unknown = await import(pathToFileURL(resolve(path)).href).catch((cause: unknown) => {
    const known = Object.keys(BUILT_IN_ENRICHERS).join(', ');
    throw wrong(
      `${path} is neither one of ${known} nor a module: ${cause instanceof Error ? cause.message : 'unreadable'}`,
    );
  });
  const found = typeof module === 'object' && module !== null && 'default' in module ? module.default : undefined;
  if (isEnricher(found)) return found;
  throw wrong(`${path} has no default export with name, fields, keyOf, step and keptMs`);
}

function isEnricher(value: unknown): value is Enricher {
  if (typeof value !== 'object' || value === null) return false;
  const { name, fields, keyOf, step, keptMs } = value as Partial<Record<keyof Enricher, unknown>>;
  const isShaped = typeof name === 'string' && Array.isArray(fields) && typeof keptMs === 'number';
  return isShaped && typeof keyOf === 'function' && typeof step === 'function';
}
