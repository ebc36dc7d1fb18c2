import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import {
  junitXml,
  type RuleTestFile,
  RuleTestFileError,
  type RuleTestSuite,
  readRuleTestFile,
  runRuleTest,
} from '@tracehound/lint';
import { formatProblem, loadRuleSet, type PlaceholderLists, type RuleSetCompiled, SigmaError } from '@tracehound/sigma';
import { readPlaceholderLists } from '../events/placeholder-lists.ts';
import { counted } from '../render/counted.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';
import { findRuleFiles, readRuleFiles, shownPath } from './rule-files.ts';

export type RulesTestCommand = {
  readonly paths: readonly string[];
  readonly format: 'table' | 'ndjson' | 'json';
  /** Where JUnit XML goes. */
  readonly junit?: string;
  /** Rules for test files that name none; default: the paths themselves. */
  readonly rules?: readonly string[];
  /** Values of `--expand`. */
  readonly expand?: readonly string[];
};

/** Runs `*.test.yml` below the paths. Exit code 0 when all tests pass, 1 when one fails. */
export async function runRulesTest(command: RulesTestCommand, terminal: Terminal): Promise<number> {
  const { tests } = findRuleFiles(command.paths);
  if (tests.length === 0) throw new UsageError(`${command.paths.join(', ')}: no tests (*.test.yml)`);
  const files = tests.map((path) => ({ path, file: readTests(path) }));
  const sets = createRuleSets(readPlaceholderLists(command.expand));
  const suites: RuleTestSuite[] = [];
  for (const { path, file } of files) {
    const ruleSet = sets(rulesOf(path, file, command));
    const startedMs = performance.now();
    const outcomes = file.tests.map((test) => runRuleTest(test, ruleSet));
    const suite = { path: file.path, seconds: (performance.now() - startedMs) / 1000, outcomes };
    suites.push(suite);
    report(suite, command.format, terminal);
  }
  if (command.junit !== undefined) writeFileSync(command.junit, junitXml(suites));
  const all = suites.flatMap(({ outcomes }) => outcomes);
  const failed = all.filter(({ failures }) => failures.length > 0).length;
  if (command.format === 'json') terminal.out(JSON.stringify({ tests: all.length, failed, suites }, null, 2));
  terminal.note(
    `${counted(all.length, 'test')} in ${counted(suites.length, 'file')}: ${all.length - failed} passed, ${failed} failed`,
  );
  return failed === 0 ? 0 : 1;
}

function readTests(path: string): RuleTestFile {
  try {
    return readRuleTestFile(shownPath(path), readFileSync(path, 'utf8'));
  } catch (error) {
    throw error instanceof RuleTestFileError ? new UsageError(error.message) : error;
  }
}

/** Rule files of a test file: those it names, else those of the command line, else those beside it. */
function rulesOf(path: string, file: RuleTestFile, command: RulesTestCommand): readonly string[] {
  const named = file.rules?.map((rule) => join(dirname(path), rule));
  const own = findRuleFiles(named ?? command.rules ?? command.paths).rules;
  const found = own.length === 0 && !named ? findRuleFiles([dirname(path)]).rules : own;
  if (found.length === 0)
    throw new UsageError(`${file.path}: no rules to test; name them under 'rules' or with --rules`);
  return found;
}

/** Compiles each list of files once. */
function createRuleSets(expand: PlaceholderLists): (paths: readonly string[]) => RuleSetCompiled {
  const sets = new Map<string, RuleSetCompiled>();
  return (paths) => {
    const key = paths.join('\n');
    const known = sets.get(key);
    if (known) return known;
    try {
      const ruleSet = loadRuleSet(readRuleFiles(paths), { expand });
      sets.set(key, ruleSet);
      return ruleSet;
    } catch (error) {
      if (!(error instanceof SigmaError)) throw error;
      const first = error.problems[0];
      const more = error.problems.length - 1;
      throw new UsageError(
        `the rules do not load: ${first ? formatProblem(first) : ''}${more > 0 ? ` (and ${more} more: see \`tracehound rules lint\`)` : ''}`,
      );
    }
  };
}

function report(suite: RuleTestSuite, format: RulesTestCommand['format'], terminal: Terminal): void {
  const { path, outcomes } = suite;
  if (format === 'ndjson') {
    for (const { name, line, failures } of outcomes)
      terminal.out(JSON.stringify({ path, line, name, passed: failures.length === 0, failures }));
  }
  if (format !== 'table') return;
  const failed = outcomes.filter(({ failures }) => failures.length > 0);
  const verdict = failed.length === 0 ? painted('ok  ', 32, terminal) : painted('FAIL', 31, terminal);
  terminal.out(`${verdict}  ${path}  ${counted(outcomes.length, 'test')}`);
  for (const { name, line, failures } of failed) {
    terminal.out(`      ${path}:${line} ${name}`);
    for (const failure of failures) for (const text of failure.split('\n')) terminal.out(`        ${text}`);
  }
}

function painted(text: string, colour: number, { outColours }: Terminal): string {
  return outColours ? `\u001b[${colour}m${text}\u001b[0m` : text;
}
