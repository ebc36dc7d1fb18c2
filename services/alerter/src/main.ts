import { runService } from '@tracehound/lifecycle';
import { createApp } from './app.ts';
import { describeConfig, loadConfig } from './config.ts';

runService({
  name: 'alerter',
  help: () =>
    `alerter: tells people about alerts, once each, by signed webhooks and the console.\n\n${describeConfig()}`,
  main: ({ env, fatal }) => createApp(loadConfig(env), { onFatal: fatal }),
});
