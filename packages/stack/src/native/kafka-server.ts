import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../repository-root.ts';
import type { BrokerLink, PartName } from '../stack.ts';
import { runTool } from './run-tool.ts';
import type { ServerDefinition } from './server-process.ts';
import type { StackFiles, StackState } from './stack-files.ts';

/**
 * Broker and controller in one process. 640 MB of heap carries some hundred partitions (360 MB resident at rest);
 * three brokers of a fault test share the machine with everything else and hold a few topics.
 */
const HEAP_MB = { 1: 640, 3: 384 } as const;

/** Log4j 2 of what Kafka ships: warnings to standard output, which is its log file. */
export const WARNINGS_TO_STDOUT: string = `Configuration:
  Appenders:
    Console:
      name: STDOUT
      PatternLayout: { pattern: "[%d] %p %m (%c)%n" }
  Loggers:
    Root: { level: WARN, AppenderRef: [ { ref: STDOUT } ] }
`;

/** At info it would log every segment of every partition. */
const LOG4J = `${WARNINGS_TO_STDOUT}    Logger:
      - { name: kafka.server.KafkaRaftServer, level: INFO }
`;

export function kafkaServer(options: {
  name: PartName;
  state: StackState;
  files: StackFiles;
  jarsFolder: string;
  probe: () => Promise<string>;
}): ServerDefinition {
  const { name, state, files } = options;
  const folder = files.data(name);
  const classPath = join(options.jarsFolder, '*');
  const properties = join(folder, 'server.properties');
  const logConfig = join(folder, 'log4j2.yaml');
  return {
    name,
    address: `127.0.0.1:${portOf(state, name)}`,
    after: [],
    user: null,
    command: 'java',
    args: [
      `-Xmx${HEAP_MB[state.brokers]}m`,
      '-XX:+UseSerialGC', // parallel collectors reserve more memory and threads than a small broker needs
      '-XX:+ExitOnOutOfMemoryError',
      `-Dlog4j2.configurationFile=${logConfig}`,
      '-cp',
      classPath,
      'kafka.Kafka',
      properties,
    ],
    stopSignal: 'SIGTERM',
    probe: options.probe,
    async prepare() {
      await mkdir(folder, { recursive: true });
      await writeFile(logConfig, LOG4J);
      await writeFile(properties, await brokerProperties({ name, state, folder }));
      if (existsSync(join(folder, 'log', 'meta.properties'))) return;
      await rm(join(folder, 'log'), { recursive: true, force: true }); // half formatted
      // In one word: an id may begin with a dash, which would read as an option.
      const format = ['kafka.tools.StorageTool', 'format', `--cluster-id=${state.kafkaClusterId}`, '-c', properties];
      await runTool('java', [
        '-XX:TieredStopAtLevel=1',
        `-Dlog4j2.configurationFile=${logConfig}`,
        '-cp',
        classPath,
        ...format,
      ]);
    },
  };
}

/** Nobody has a name on plaintext listeners: a test takes rights from everybody and gives them back. */
const AUTHORIZER = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'allow.everyone.if.no.acl.found': true,
};

export function portOf(state: StackState, listener: string): number {
  const port = state.ports[listener];
  if (port === undefined) throw new Error(`the stack has no port for ${listener}`);
  return port;
}

/** Keys of the ports of a broker. The last two are for a proxy: where the broker listens for it, and where it listens itself. */
export function brokerListeners(name: PartName, withLink: boolean): readonly string[] {
  return [name, `${name}/controller`, ...(withLink ? [`${name}/linked`, `${name}/link`] : [])];
}

/** The link of a broker; null where it has none, and for other parts. */
export function linkOf(state: StackState, name: PartName): BrokerLink | null {
  const [upstream, listen] = [state.ports[`${name}/linked`], state.ports[`${name}/link`]];
  return upstream === undefined || listen === undefined
    ? null
    : { upstream: `127.0.0.1:${upstream}`, listen: `127.0.0.1:${listen}` };
}

async function brokerProperties(options: { name: PartName; state: StackState; folder: string }): Promise<string> {
  const { name, state, folder } = options;
  const shared = await readFile(join(repositoryRoot(), 'deploy', 'servers', 'kafka.properties'), 'utf8');
  const brokers = state.parts.filter((part) => part.startsWith('kafka-'));
  const voters = brokers.map((broker) => `${broker.slice(-1)}@127.0.0.1:${portOf(state, `${broker}/controller`)}`);
  const replication = state.brokers;
  // With three copies a write needs two (X1); a single broker can only promise one.
  const inSync = state.brokers === 3 ? 2 : 1;
  const link = linkOf(state, name);
  const own = {
    'node.id': name.slice(-1),
    'controller.quorum.voters': voters.join(','),
    listeners: `PLAINTEXT://127.0.0.1:${portOf(state, name)},CONTROLLER://127.0.0.1:${portOf(state, `${name}/controller`)}${link === null ? '' : `,LINKED://${link.upstream}`}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${portOf(state, name)}${link === null ? '' : `,LINKED://${link.listen}`}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LINKED:PLAINTEXT',
    'log.dirs': join(folder, 'log'),
    ...(state.kafkaAuthorizer === true ? AUTHORIZER : {}),
    'default.replication.factor': replication,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': replication,
    'transaction.state.log.replication.factor': replication,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.replication.factor': replication,
    'share.coordinator.state.topic.min.isr': inSync,
  };
  const lines = Object.entries(own).map(([key, value]) => `${key}=${value}`);
  return `${shared}\n# Of this broker.\n${lines.join('\n')}\n`;
}
