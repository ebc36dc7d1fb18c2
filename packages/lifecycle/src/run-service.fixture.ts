/** Process under test of `run-service.test.ts`; the mode is the first argument. */
import { writeSync } from 'node:fs';
import { TracehoundError } from '@tracehound/event-model';
import { faultPoint } from './fault-point.ts';
import { runService } from './run-service.ts';

const mode = process.argv[2];

class BadConfig extends TracehoundError {
  constructor() {
    super('the configuration is invalid', { code: 'SEC_CONFIG_INVALID', category: 'invalid_input', retriable: false });
  }
  explain(): string {
    return 'TRACEHOUND_X: is required';
  }
}

if (mode === 'fault') {
  for (let pass = 1; pass <= 5; pass++) {
    faultPoint('f:here');
    writeSync(1, `pass ${pass}\n`);
  }
} else {
  const alive = setInterval(() => undefined, 1_000);
  runService({
    name: 'fixture',
    help: () => 'help text',
    stopTimeoutMs: 200,
    main: ({ fatal }) => {
      if (mode === 'bad-config') throw new BadConfig();
      return {
        async start() {
          if (mode === 'start-fails') throw new Error('no');
          if (mode === 'rejects') void Promise.reject(new Error('lost'));
          if (mode === 'fatal') fatal(new Error('partition is broken'));
          writeSync(1, 'up\n');
        },
        async stop() {
          if (mode === 'hangs') await new Promise(() => undefined);
          clearInterval(alive);
          writeSync(1, 'stopped\n');
        },
      };
    },
  });
  if (process.argv.includes('--help')) clearInterval(alive);
}
