import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { createDetector, createEventReader } from './index.ts';

const DATA = join(import.meta.dirname, '../../../testdata');

function rulesIn(folder: string): RuleSetCompiled {
  const paths = globSync('**/*.yml', { cwd: join(DATA, folder) });
  const files = paths.map((path) => ({ path, content: readFileSync(join(DATA, folder, path), 'utf8') }));
  return loadRuleSet(files, { onProblem: 'refuse-rule' });
}

type Case = { readonly case: string; readonly log_type?: string; readonly event: Record<string, unknown> };

function casesIn(file: string): Case[] {
  const lines = readFileSync(join(DATA, file), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Case);
}

/** Pairs of rule and case; events as they are, ids and times wherever they may be. */
function pairsOf(ruleSet: RuleSetCompiled, cases: readonly Case[]): string[] {
  const detector = createDetector(ruleSet, { latenessMs: 300_000 });
  const read = createEventReader({ idField: 'test case' });
  return cases.flatMap(({ case: id, event }, index) =>
    detector
      .push(read({ ...event, 'test case': id }, index + 1))
      .filter(({ kind }) => kind === 'detection')
      .map(({ rule_id }) => `${rule_id} ${id}`),
  );
}

function expectedIn(file: string): string[] {
  const { matches } = JSON.parse(readFileSync(join(DATA, file), 'utf8')) as { matches: Record<string, string[]> };
  return Object.entries(matches).flatMap(([rule, cases]) => cases.map((id) => `${rule} ${id}`));
}

/** Which rules are for which log type: testdata/panther-events/README.md. */
const FOLDERS: Readonly<Record<string, string>> = {
  'AWS.CloudTrail': 'cloud/aws',
  'Okta.SystemLog': 'identity/okta',
  'GitHub.Audit': 'application/github',
  'GCP.AuditLog': 'cloud/gcp/audit',
  'GSuite.ActivityEvent': 'cloud/gcp/gworkspace',
  'OneLogin.Events': 'identity/onelogin',
  'Azure.MonitorActivity': 'cloud/azure/activity_logs',
  'Azure.Audit': 'cloud/azure/audit_logs',
  'Amazon.EKS.Audit': 'application/kubernetes',
};

describe('public rules over real events', () => {
  it('sigma-regression: the pairs of two other evaluators', () => {
    const found = pairsOf(rulesIn('sigma-regression/rules'), casesIn('sigma-regression/events.jsonl'));
    expect(found.sort()).toEqual(expectedIn('sigma-regression/expected.json').sort());
  });

  it('panther-events: the pairs of other evaluators, each log type with its rules', () => {
    const cases = casesIn('panther-events/events.jsonl');
    const found = Object.entries(FOLDERS).flatMap(([type, folder]) =>
      pairsOf(
        rulesIn(`sigma-rules/rules/${folder}`),
        cases.filter(({ log_type }) => log_type === type),
      ),
    );
    expect(found.sort()).toEqual(expectedIn('panther-events/expected-sigmahq.json').sort());
  });
});
