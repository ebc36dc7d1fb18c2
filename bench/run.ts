/** `npm run bench -- LANE [--json] [options]`: measurements with their input, command, counts, median and spread. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const lanes = join(import.meta.dirname, 'lanes');
const names = readdirSync(lanes)
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .map((file) => file.slice(0, -'.ts'.length));

const [lane = '', ...rest] = process.argv.slice(2);
const file = join(lanes, `${lane}.ts`);
if (lane === '' || lane.startsWith('-') || !existsSync(file)) {
  process.stderr.write(
    `npm run bench -- LANE [--json]\n\nLanes: ${names.join(', ')}\n\nExample\n  npm run bench -- e2e --json\n`,
  );
  process.exit(lane === '' || lane === '--help' ? 0 : 2);
}
const child = spawn(process.execPath, [...process.execArgv, file, ...rest], { stdio: 'inherit' });
child.on('close', (code) => process.exit(code ?? 1));
