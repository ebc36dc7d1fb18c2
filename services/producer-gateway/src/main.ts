import { describe, load } from '@tracehound/config';
import { runService } from '@tracehound/lifecycle';
import { createApp } from './app.ts';
import { gatewayConfigSpec } from './config.ts';

runService({
  name: 'producer-gateway',
  help: () =>
    [
      'producer-gateway: takes events over HTTP, validates them, and acknowledges what Kafka has acknowledged.',
      '',
      'Environment:',
      describe(gatewayConfigSpec),
    ].join('\n'),
  main: ({ env }) => createApp(load(gatewayConfigSpec, env)),
});
