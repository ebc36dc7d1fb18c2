/**
 * Checks, tests and coverage of Sigma rules. Pure: files are read, and reports printed, by the caller. A check reads
 * rules as written, so that one that cannot be loaded still gets every remark; tests run the engine itself.
 */
export { formatFinding, LINT_LEVELS, type LintFinding, type LintLevel, type LintOptions } from './check.ts';
export { CHECKS } from './checks/all.ts';
export { type Coverage, coverageOf, navigatorLayer, type TacticCoverage } from './coverage.ts';
export { junitXml, type RuleTestSuite } from './junit.ts';
export { type LintResult, lintRules, readRules } from './lint.ts';
export { profilesOf, selectProfile } from './profile.ts';
export { referencePage } from './reference-page.ts';
export type { RuleDocument } from './rule-document.ts';
export { listRules, type RuleListing } from './rule-list.ts';
export { type RuleTest, type RuleTestFile, RuleTestFileError, readRuleTestFile } from './rule-test-file.ts';
export { type RuleTestOutcome, runRuleTest } from './rule-tests.ts';
