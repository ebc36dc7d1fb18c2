import type { Position } from '@tracehound/sigma';
import type { RuleDocument } from './rule-document.ts';
import type { RuleIndex } from './rule-index.ts';

/** `error`: the rule cannot work as written. `warning`: it probably does not do what its author meant. `info`: advice. */
export type LintLevel = 'error' | 'warning' | 'info';

export const LINT_LEVELS: readonly LintLevel[] = ['error', 'warning', 'info'];

/** What a check looks at; the headings of the reference page. */
export type LintArea =
  | 'load'
  | 'logic'
  | 'condition'
  | 'value'
  | 'regex'
  | 'metadata'
  | 'tag'
  | 'catalogue'
  | 'correlation'
  | 'filter'
  | 'cost'
  | 'suppression';

/** Bounds of the deployment that rules are held to; the caller takes them from where they are set. */
export type LintOptions = {
  /** How long `security.matches` is kept, in ms (`deploy/topics.yaml`): no horizon may be longer (EXACTNESS X7). */
  readonly matchesRetentionMs: number;
  /** Today as YYYY-MM-DD, for expiry dates; absent: dates are not compared with today. */
  readonly today?: string;
  /** Values of `%placeholders%` (modifier `expand`), by name. */
  readonly expand?: Readonly<Record<string, readonly string[]>>;
};

/** One thing that can be wrong. The code is stable: suppressions and scripts name it. */
export type Check = {
  readonly code: string;
  readonly area: LintArea;
  readonly level: LintLevel;
  /** One paragraph: what is found, why it matters, what to do. */
  readonly doc: string;
  /** Looks at one rule. Checks without it are reported by the loader or by the suppression pass. */
  readonly run?: (rule: RuleDocument, context: CheckContext) => void;
};

export type CheckContext = {
  readonly options: LintOptions;
  readonly index: RuleIndex;
  report(at: Position, message: string): void;
};

/** One problem found, with the place an editor can jump to (1-based). */
export type LintFinding = {
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly code: string;
  readonly level: LintLevel;
  readonly message: string;
};

/** `path:line:column CODE message`, the form compilers use. */
export function formatFinding(finding: LintFinding): string {
  return `${finding.path}:${finding.line}:${finding.column} ${finding.code} ${finding.message}`;
}
