import type { RuleTestOutcome } from './rule-tests.ts';

/** Outcomes of one test file; the time is the caller's, in seconds. */
export type RuleTestSuite = {
  readonly path: string;
  readonly seconds: number;
  readonly outcomes: readonly RuleTestOutcome[];
};

/** JUnit XML as continuous integration reads it: one suite for each file, one case for each test. */
export function junitXml(suites: readonly RuleTestSuite[]): string {
  const all = suites.flatMap(({ outcomes }) => outcomes);
  const seconds = suites.reduce((sum, suite) => sum + suite.seconds, 0);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="tracehound rules test" tests="${all.length}" failures="${failed(all)}" time="${seconds.toFixed(3)}">`,
    ...suites.flatMap(suiteXml),
    '</testsuites>',
    '',
  ].join('\n');
}

function suiteXml({ path, seconds, outcomes }: RuleTestSuite): readonly string[] {
  const each = (seconds / Math.max(outcomes.length, 1)).toFixed(3);
  return [
    `  <testsuite name="${escaped(path)}" tests="${outcomes.length}" failures="${failed(outcomes)}" errors="0" skipped="0" time="${seconds.toFixed(3)}">`,
    ...outcomes.flatMap(({ name, line, failures }) => {
      const open = `    <testcase classname="${escaped(path)}" name="${escaped(name)}" file="${escaped(path)}" line="${line}" time="${each}"`;
      if (failures.length === 0) return [`${open}/>`];
      const message = failures[0]?.split('\n')[0] ?? '';
      return [
        `${open}>`,
        `      <failure message="${escaped(message)}">${escaped(failures.join('\n\n'))}</failure>`,
        '    </testcase>',
      ];
    }),
    '  </testsuite>',
  ];
}

function failed(outcomes: readonly RuleTestOutcome[]): number {
  return outcomes.filter(({ failures }) => failures.length > 0).length;
}

/** Escapes markup, and leaves out control characters that XML 1.0 cannot hold. */
function escaped(text: string): string {
  return [...text]
    .filter((char) => char >= ' ' || char === '\n' || char === '\t')
    .join('')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
