import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { formatProblem, loadRuleSet, type RuleFile, type RuleSetCompiled, type SigmaProblem } from '@tracehound/sigma';
import { UsageError } from '../usage-error.ts';
import { isPipelineFile, loadPipelines } from './load-pipelines.ts';
import { readPlaceholderLists } from './placeholder-lists.ts';
import { ofProfile } from './profile-rules.ts';

/** What a command line says about rules beside their paths. */
export type RuleChoice = {
  /** Values of `--expand`. */
  readonly expand?: readonly string[];
  /** Values of `--pipeline`. */
  readonly pipeline?: readonly string[];
  /** Value of `--profile`. */
  readonly profile?: string;
};

/** Rules that can run, and why the others cannot. */
export type LoadedRules = { readonly ruleSet: RuleSetCompiled; readonly refused: readonly SigmaProblem[] };

/**
 * Rule files of the paths: files as named, folders with every `.yml` and `.yaml` below them but the `*.test.yml` and
 * pipelines.
 * Each file once, in the order of the names.
 * @throws UsageError when a path does not exist, or there is no rule file.
 */
export function readRuleFiles(paths: readonly string[]): RuleFile[] {
  const files = new Map<string, RuleFile>();
  for (const path of paths) {
    for (const file of filesOf(path)) {
      files.set(file, { path: file.replaceAll('\\', '/'), content: readFileSync(file, 'utf8') });
    }
  }
  if (files.size === 0) throw new UsageError(`no rule files (*.yml) in ${paths.join(', ')}`);
  return [...files.values()];
}

function filesOf(path: string): string[] {
  const kind = statSync(path, { throwIfNoEntry: false });
  if (!kind) throw new UsageError(`${path} does not exist`);
  if (!kind.isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.ya?ml$/.test(name) && !/\.test\.ya?ml$/.test(name))
    .map((name) => join(path, name))
    .filter((file) => !isPipelineFile(file))
    .sort();
}

/**
 * Loads what can run; the other rules, and what stands on them, are named in `refused`.
 * @throws UsageError when nothing is left, or a value of `--expand` cannot be read.
 */
export function loadRules(paths: readonly string[], { expand, pipeline, profile }: RuleChoice = {}): LoadedRules {
  const ruleSet = loadRuleSet(ofProfile(readRuleFiles(paths), profile), {
    onProblem: 'refuse-rule',
    expand: readPlaceholderLists(expand),
    pipelines: loadPipelines(pipeline),
  });
  const { refused } = ruleSet;
  if (ruleSet.detections.length + ruleSet.correlations.length > 0) return { ruleSet, refused };
  throw new UsageError(`no rule can run:\n${refused.map((problem) => `  ${formatProblem(problem)}`).join('\n')}`);
}
