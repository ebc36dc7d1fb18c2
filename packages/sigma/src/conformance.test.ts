import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatProblem, loadRuleSet, type RuleFile, type RuleSetCompiled, SigmaError } from './index.ts';
import { detection } from './rule-text.fixture.ts';

const TESTDATA = join(import.meta.dirname, '../../../testdata');

function filesIn(folder: string): RuleFile[] {
  const entries = readdirSync(join(TESTDATA, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.yml'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: relative(TESTDATA, path), content: readFileSync(path, 'utf8') }));
}

/** Loads, or says what stands in the way. */
function load(files: readonly RuleFile[]): RuleSetCompiled {
  try {
    return loadRuleSet(files);
  } catch (error) {
    if (error instanceof SigmaError) throw new Error(error.problems.map(formatProblem).join('\n'));
    throw error;
  }
}

describe('public rules load as they are', () => {
  it('all 603 of sigma-rules, in one set', () => {
    const set = load(filesIn('sigma-rules'));
    expect(set.detections).toHaveLength(603);
    expect(set.detections.every(({ emitsFinding, description }) => emitsFinding && description.author !== '')).toBe(
      true,
    );
  });

  it('all of sigma-regression', () => {
    const files = filesIn('sigma-regression');
    expect(load(files).detections).toHaveLength(files.length);
  });

  it.each(filesIn('sigma-correlation/hayabusa'))('$path', (file) => {
    const set = load([file]);
    expect(set.correlations).toHaveLength(1);
    expect(set.detections.length).toBeGreaterThan(0);
  });

  it('the sshd rules with their three correlations', () => {
    const files = filesIn('auth-elastic');
    expect(load(files).correlations.map(({ definition }) => definition.type)).toEqual([
      'event_count',
      'value_count',
      'temporal_ordered',
    ]);
  });
});

describe('samples of the specification load, with rules to stand on', () => {
  const NAMES = [
    '5638f7c0-ac70-491d-8465-2a65075e0d86',
    'recon_cmd_a',
    'recon_cmd_b',
    'recon_cmd_c',
    'rule_a_id',
    'process_creation',
    'website_access',
    '6f3e2987-db24-4c78-a860-b4f4095a7095',
    'df0841c0-9846-4e9f-ad8a-7df91571771b',
  ];
  const stubs = { path: 'stubs.yml', content: NAMES.map((name) => detection(name, '{x: 1}')).join('---\n') };

  it.each([
    ['event_count', 'event_count', 3_600_000, 'arrival'],
    ['event_count_ecs', 'event_count', 3_600_000, 'arrival'],
    ['value_count', 'value_count', 86_400_000, 'arrival'],
    ['value_sum', 'value_sum', 3_600_000, 'arrival'],
    ['value_avg', 'value_avg', 86_400_000, 'watermark'],
    ['value_percentile', 'value_rarity', 86_400_000, 'watermark'],
    ['temporal', 'temporal', 300_000, 'arrival'],
    ['temporal_ordered', 'temporal_ordered', 300_000, 'arrival'],
  ])('%s', (name, type, spanMs, decided) => {
    const path = `sigma-correlation/spec/tests/schema/correlation/${name}.yml`;
    const set = load([stubs, { path, content: readFileSync(join(TESTDATA, path), 'utf8') }]);
    expect(set.correlations[0]?.definition).toMatchObject({ type, spanMs, decided });
  });

  it.each(['rules/rule_1', 'rules/rule_ecs', 'filter/filter_1', 'filter/filter_ecs'])('%s', (name) => {
    const path = `sigma-correlation/spec/tests/schema/${name}.yml`;
    expect(load([stubs, { path, content: readFileSync(join(TESTDATA, path), 'utf8') }]).refused).toEqual([]);
  });
});
