import { command, type Gate } from './gate.ts';

type Cruise = {
  summary: {
    totalCruised: number;
    violations: { rule: { name: string; severity: string }; from: string; to: string }[];
  };
};

const ROOTS = [
  'packages',
  'services',
  'e2e',
  'bench',
  'tools/gates',
  'tools/test',
  'tools/codegen',
  'tools/chaos',
  'tools/mutants',
];

/** Fewer modules than this and the checker is blind (it was, once, for want of a TypeScript 6 API), not the code clean. */
const MODULES_MIN = 150;

async function cruise(paths: readonly string[]): Promise<Cruise> {
  const { output, code } = await command('depcruise', [
    '--config',
    '.dependency-cruiser.mjs',
    '--output-type',
    'json',
    ...paths,
  ]);
  try {
    return JSON.parse(output.slice(output.indexOf('{'))) as Cruise;
  } catch (error) {
    throw new Error(`dependency-cruiser (exit ${code}) printed no report:\n${output.slice(0, 4000)}`, { cause: error });
  }
}

const describe = (violations: Cruise['summary']['violations']): string =>
  violations.map((v) => `${v.rule.name}: ${v.from} -> ${v.to}`).join('\n');

/** Imports point inward; see `.dependency-cruiser.mjs`. */
export const boundaries: Gate = {
  name: 'import boundaries hold',
  run: async () => {
    const { summary } = await cruise(ROOTS);
    if (summary.violations.length > 0) throw new Error(describe(summary.violations));
    if (summary.totalCruised < MODULES_MIN) {
      throw new Error(
        `saw only ${summary.totalCruised} modules, expected at least ${MODULES_MIN}: the checker is blind`,
      );
    }
    return `${summary.totalCruised} modules`;
  },
};

/** The rules are tried on violations planted for them: each must be reported. */
export const plantedViolations: Gate = {
  name: 'planted boundary violations are caught',
  run: async () => {
    const { summary } = await cruise(['tools/planted']);
    const seen = new Set(summary.violations.map((v) => `${v.rule.name} ${v.from.replace('tools/planted/', '')}`));
    const expected = [
      'pure-rings packages/sigma/src/planted.ts',
      'adapters-know-no-business packages/kafka/src/planted.ts',
      'no-service-to-service services/sink-audit/src/planted.ts',
      'no-service-to-service services/alerter/src/planted.ts',
      'testkit-dev-only services/alerter/src/planted.ts',
    ];
    const missed = expected.filter((entry) => !seen.has(entry));
    if (![...seen].some((entry) => entry.startsWith('no-circular '))) missed.push('no-circular (either file)');
    const builtins = summary.violations.filter((v) => v.rule.name === 'pure-rings').map((v) => v.to);
    if (!builtins.some((to) => /^(node:)?fs$/.test(to))) missed.push('pure-rings on node:fs');
    if (!builtins.some((to) => to.includes('packages/kafka'))) missed.push('pure-rings on packages/kafka');
    if (missed.length > 0)
      throw new Error(`not reported:\n${missed.join('\n')}\nreported:\n${describe(summary.violations)}`);
    return `${summary.violations.length} violations reported`;
  },
};
