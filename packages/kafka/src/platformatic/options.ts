import type { BaseOptions, SASLOptions } from '@platformatic/kafka';
import type { KafkaClientOptions } from '../port.ts';

const CONNECT_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 15_000;

/** Options of every `@platformatic/kafka` object here. Retries of single calls stay small: ours come on top. */
export function baseOptions(options: KafkaClientOptions): BaseOptions {
  return {
    clientId: options.clientId,
    bootstrapBrokers: [...options.brokers],
    connectTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retries: 3,
    retryDelay: 250,
    autocreateTopics: false,
    ...(options.tls ? { tls: { ...options.tls } } : {}),
    ...(options.sasl ? { sasl: saslOf(options.sasl) } : {}),
  };
}

function saslOf(sasl: NonNullable<KafkaClientOptions['sasl']>): SASLOptions {
  const { username, password } = sasl;
  switch (sasl.mechanism) {
    case 'plain':
      return { mechanism: 'PLAIN', username, password };
    case 'scram-sha-256':
      return { mechanism: 'SCRAM-SHA-256', username, password };
    case 'scram-sha-512':
      return { mechanism: 'SCRAM-SHA-512', username, password };
  }
}
