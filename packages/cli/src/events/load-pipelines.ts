import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { formatProblem, type Pipeline, readPipeline, SigmaError } from '@tracehound/sigma';
import { repositoryRoot } from '@tracehound/stack';
import { UsageError } from '../usage-error.ts';

const ENDING = '.yml';

/**
 * Whether a file found in a folder of rules is a pipeline: it lies in a folder `pipelines`, and has transformations but
 * nothing of a rule. A rule file in a folder of that name stays a rule file.
 */
export function isPipelineFile(path: string): boolean {
  if (basename(dirname(path)) !== 'pipelines') return false;
  const content = readFileSync(path, 'utf8');
  return /^transformations:/m.test(content) && !/^(?:detection|correlation|filter):/m.test(content);
}

/**
 * The pipelines of `--pipeline`: each the path of a file, or the name of one that is shipped (`rules/pipelines`). A file
 * goes before a name.
 * @throws UsageError when there is none, or it cannot be used; with every problem as path:line:column.
 */
export function loadPipelines(named: readonly string[] = []): Pipeline[] {
  return named.map((name) => {
    const path = pathOf(name);
    try {
      return readPipeline({ path: path.replaceAll('\\', '/'), content: readFileSync(path, 'utf8') });
    } catch (error) {
      if (!(error instanceof SigmaError)) throw error;
      const problems = error.problems.map((problem) => `  ${formatProblem(problem)}`);
      throw new UsageError(`--pipeline ${name} cannot be used:\n${problems.join('\n')}`);
    }
  });
}

function pathOf(name: string): string {
  if (statSync(name, { throwIfNoEntry: false })?.isFile()) return name;
  const folder = join(repositoryRoot(), 'rules', 'pipelines');
  const shipped = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(ENDING)) : [];
  if (shipped.includes(`${name}${ENDING}`)) return join(folder, `${name}${ENDING}`);
  const names = shipped.map((file) => file.slice(0, -ENDING.length)).sort();
  throw new UsageError(`--pipeline ${name}: no such file, and no shipped pipeline of that name (${names.join(', ')})`);
}
