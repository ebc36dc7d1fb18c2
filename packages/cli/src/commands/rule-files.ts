import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { RuleFile } from '@tracehound/sigma';
import { isPipelineFile } from '../events/load-pipelines.ts';
import { UsageError } from '../usage-error.ts';

/** Rule files and test files below the paths named on a command line, each once, by path. */
export type FoundFiles = { readonly rules: readonly string[]; readonly tests: readonly string[] };

/** Folders that never hold rules. */
const SKIPPED: readonly string[] = ['node_modules', '.git'];

/**
 * Finds `*.yml` and `*.yaml`; those that end in `.test.yml` are tests. Pipelines in a folder
 * are left out.
 * @throws UsageError for a path that is not there.
 */
export function findRuleFiles(paths: readonly string[]): FoundFiles {
  const files = new Set<string>();
  for (const path of paths) collect(path, files);
  const sorted = [...files].toSorted();
  return { rules: sorted.filter((file) => !isTest(file)), tests: sorted.filter(isTest) };
}

function isTest(path: string): boolean {
  return /\.test\.ya?ml$/.test(path);
}

function collect(path: string, into: Set<string>): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new UsageError(`${path}: there is no such file or folder`);
  if (!stat.isDirectory()) {
    into.add(path);
    return;
  }
  for (const found of readdirSync(path, { withFileTypes: true })) {
    const inner = join(path, found.name);
    if (found.isDirectory() && !SKIPPED.includes(found.name)) collect(inner, into);
    else if (found.isFile() && /\.ya?ml$/.test(found.name) && !isPipelineFile(inner)) into.add(inner);
  }
}

/** Reads files under the paths people see: relative to where they are, with forward slashes. */
export function readRuleFiles(paths: readonly string[]): readonly RuleFile[] {
  return paths.map((path) => ({ path: shownPath(path), content: readFileSync(path, 'utf8') }));
}

/** Rule files below the paths; @throws UsageError when there are none. */
export function requireRuleFiles(paths: readonly string[]): readonly RuleFile[] {
  const { rules } = findRuleFiles(paths);
  if (rules.length === 0) throw new UsageError(`${paths.join(', ')}: no rule files (*.yml, *.yaml)`);
  return readRuleFiles(rules);
}

export function shownPath(path: string): string {
  const shown = relative(process.cwd(), path);
  return (shown === '' || shown.startsWith('..') ? path : shown).split(sep).join('/');
}
