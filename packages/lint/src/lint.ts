import { createProblemSink, loadRuleSet, type RuleFile, readYamlDocuments, type SigmaProblem } from '@tracehound/sigma';
import type { Check, LintFinding, LintLevel, LintOptions } from './check.ts';
import { CHECKS } from './checks/all.ts';
import { loadCode } from './checks/load.ts';
import { type RuleDocument, readRuleDocument } from './rule-document.ts';
import { createRuleIndex } from './rule-index.ts';
import { suppress } from './suppressions.ts';

export type LintResult = {
  /** By path, line, column, code. */
  readonly findings: readonly LintFinding[];
  readonly rules: number;
};

const LEVEL_OF: ReadonlyMap<string, Check['level']> = new Map(CHECKS.map(({ code, level }) => [code, level]));
const CODES: readonly string[] = CHECKS.map(({ code }) => code);

/** The rules of the files, as written. What does not read as a rule is left out; `lintRules` reports it. */
export function readRules(files: readonly RuleFile[]): readonly RuleDocument[] {
  return files.flatMap(({ path, content }) =>
    readYamlDocuments(content.replaceAll('\r\n', '\n'), createProblemSink(path, []))
      .flatMap((document) => (document.kind === 'map' ? [readRuleDocument(path, document)] : []))
      .filter((rule) => rule !== undefined),
  );
}

/**
 * Runs every check over the files, which are taken as one set: references are looked up in all of them. Never throws
 * for what a file holds. Cost grows with the size of the files; rules are compared in pairs only where cheap.
 */
export function lintRules(files: readonly RuleFile[], options: LintOptions): LintResult {
  const rules = readRules(files);
  const index = createRuleIndex(rules);
  const own: LintFinding[] = [];
  for (const rule of rules) {
    for (const { code, level, run } of CHECKS) {
      run?.(rule, {
        options,
        index,
        report: ({ line, column }, message) => own.push({ path: rule.path, line, column, code, level, message }),
      });
    }
  }
  const findings = [...own, ...unexplained(problemsOf(files, options), own)];
  return {
    rules: rules.length,
    findings: files
      .flatMap((file) =>
        suppress(
          file,
          findings.filter(({ path }) => path === file.path),
          CODES,
        ),
      )
      .toSorted(byPlace),
  };
}

type Told = { readonly level: LintLevel; readonly problem: SigmaProblem };

/** What the loader says of the files: why it refuses rules, and its remarks on those it takes. */
function problemsOf(files: readonly RuleFile[], { expand = {} }: LintOptions): readonly Told[] {
  const { refused, warnings } = loadRuleSet(files, { onProblem: 'refuse-rule', expand });
  return [
    ...refused.map((problem) => ({ level: LEVEL_OF.get(loadCode(problem.code)) ?? ('error' as const), problem })),
    ...warnings.map((problem) => ({ level: 'warning' as const, problem })),
  ];
}

/** Problems of the loader at lines where no check of the same weight has already said more exactly what is wrong. */
function unexplained(told: readonly Told[], own: readonly LintFinding[]): readonly LintFinding[] {
  const place = ({ path, line }: { path: string; line: number }): string => `${path}:${line}`;
  const errors = new Set(own.filter(({ level }) => level === 'error').map(place));
  const remarks = new Set(own.filter(({ level }) => level !== 'info').map(place));
  return told
    .map(({ level, problem: { path, line, column, code, message } }) => {
      return { path, line, column, code: loadCode(code), level, message };
    })
    .filter((finding) => !(finding.level === 'error' ? errors : remarks).has(place(finding)));
}

function byPlace(a: LintFinding, b: LintFinding): number {
  if (a.path !== b.path) return a.path < b.path ? -1 : 1;
  return a.line - b.line || a.column - b.column || (a.code < b.code ? -1 : a.code > b.code ? 1 : 0);
}
