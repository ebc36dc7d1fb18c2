import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One frozen version of a subject's bundled schema. */
export type FrozenSchema = { readonly fullName: string; readonly version: number; readonly schema: unknown };

/** `schemas/history/<full name>/<version>.avsc`, by name, then version. Frozen files are never edited. */
export function readHistory(folder: string): readonly FrozenSchema[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) =>
      readdirSync(join(folder, entry.name))
        .filter((file) => file.endsWith('.avsc'))
        .map((file) => ({
          fullName: entry.name,
          version: Number(file.slice(0, -'.avsc'.length)),
          schema: JSON.parse(readFileSync(join(folder, entry.name, file), 'utf8')) as unknown,
        })),
    )
    .sort((a, b) => a.fullName.localeCompare(b.fullName, 'en') || a.version - b.version);
}

/** Writes the next version of each subject whose newest frozen version differs; for releases. Returns what it froze. */
export function freeze(folder: string, bundles: ReadonlyMap<string, unknown>): readonly string[] {
  mkdirSync(folder, { recursive: true });
  const history = readHistory(folder);
  return [...bundles].flatMap(([fullName, schema]) => {
    const versions = history.filter((frozen) => frozen.fullName === fullName);
    const newest = versions.at(-1);
    if (newest && JSON.stringify(newest.schema) === JSON.stringify(schema)) return [];
    const path = join(fullName, `${(newest?.version ?? 0) + 1}.avsc`);
    mkdirSync(join(folder, fullName), { recursive: true });
    writeFileSync(join(folder, path), `${JSON.stringify(schema, null, 1)}\n`, { flag: 'wx' });
    return [path];
  });
}
