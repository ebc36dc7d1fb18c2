import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** One rule of the shipped pack, as written. */
export type PackRule = {
  /** Relative to `rules/`, with forward slashes. */
  readonly path: string;
  readonly content: string;
  readonly id: string;
  readonly name: string;
  readonly level: string;
  readonly tags: readonly string[];
  readonly profile: string;
  readonly raw: Readonly<Record<string, unknown>>;
  /** Names of the rules a correlation stands on; empty for a detection. */
  readonly references: readonly string[];
  readonly groupBy: readonly string[];
};

export const RULES = join(import.meta.dirname, '../../rules');

type Written = {
  id: string;
  name: string;
  level: string;
  tags: string[];
  custom: { profile: string };
  correlation?: { rules: string[]; 'group-by'?: string[] };
};

/** Every rule of the pack, by path. */
export function readPack(): PackRule[] {
  const paths = globSync('{detections,correlations}/**/*.yml', { cwd: RULES });
  return paths
    .filter((path) => !path.endsWith('.test.yml'))
    .sort()
    .map((path) => {
      const content = readFileSync(join(RULES, path), 'utf8');
      const raw = parse(content) as Written;
      return {
        path,
        content,
        raw,
        id: raw.id,
        name: raw.name,
        level: raw.level,
        tags: raw.tags,
        profile: raw.custom.profile,
        references: raw.correlation?.rules ?? [],
        groupBy: raw.correlation?.['group-by'] ?? [],
      };
    });
}

/** Rules nothing stands on: what alerts, or gives findings. The others are steps. */
export function speaking(rules: readonly PackRule[]): PackRule[] {
  const steps = new Set(rules.flatMap((rule) => rule.references));
  return rules.filter((rule) => !steps.has(rule.name));
}
