/**
 * `npm test`: every gate and every test of the repository, on real servers it starts and stops itself. The last line
 * is `N passed, N failed` (`, N skipped` with the names above it); exit 0 only when something ran and nothing failed.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { GATES } from '../gates/all.ts';
import { ROOT } from '../gates/gate.ts';
import type { Counts } from './count-reporter.ts';

const HELP = `npm test [-- options] [vitest filters]

  --gates          only the gates (format, lint, types, boundaries, drift …)
  --tests          only the tests
  --project NAME   only one vitest project: unit, integration or e2e
  --long           the long lane too: more rounds and seeds (TRACEHOUND_TEST_LONG=1)

Examples
  npm test
  npm test -- --gates
  npm test -- --tests --project unit packages/correlation
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    gates: { type: 'boolean', default: false },
    tests: { type: 'boolean', default: false },
    project: { type: 'string', multiple: true },
    long: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const both = values.gates === values.tests;

const total: Counts = { passed: 0, failed: 0, skipped: [], failures: [], unhandled: 0 };
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const seconds = (since: number): string => `${((Date.now() - since) / 1000).toFixed(1)} s`;

async function runGates(): Promise<void> {
  say(`Gates (${GATES.length})`);
  for (const gate of GATES) {
    const began = Date.now();
    try {
      const saw = await gate.run();
      total.passed++;
      say(`  ✓ ${gate.name} — ${saw.slice(0, 120)} (${seconds(began)})`);
    } catch (error) {
      total.failed++;
      total.failures.push(`gate: ${gate.name}`);
      say(`  ✗ ${gate.name} (${seconds(began)})`);
      say((error instanceof Error ? error.message : String(error)).replace(/^/gm, '      '));
    }
  }
}

function runVitest(): Promise<void> {
  const counts = join(ROOT, '.tracehound', 'test-counts.json');
  mkdirSync(join(ROOT, '.tracehound'), { recursive: true });
  rmSync(counts, { force: true });
  const args = [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--config',
    'vitest.config.ts',
    '--reporter=default',
    '--reporter=./tools/test/count-reporter.ts',
    ...(values.project ?? []).flatMap((name) => ['--project', name]),
    ...positionals,
  ];
  return new Promise((done) => {
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        TRACEHOUND_TEST_COUNTS: counts,
        ...(values.long ? { TRACEHOUND_TEST_LONG: '1' } : {}),
      },
    });
    child.on('close', (code) => {
      try {
        const seen = JSON.parse(readFileSync(counts, 'utf8')) as Counts;
        total.passed += seen.passed;
        total.failed += seen.failed;
        total.skipped.push(...seen.skipped);
        total.failures.push(...seen.failures);
        if (code !== 0 && seen.failed === 0) {
          total.failed++;
          total.failures.push(`vitest exited with ${code} though no test failed`);
        }
      } catch {
        total.failed++;
        total.failures.push(`vitest left no counts (exit ${code})`);
      }
      done();
    });
  });
}

if (both || values.gates) await runGates();
if (both || values.tests) await runVitest();
if (total.failures.length > 0) {
  say('\nFailed:');
  for (const name of total.failures) say(`  ✗ ${name}`);
}
if (total.skipped.length > 0) {
  say('\nSkipped:');
  for (const name of total.skipped) say(`  - ${name}`);
}
const ran = total.passed + total.failed;
say(
  `\n${total.passed} passed, ${total.failed} failed${total.skipped.length > 0 ? `, ${total.skipped.length} skipped` : ''}`,
);
process.exitCode = total.failed > 0 || ran === 0 ? 1 : 0;
