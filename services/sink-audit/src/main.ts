import { runService } from '@tracehound/lifecycle';
import { createApp } from './app.ts';
import { describeSinkConfig, loadSinkConfig } from './config.ts';

runService({
  name: 'sink-audit',
  help: () =>
    `sink-audit: copies every record of the security topics into append-only rows of PostgreSQL, exactly once.\n\n${describeSinkConfig()}`,
  main: ({ env, fatal }) => createApp(loadSinkConfig(env), { onFatal: fatal }),
});
