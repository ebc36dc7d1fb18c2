/**
 * Regular expressions of rules, searched in time linear in the text, whatever the pattern and the text. Rules come from
 * many hands and texts from attackers: a backtracking engine could be stopped by either. What cannot be matched in
 * linear time is refused at load with the reason. Semantics: leftmost does not matter, only whether the pattern is
 * found; code points; `.` is any but `\n`; `$` without the flag m only the very end; `\d \w \s \b` are ASCII.
 */
import { toBuiltIn } from './built-in.ts';
import { createLazyDfa } from './lazy-dfa.ts';
import { requiredLiterals } from './literals.ts';
import { compileProgram } from './program.ts';
import { parseRegex, RegexRefusal } from './syntax.ts';
import { trimEnds } from './trim.ts';

/** Whether the pattern is found anywhere in the text. */
export type RegexSearch = (text: string) => boolean;

/** Why the pattern cannot be run, in words for its author; null when it can. Flags: letters of i, m, s. */
export function checkRegex(pattern: string, flags: string): string | null {
  try {
    compileProgram(trimEnds(parseRegex(pattern, flags)));
    return null;
  } catch (error) {
    if (error instanceof RegexRefusal) return error.message;
    throw error;
  }
}

/**
 * Compiles to a search. The states of the automaton are built as texts need them.
 * @throws RegexRefusal for a pattern `checkRegex` names a reason for.
 */
export function compileRegex(pattern: string, flags: string): RegexSearch {
  const node = trimEnds(parseRegex(pattern, flags));
  const program = compileProgram(node);
  const builtIn = toBuiltIn(node);
  if (builtIn) return (text) => builtIn.test(text);
  const search = createLazyDfa(program);
  const [literal, another] = requiredLiterals(node, false) ?? [];
  if (literal === undefined || another !== undefined) return search;
  return (text) => text.includes(literal) && search(text);
}

/** Compiles to the linear-time automaton even where the built-in engine is safe; to compare the two. */
export function compileAutomaton(pattern: string, flags: string, builtMax?: number): RegexSearch {
  return createLazyDfa(compileProgram(trimEnds(parseRegex(pattern, flags))), builtMax);
}

/**
 * Case-folded texts of which at least one is in the folding of every text that the pattern is found in; null when the
 * pattern names none.
 */
export function regexLiterals(pattern: string, flags: string): readonly string[] | null {
  return requiredLiterals(parseRegex(pattern, flags), true);
}

export { RegexRefusal };
