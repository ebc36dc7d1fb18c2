import type { Receiver } from '../ports.ts';
import { createConsoleReceiver } from './console-receiver.ts';
import type { ReceiversConfig } from './receivers-file.ts';
import { createWebhookReceiver } from './webhook-receiver.ts';

/** The receivers of a configuration, by name. */
export function createReceivers(
  config: ReceiversConfig,
  deps: { readonly lateMs: number; readonly now: () => number; readonly write: (line: string) => void },
): ReadonlyMap<string, Receiver> {
  return new Map(
    config.receivers.map((spec): [string, Receiver] => {
      switch (spec.channel) {
        case 'webhook':
          return [spec.name, createWebhookReceiver({ ...spec, ...deps })];
        case 'console':
          return [spec.name, createConsoleReceiver({ ...spec, ...deps })];
      }
    }),
  );
}
