/**
 * `npm run mutants -- sigma|correlator [--only TEXT]`: plants one fault after the other and shows the test that notices it. Exit 1
 * when a fault survives, 2 when a planted text is not found any more or the tests are red without a fault.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../gates/gate.ts';
import { CORRELATOR_MUTANTS } from './correlator-mutants.ts';
import { MUTANT_VARIABLE, type Mutant, type PlantedMutant, planted } from './mutant.ts';
import { SIGMA_MUTANTS } from './sigma-mutants.ts';

const SUITES: Readonly<Record<string, readonly Mutant[]>> = {
  sigma: SIGMA_MUTANTS,
  correlator: CORRELATOR_MUTANTS,
};
/** Enough for every planted fault; the properties find them within a few worlds. */
const PROPERTY_RUNS = '200';
const SIMULATION_SEEDS = '1500';
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string', default: '' }, help: { type: 'boolean', short: 'h', default: false } },
});
const mutants = SUITES[positionals[0] ?? '']?.filter(({ name }) => name.includes(values.only));
if (values.help || !mutants || mutants.length === 0) {
  say(
    `npm run mutants -- ${Object.keys(SUITES).join('|')} [--only TEXT]\n\nExample\n  npm run mutants -- sigma --only bound`,
  );
  process.exit(values.help ? 0 : 2);
}

type Outcome = { readonly passed: readonly string[]; readonly failed: readonly string[]; readonly output: string };
type Report = { testResults: { assertionResults: { status: string; fullName: string }[] }[] };

/** Runs the named tests, with a fault planted when there is one. */
function runTests(tests: readonly string[], named: string, mutant?: PlantedMutant): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'mutants-'));
  const report = join(folder, 'report.json');
  const args = ['run', '--config', 'tools/mutants/vitest.config.ts', '--reporter=json', `--outputFile=${report}`];
  return new Promise((done, failed) => {
    const child = spawn(
      process.execPath,
      [join(ROOT, 'node_modules/vitest/vitest.mjs'), ...args, '-t', named, ...tests],
      {
        cwd: ROOT,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          TRACEHOUND_PROPERTY_RUNS: PROPERTY_RUNS,
          TRACEHOUND_SIMULATION_SEEDS: SIMULATION_SEEDS,
          ...(mutant && { [MUTANT_VARIABLE]: JSON.stringify(mutant) }),
        },
      },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-4000);
      });
    }
    child.on('error', failed);
    child.on('close', () => {
      const results = existsSync(report)
        ? (JSON.parse(readFileSync(report, 'utf8')) as Report).testResults.flatMap((file) => file.assertionResults)
        : [];
      rmSync(folder, { recursive: true });
      const of = (status: string): string[] =>
        results.filter((result) => result.status === status).map(({ fullName }) => fullName);
      done({ passed: of('passed'), failed: of('failed'), output });
    });
  });
}

/** Stale texts are found before anything runs. */
function staleTexts(): readonly string[] {
  return (mutants ?? []).flatMap((mutant) => {
    try {
      planted(readFileSync(join(ROOT, mutant.file), 'utf8'), mutant);
      return [];
    } catch (error) {
      return [`${mutant.name}: ${error instanceof Error ? error.message : String(error)}`];
    }
  });
}

async function survives(mutant: Mutant): Promise<boolean> {
  const mark = join(mkdtempSync(join(tmpdir(), 'mutant-')), 'planted');
  const { failed, output } = await runTests(mutant.tests, mutant.named, { ...mutant, mark });
  const wasPlanted = existsSync(mark);
  rmSync(join(mark, '..'), { recursive: true });
  if (!wasPlanted) throw new Error(`${mutant.name}: the tests do not load ${mutant.file}\n${output}`);
  const noticed = failed[0];
  say(`  ${noticed === undefined ? '✗' : '✓'} ${mutant.name.padEnd(44)} → ${noticed ?? 'SURVIVED'}`);
  return noticed === undefined;
}

const stale = staleTexts();
if (stale.length > 0) {
  say(`Texts that are not there exactly once any more:\n${stale.map((line) => `  ${line}`).join('\n')}`);
  process.exit(2);
}
/** The tests must be green without a fault, and be there at all. */
for (const spec of new Set(mutants.map(({ tests, named }) => JSON.stringify([tests, named])))) {
  const [tests, named] = JSON.parse(spec) as [string[], string];
  const { passed, failed, output } = await runTests(tests, named);
  if (failed.length > 0 || passed.length === 0) {
    say(
      `Red without a fault:\n  ✗ ${failed.join('\n  ✗ ') || `no test of ${tests.join()} is named ${named}\n${output}`}`,
    );
    process.exit(2);
  }
  say(`✓ ${passed.length} tests are green without a fault: ${tests.join()}`);
}
say(`Mutants (${mutants.length})`);
let survivors = 0;
for (const mutant of mutants) if (await survives(mutant)) survivors++;
say(`\n${mutants.length - survivors} noticed, ${survivors} survived`);
process.exitCode = survivors > 0 ? 1 : 0;
