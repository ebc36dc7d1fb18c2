import { join } from 'node:path';
import { type AvroCodec, createAvroCodec, createRegistry, registerRecords } from '@tracehound/avro';
import { createKafkaJsClient, type KafkaAdmin, type KafkaClient } from '@tracehound/kafka';
import { createPool, ensureDatabase, migrate, type Pool } from '@tracehound/postgres';
import { environmentOf, type StackAddresses } from '@tracehound/stack';
import { publishRuleSet } from '../commands/rules.ts';
import { applyTopics } from '../commands/topics.ts';
import type { RuleFile } from '../scenario/scenario.ts';
import { freePort } from './free-port.ts';
import { mirroredFromEnvironment } from './mirrored-sources.ts';
import { receiversFile } from './receivers-file.ts';
import { ensureSecrets, type LocalSecrets } from './secrets.ts';
import { SERVICES, type ServiceEvent, type ServiceName, ServiceProcess } from './service-process.ts';

export type DeploymentOptions = {
  readonly root: string;
  /** Logs, pid files and secrets of this deployment. */
  readonly directory: string;
  readonly addresses: StackAddresses;
  /** Prefix of topics, groups and Redis keys; '' is the live default (ADR 4). */
  readonly namespace: string;
  readonly rules: readonly RuleFile[];
  readonly latenessMs: number;
  /** Where notices are posted. */
  readonly receiverUrl: string;
  /** First-start fault points per service; tests only. */
  readonly faults?: Partial<Record<ServiceName, string>>;
  /** Topics that mirror those of other deployments, as they are named in the cluster; TRACEHOUND_MIRRORED_SOURCES unless told. */
  readonly mirrored?: readonly string[];
  /** Further environment for the services. */
  readonly env?: Readonly<Record<string, string>>;
  readonly restartsMax?: number;
  readonly onEvent?: (event: ServiceEvent) => void;
  readonly onProgress?: (line: string) => void;
};

/** All of Tracehound running as processes of this machine, with the clients a command needs to look at it. */
export type Deployment = {
  readonly services: ReadonlyMap<ServiceName, ServiceProcess>;
  readonly gatewayUrl: string;
  readonly alerterUrl: string;
  readonly databaseUrl: string;
  readonly rulesetId: string;
  readonly secrets: LocalSecrets;
  readonly kafka: KafkaClient;
  readonly admin: KafkaAdmin;
  readonly codec: AvroCodec;
  readonly pool: Pool;
  /** Topics that mirror those of other deployments. */
  readonly mirrored: readonly string[];
  readonly topic: (name: string) => string;
  readonly group: (name: string) => string;
  /** Names the services that are dead for good, or null. */
  hopeless(): string | null;
  stop(): Promise<void>;
};

const READY_MS_MAX = 60_000;

/** One database per namespace, on the server the stack names. */
export function databaseUrl(postgresUrl: string, namespace: string): string {
  const url = new URL(postgresUrl);
  url.pathname = namespace === '' ? '/tracehound' : `/tracehound_${namespace.replaceAll('-', '_')}`;
  return url.href;
}

/** Topics, schemas, database and rules: idempotent, so a second start changes nothing. */
async function prepare(
  options: DeploymentOptions & { readonly mirrored: readonly string[] },
  kafka: KafkaClient,
  codec: AvroCodec,
  database: string,
): Promise<string> {
  const { addresses, namespace, root, mirrored } = options;
  const registry = createRegistry({ url: addresses.registryUrl });
  await Promise.all([
    applyTopics({ kafka, namespace, mirrored, profile: addresses.kafkaBrokers.length > 1 ? 'default' : 'local' }),
    registerRecords(registry),
    ensureDatabase(database).then(() => migrate(database, join(root, 'deploy', 'migrations'))),
  ]);
  const published = await publishRuleSet({
    kafka,
    codec,
    namespace,
    files: options.rules,
    latenessMs: options.latenessMs,
    mirrored,
    principal: 'tracehound up',
  });
  return published.rulesetId;
}

export async function startDeployment(options: DeploymentOptions): Promise<Deployment> {
  const { root, directory, addresses, namespace } = options;
  const prefix = namespace === '' ? '' : `${namespace}.`;
  const mirrored = options.mirrored ?? mirroredFromEnvironment() ?? [];
  const secrets = ensureSecrets(join(directory, 'secrets'));
  const database = databaseUrl(addresses.postgresUrl, namespace);
  const kafka = createKafkaJsClient({ brokers: addresses.kafkaBrokers, clientId: 'tracehound-cli' });
  const codec = createAvroCodec({ registry: createRegistry({ url: addresses.registryUrl }) });
  const undo: (() => Promise<unknown>)[] = [() => kafka.close()];
  try {
    options.onProgress?.('topics, schemas, database, rules');
    const rulesetId = await prepare({ ...options, mirrored }, kafka, codec, database);

    const url = async (): Promise<string> => `http://127.0.0.1:${await freePort()}`;
    const gatewayUrl = await url();
    const alerterUrl = await url();
    const port = (address: string): string => new URL(address).port;
    const common: Record<string, string> = {
      ...environmentOf({ ...addresses, postgresUrl: database }),
      TRACEHOUND_NAMESPACE: namespace,
      TRACEHOUND_MIRRORED_SOURCES: mirrored.join(','),
      // On one machine a killed member is replaced in seconds, not half a minute; 6 s is the broker's lower bound.
      TRACEHOUND_CORRELATOR_SESSION_TIMEOUT: '6s',
      TRACEHOUND_SINK_SESSION_TIMEOUT: '6s',
      TRACEHOUND_ALERTER_SESSION_TIMEOUT: '6s',
      // Longer than the time-out of the local receiver (3 s): the next owner of an attempt waits this long after a crash.
      TRACEHOUND_ALERTER_LEASE: '5s',
      ...options.env,
    };
    const internal = { gateway: await url(), correlator: await url(), sink: await url(), alerter: await url() };
    const specific: Record<ServiceName, { env: Record<string, string>; internalUrl: string; publicUrl?: string }> = {
      'producer-gateway': {
        internalUrl: internal.gateway,
        publicUrl: gatewayUrl,
        env: {
          TRACEHOUND_GATEWAY_INTERNAL_PORT: port(internal.gateway),
          TRACEHOUND_GATEWAY_PORT: port(gatewayUrl),
          TRACEHOUND_GATEWAY_API_KEYS_FILE: secrets.apiKeysFile,
          TRACEHOUND_GATEWAY_IP_HASH_KEY_FILE: secrets.ipHashKeyFile,
        },
      },
      correlator: {
        internalUrl: internal.correlator,
        env: { TRACEHOUND_CORRELATOR_INTERNAL_PORT: port(internal.correlator) },
      },
      'sink-audit': { internalUrl: internal.sink, env: { TRACEHOUND_SINK_INTERNAL_PORT: port(internal.sink) } },
      alerter: {
        internalUrl: internal.alerter,
        publicUrl: alerterUrl,
        env: {
          TRACEHOUND_ALERTER_INTERNAL_PORT: port(internal.alerter),
          TRACEHOUND_ALERTER_PORT: port(alerterUrl),
          TRACEHOUND_ALERTER_RECEIVERS_FILE: receiversFile(directory, options.receiverUrl, secrets.webhookSecretFile),
          TRACEHOUND_ALERTER_TOKENS_FILE: secrets.alerterTokensFile,
          TRACEHOUND_ALERTER_LINK_BASE: alerterUrl,
        },
      },
    };
    const services = new Map<ServiceName, ServiceProcess>();
    for (const name of SERVICES) {
      const { env, internalUrl, publicUrl } = specific[name];
      const fault = options.faults?.[name];
      const service = new ServiceProcess({
        name,
        root,
        directory,
        env: { ...common, ...env },
        internalUrl,
        ...(publicUrl ? { publicUrl } : {}),
        ...(fault ? { fault } : {}),
        ...(options.restartsMax === undefined ? {} : { restartsMax: options.restartsMax }),
        ...(options.onEvent ? { onEvent: options.onEvent } : {}),
      });
      services.set(name, service);
      service.start();
      undo.push(() => service.stop());
    }
    options.onProgress?.('services');
    await Promise.all([...services.values()].map((service) => service.ready(READY_MS_MAX)));

    const admin = await kafka.admin();
    undo.push(() => admin.close());
    const pool = createPool(database, { applicationName: 'tracehound-cli', connectionsMax: 4 });
    undo.push(() => pool.end());
    return {
      services,
      gatewayUrl,
      alerterUrl,
      databaseUrl: database,
      rulesetId,
      mirrored,
      secrets,
      kafka,
      admin,
      codec,
      pool,
      topic: (name) => `${prefix}${name}`,
      group: (name) => `${prefix}${name}`,
      hopeless: () => {
        const dead = [...services.values()].filter((service) => service.isDead);
        return dead.length === 0
          ? null
          : `${dead.map((service) => service.name).join(', ')} stayed dead; see ${dead[0]?.logFile ?? 'the logs'}`;
      },
      stop: () => rollBack(undo),
    };
  } catch (error) {
    await rollBack(undo);
    throw error;
  }
}

/** Undoes in reverse; services stop side by side since none needs another to drain. */
async function rollBack(undo: readonly (() => Promise<unknown>)[]): Promise<void> {
  const [first, ...rest] = undo;
  await Promise.allSettled(rest.map((step) => step()));
  await first?.();
}
