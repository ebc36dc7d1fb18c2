import type { Check } from '../check.ts';

/** Reported by the suppression pass, after all other checks. */
export const SUPPRESSION_CHECKS: readonly Check[] = [
  {
    code: 'suppression-unused',
    area: 'suppression',
    level: 'warning',
    doc: 'A `# lint: ignore` comment suppresses nothing: the problem was mended, or the comment stands at the wrong line. Delete it before it hides the next problem.',
  },
  {
    code: 'suppression-without-reason',
    area: 'suppression',
    level: 'warning',
    doc: 'A `# lint: ignore CODE` comment gives no reason. Whoever reads the rule next must know why the problem was accepted.',
  },
  {
    code: 'suppression-unknown-code',
    area: 'suppression',
    level: 'warning',
    doc: 'A `# lint: ignore` comment names a code that no check has. It suppresses nothing.',
  },
];
