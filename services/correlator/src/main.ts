import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { reportToParent, runService } from '@tracehound/lifecycle';
import { createLogger } from '@tracehound/telemetry';
import { createApp } from './app.ts';
import { describeCorrelatorConfig, loadCorrelatorConfig, workerCount } from './config.ts';
import { environmentWithFlags } from './flags.ts';
import { createWorkersApp } from './workers-app.ts';

runService({
  name: 'correlator',
  help: () =>
    `correlator: matches events against Sigma rules (stage a) and correlates the matches in event time (stage b).

  --workers N   as TRACEHOUND_CORRELATOR_WORKERS=N

Examples:
  node src/main.ts --workers 4                             four processes share the partitions of this machine
  TRACEHOUND_CORRELATOR_STAGES=b node src/main.ts          correlates only

${describeCorrelatorConfig()}`,
  main: ({ env, argv, fatal }) => {
    const environment = environmentWithFlags(env, argv);
    const config = loadCorrelatorConfig(environment);
    const count = workerCount(config, availableParallelism());
    if (count > 1) {
      return createWorkersApp(config, {
        count,
        env: environment,
        entry: fileURLToPath(import.meta.url),
        onFatal: fatal,
      });
    }
    const worker = environment['TRACEHOUND_WORKER'];
    if (worker === undefined) return createApp(config, { onFatal: fatal });
    const logger = createLogger({ service: 'correlator', level: config.logLevel }).child({ worker: Number(worker) });
    const app = createApp(config, { onFatal: fatal, logger });
    reportToParent({ state: () => app.health(), detail: () => app.metrics(worker) });
    return app;
  },
});
