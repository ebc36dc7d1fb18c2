/** `npm run chaos -- TARGET [--rounds N] [--seed N]`: the long fault lanes, on real servers they start themselves. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../gates/gate.ts';

const LANES: Readonly<Record<string, { readonly file: string; readonly about: string }>> = {
  kafka: {
    file: 'packages/kafka/chaos/leader-kill.ts',
    about: 'kill -9 of the partition leader while producing, 20 rounds; zero acknowledged records lost',
  },
};

const [target = '', ...rest] = process.argv.slice(2);
const lane = LANES[target];
if (!lane) {
  const known = Object.entries(LANES).map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`);
  process.stderr.write(
    `npm run chaos -- TARGET [options]\n\n${known.join('\n')}\n\nExample\n  npm run chaos -- kafka --rounds 20\n`,
  );
  process.exit(target === '' || target === '--help' ? 0 : 2);
}
const child = spawn(process.execPath, [...process.execArgv, join(ROOT, lane.file), ...rest], {
  stdio: 'inherit',
  cwd: ROOT,
});
child.on('close', (code) => process.exit(code ?? 1));
