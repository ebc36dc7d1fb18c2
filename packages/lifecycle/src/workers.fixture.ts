/** Parent and worker under test of `workers.test.ts`: `parent <count>` starts copies of this file. */
import { writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runService } from './run-service.ts';
import { createWorkers, reportToParent } from './workers.ts';

const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };

function say(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

if (process.argv[2] === 'parent') {
  const workers = createWorkers<{ pid: number }, string>({
    entry: fileURLToPath(import.meta.url),
    count: 2,
    env: (index) => ({ ...process.env, INDEX: String(index) }),
    logger,
    restartsMax: 2,
    onFatal: (error) => say({ fatal: String(error) }),
    onReplaced: (index) => say({ replaced: index }),
  });
  process.stdin.on('data', () => void workers.details().then((details) => say({ details })));
  let said = '';
  setInterval(() => {
    const pids = workers.states().map(({ state }) => state?.pid ?? null);
    if (pids.join() !== said) say({ pids });
    said = pids.join();
  }, 20).unref();
  runService({
    name: 'parent',
    help: () => '',
    main: () => ({
      start: async () => workers.start(),
      stop: async () => {
        await workers.stop();
        say({ stopped: 'parent' });
      },
    }),
  });
} else {
  const alive = setInterval(() => undefined, 1_000);
  const index = process.env['INDEX'];
  runService({
    name: 'worker',
    help: () => '',
    main: ({ fatal }) => {
      process.once('SIGUSR2', () => fatal(new Error('cannot go on')));
      reportToParent({ state: () => ({ pid: process.pid }), detail: async () => `detail ${index}` });
      return {
        start: async () => undefined,
        async stop() {
          clearInterval(alive);
          say({ stopped: index });
        },
      };
    },
  });
}
