import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../gates/gate.ts';
import { CORRELATOR_MUTANTS } from './correlator-mutants.ts';
import { planted } from './mutant.ts';
import { SIGMA_MUTANTS } from './sigma-mutants.ts';

/** The mutants themselves take long and are run by hand; that they can still be planted is told at once. */
describe('mutants', () => {
  it.each([...CORRELATOR_MUTANTS, ...SIGMA_MUTANTS].map((mutant) => [mutant.name, mutant] as const))(
    '%s: its text is there once',
    (_, mutant) => {
      const source = readFileSync(join(ROOT, mutant.file), 'utf8');
      expect(planted(source, mutant)).not.toBe(source);
    },
  );
});
