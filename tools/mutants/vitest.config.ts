import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { MUTANT_VARIABLE, type PlantedMutant, planted } from './mutant.ts';

/** Unit tests with a fault planted while a source is loaded: no file on disk is changed. */
const root = join(import.meta.dirname, '../..');
const conditions = ['@tracehound/source', 'node', 'default'];
const text = process.env[MUTANT_VARIABLE];
const mutant = text === undefined ? null : (JSON.parse(text) as PlantedMutant);

export default defineConfig({
  root,
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  plugins: [
    {
      name: 'planted-mutant',
      enforce: 'pre',
      transform(code, id) {
        if (mutant === null || id.split('?')[0] !== join(root, mutant.file)) return null;
        const changed = planted(code, mutant);
        writeFileSync(mutant.mark, '');
        return { code: changed, map: null };
      },
    },
  ],
  test: {
    // The cache on disk knows sources by their content, not by the fault planted into them.
    fsModuleCache: false,
    execArgv: ['--conditions=@tracehound/source', '--disable-warning=ExperimentalWarning'],
    // One seed, as in `npm test`: a fault that was noticed is noticed again.
    setupFiles: ['./tools/test/seed.ts'],
    include: ['{packages,services}/*/src/**/*.test.ts'],
    fileParallelism: false,
  },
});
