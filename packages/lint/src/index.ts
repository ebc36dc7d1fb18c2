/**
 * Checks, tests and coverage of Sigma rules. Pure: files are read, and reports printed, by the caller. A check reads
 * rules as written, so that one that cannot be loaded still gets every remark; tests run the engine itself.
 */
export { type Check, formatFinding, LINT_LEVELS, type LintFinding, type LintLevel, type LintOptions } from './check.ts';
export { CHECKS } from './checks/all.ts';
export { type LintResult, lintRules, readRules } from './lint.ts';
