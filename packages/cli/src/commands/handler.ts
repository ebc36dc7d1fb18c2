import { createHandlerApp, loadHandler, loadHandlerConfig } from '@tracehound/handler';
import { runService } from '@tracehound/lifecycle';

/** A process that lives as the services do: SIGTERM drains it; 0 drained, 1 fatal, 2 bad configuration. */
export function runHandlerVerb(file: string): void {
  runService({
    name: 'handler',
    help: () => '',
    main: async ({ env, fatal }) =>
      createHandlerApp(await loadHandler(file), loadHandlerConfig(env), { env, onFatal: fatal }),
  });
}
