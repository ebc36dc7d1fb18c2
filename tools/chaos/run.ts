/** `npm run chaos -- [TARGET] [options]`: the long fault lanes, on real servers they start themselves. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../gates/gate.ts';

const LANES: Readonly<Record<string, { readonly file: string; readonly about: string }>> = {
  correlator: {
    file: 'services/correlator/chaos/run.ts',
    about: 'kills, pauses, network faults, rebalances, a Redis that forgets: E1 and E2 hold (--help for more)',
  },
  kafka: {
    file: 'packages/kafka/chaos/leader-kill.ts',
    about: 'kill -9 of the partition leader while producing, 20 rounds; zero acknowledged records lost',
  },
};

const words = process.argv.slice(2);
/** Without a target the soak of the correlator. */
const target = words[0] === undefined || words[0].startsWith('-') ? 'correlator' : words[0];
const rest = target === words[0] ? words.slice(1) : words;
const lane = LANES[target];
if (!lane) {
  const known = Object.entries(LANES).map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`);
  process.stderr.write(
    `no target ${target}\n\nnpm run chaos -- [TARGET] [options]\n\n${known.join('\n')}\n\nExamples\n  npm run chaos -- --seed 7 --minutes 5\n  npm run chaos -- kafka --rounds 20\n`,
  );
  process.exit(2);
}
const child = spawn(process.execPath, [...process.execArgv, join(ROOT, lane.file), ...rest], {
  stdio: 'inherit',
  cwd: ROOT,
});
child.on('close', (code) => process.exit(code ?? 1));
