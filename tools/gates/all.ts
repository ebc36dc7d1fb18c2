import { boundaries, plantedViolations } from './boundaries.ts';
import { type Gate, must } from './gate.ts';
import { purity } from './purity.ts';
import { repositoryText, twoCommands } from './repository.ts';

const node = process.execPath;
const source = ['--conditions=@tracehound/source', '--disable-warning=ExperimentalWarning'];
const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.trim() ?? '';

/** Every gate of `npm test`, cheap ones first. Each counts as one test. */
export const GATES: readonly Gate[] = [
  twoCommands,
  repositoryText,
  purity,
  {
    name: 'formatting and import order (Biome)',
    run: async () => lastLine(await must('biome', ['ci', '--reporter=summary', '.'])),
  },
  {
    name: 'lint, type-aware (oxlint)',
    run: async () =>
      lastLine(
        await must('oxlint', ['--type-aware', '--deny-warnings', 'packages', 'services', 'e2e', 'bench', 'tools']),
      ),
  },
  {
    name: 'types (TypeScript 6)',
    run: async () =>
      `${(await must('tsc', ['-p', 'tsconfig.json', '--listFilesOnly'])).trim().split('\n').length} files, ${(await must('tsc', ['-p', 'tsconfig.json'])) || 'no errors'}`,
  },
  {
    name: 'types (TypeScript 7)',
    run: async () =>
      (await must(node, ['node_modules/typescript7/bin/tsc', '-p', 'tsconfig.json', '--noEmit'])) || 'no errors',
  },
  {
    name: 'every workspace builds (turbo)',
    run: async () =>
      lastLine((await must('turbo', ['run', 'build', '--output-logs=errors-only'])).replace(/\n\s*Time:[\s\S]*/, '')),
  },
  boundaries,
  plantedViolations,
  {
    name: 'no unused files, exports or dependencies (knip)',
    run: async () => (await must('knip', ['--no-progress'])).trim() || 'nothing unused',
  },
  {
    name: 'workspaces agree on versions (sherif)',
    run: async () => lastLine(await must('sherif', ['--fail-on-warnings'])),
  },
  {
    name: 'generated code and reference documents are current',
    run: async () => lastLine(await must(node, [...source, 'tools/codegen/generate.ts', '--check'])),
  },
];
