import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TOPICS } from '@tracehound/event-model';
import { CHECKS, lintRules, referencePage } from '@tracehound/lint';

/** `docs/reference/lint.md`: the checks, and how often each speaks over the public rules in `testdata`. */
export function lintReference(root: string): ReadonlyMap<string, string> {
  const cwd = join(root, 'testdata/sigma-rules/rules');
  const files = globSync('**/*.yml', { cwd })
    .toSorted()
    .map((path) => ({ path, content: readFileSync(join(cwd, path), 'utf8') }));
  const matchesRetentionMs = TOPICS['security.matches'].retentionMs;
  const { findings, rules } = lintRules(files, { matchesRetentionMs });
  const page = referencePage(CHECKS, { corpus: '`testdata/sigma-rules`', rules, findings });
  return new Map([['docs/reference/lint.md', page]]);
}
