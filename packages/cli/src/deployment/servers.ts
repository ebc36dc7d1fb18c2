import { join } from 'node:path';
import { type AvroCodec, createAvroCodec, createRegistry } from '@tracehound/avro';
import { createKafkaJsClient, type KafkaAdmin, type KafkaClient } from '@tracehound/kafka';
import { addressesFromEnvironment, findStack, repositoryRoot, type StackAddresses } from '@tracehound/stack';
import { stateDirectory } from '../paths.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';
import { mirroredFromEnvironment } from './mirrored-sources.ts';

/** The log of a deployment, for verbs that read or write it. */
export type Log = {
  readonly kafka: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: AvroCodec;
  /** Prefix of the topic names; empty by default. */
  readonly namespace: string;
  /** Topics that mirror those of other deployments, where the environment says; else they are as they are. */
  readonly mirrored: readonly string[] | undefined;
  readonly terminal: Terminal;
  /** The present, ms. */
  readonly now: () => number;
};

/** Runs something on the log of a deployment, and closes the connections behind it. */
export type WithLog = (work: (log: Log) => Promise<number>) => Promise<number>;

export type Servers = {
  readonly namespace: string;
  /** @throws UsageError when there are none. */
  stackAddresses(): Promise<StackAddresses>;
  withKafka(work: (kafka: KafkaClient) => Promise<number>): Promise<number>;
  readonly withLog: WithLog;
};

/** The servers that the environment names, or that `tracehound up` started from this clone; looked for when asked. */
export function openServers(terminal: Terminal): Servers {
  const namespace = process.env['TRACEHOUND_NAMESPACE'] ?? '';

  async function stackAddresses(): Promise<StackAddresses> {
    const named = addressesFromEnvironment(process.env);
    if (named) return named;
    const stack = await findStack({ directory: join(stateDirectory(repositoryRoot()), 'stack') });
    if (!stack)
      throw new UsageError('no servers: start them with `tracehound up`, or name them with the TRACEHOUND_* addresses');
    return stack.addresses;
  }

  async function withKafka(work: (kafka: KafkaClient) => Promise<number>): Promise<number> {
    const kafka = createKafkaJsClient({ brokers: (await stackAddresses()).kafkaBrokers, clientId: 'tracehound-cli' });
    try {
      return await work(kafka);
    } finally {
      await kafka.close();
    }
  }

  const withLog: WithLog = (work) =>
    withKafka(async (kafka) => {
      const admin = await kafka.admin();
      try {
        const registry = createRegistry({ url: (await stackAddresses()).registryUrl });
        const codec = createAvroCodec({ registry });
        const mirrored = mirroredFromEnvironment();
        return await work({ kafka, admin, codec, namespace, mirrored, terminal, now: Date.now });
      } finally {
        await admin.close();
      }
    });

  return { namespace, stackAddresses, withKafka, withLog };
}
