import { TracehoundError } from '@tracehound/event-model';

/** Closed list of what can be wrong with a rule file; part of the public interface, stable. */
export type SigmaProblemCode =
  | 'yaml_syntax'
  | 'yaml_alias'
  | 'yaml_merge_key'
  | 'duplicate_key'
  | 'not_a_map'
  | 'key_missing'
  | 'key_unknown'
  | 'value_invalid'
  | 'condition_syntax'
  | 'selection_unknown'
  | 'pattern_matches_nothing'
  | 'modifier_unknown'
  | 'modifier_combination'
  | 'regex_refused'
  | 'placeholder_unresolved'
  | 'unsupported'
  | 'reference_unknown'
  | 'reference_ambiguous'
  | 'reference_cycle'
  | 'reference_refused'
  | 'duplicate_rule'
  | 'limit_exceeded';

/** One finding in a rule file, with the position an editor can jump to (1-based line and column). */
export type SigmaProblem = {
  readonly path: string;
  readonly line: number;
  readonly column: number;
  readonly code: SigmaProblemCode;
  /** What is wrong and what to do about it. May quote the rule file, never an event. */
  readonly message: string;
};

/** `path:line:column code message`, the form compilers use. */
export function formatProblem(problem: SigmaProblem): string {
  return `${problem.path}:${problem.line}:${problem.column} ${problem.code} ${problem.message}`;
}

/**
 * Raised by `loadRuleSet` when at least one rule cannot be run. It lists every problem of every file: a rule that
 * cannot be run is refused with the reason, never loaded as one that silently matches nothing.
 */
export class SigmaError extends TracehoundError {
  readonly problems: readonly SigmaProblem[];

  constructor(problems: readonly SigmaProblem[]) {
    super('the rule set cannot be loaded', {
      code: 'SEC_SIGMA_RULES_INVALID',
      category: 'invalid_input',
      retriable: false,
      fields: { problems: problems.length, first: problems[0] ? formatProblem(problems[0]) : '' },
    });
    this.problems = problems;
  }
}
