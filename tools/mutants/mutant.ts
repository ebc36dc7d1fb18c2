/** A fault planted into one source text, and the test that must turn red for it. */
export type Mutant = {
  /** What is broken, in the words of the rules. */
  readonly name: string;
  /** Source file, from the root of the repository. */
  readonly file: string;
  /** Text that occurs exactly once in the file; anything else is an error, so that no mutant goes stale unseen. */
  readonly find: string;
  readonly replace: string;
  /** Test files that run it, as filters of vitest. */
  readonly tests: readonly string[];
  /** Part of the full names of the tests that run; a regular expression. */
  readonly named: string;
};

/** Name of the environment variable that carries the planted fault into the test process. */
export const MUTANT_VARIABLE = 'TRACEHOUND_MUTANT';

/** What the variable holds: one mutant's patch, and a file to touch once it has been applied. */
export type PlantedMutant = Pick<Mutant, 'file' | 'find' | 'replace'> & { readonly mark: string };

/** @throws RangeError when the text is not there exactly once. */
export function planted(source: string, { file, find, replace }: Pick<Mutant, 'file' | 'find' | 'replace'>): string {
  const pieces = source.split(find);
  if (pieces.length !== 2) throw new RangeError(`${file}: ${pieces.length - 1} places hold the text ${find}`);
  return pieces.join(replace);
}
