import { runService } from '@tracehound/lifecycle';
import { createApp } from './app.ts';
import { describeCorrelatorConfig, loadCorrelatorConfig } from './config.ts';

runService({
  name: 'correlator',
  help: () =>
    `correlator: matches events against Sigma rules (stage a) and correlates the matches in event time (stage b).\n\n${describeCorrelatorConfig()}`,
  main: ({ env, fatal }) => createApp(loadCorrelatorConfig(env), { onFatal: fatal }),
});
