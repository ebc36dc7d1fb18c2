import { join, resolve } from 'node:path';
import { createRegistry } from '@tracehound/avro';
import { describeHandlerConfig } from '@tracehound/handler';
import { createPool } from '@tracehound/postgres';
import { repositoryRoot } from '@tracehound/stack';
import { type Command, Option } from 'commander';
import { runAuditQuery } from './commands/audit.ts';
import { type CapacityFlags, runCapacity } from './commands/capacity.ts';
import { addDlqCommands } from './commands/dlq-program.ts';
import { runDoctor } from './commands/doctor.ts';
import { runDown } from './commands/down.ts';
import { runExplainAlert } from './commands/explain-alert.ts';
import { runHandlerVerb } from './commands/handler.ts';
import { addLogCommands } from './commands/log-program.ts';
import { addLiveRulesCommands } from './commands/rules-live-program.ts';
import { addRulesCommands, type Exits } from './commands/rules-program.ts';
import { runSchemasApply, runSchemasCheck, runSchemasList } from './commands/schemas.ts';
import { runSend } from './commands/send.ts';
import { runStatus } from './commands/status.ts';
import { runTopicsApply, runTopicsList } from './commands/topics.ts';
import { runUp } from './commands/up.ts';
import { databaseUrl } from './deployment/deployment.ts';
import { mirroredFromEnvironment } from './deployment/mirrored-sources.ts';
import { openServers } from './deployment/servers.ts';
import type { LiveExplain } from './offline.ts';
import { stateDirectory } from './paths.ts';
import type { Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';

const format = (): Option =>
  new Option('--format <form>', 'how results are printed').choices(['table', 'json']).default('table');

type AuditFlags = {
  org?: string;
  kind?: string;
  type?: string;
  trace?: string;
  actor?: string;
  from?: string;
  to?: string;
  limit?: string;
  format: 'table' | 'ndjson' | 'json';
};

type UpFlags = {
  scenario: string;
  once?: true;
  docker?: true;
  native?: true;
  format: 'table' | 'json';
  timeout: string;
  fault?: string[];
  restarts?: string;
};

/** What the verbs need of the process. */
export type VerbContext = {
  readonly terminal: Terminal;
  readonly exits: Exits;
  /** Resolves on the first SIGINT or SIGTERM. */
  interrupted(): Promise<void>;
};

/** The verbs that work on servers, and those on rules. Loaded only for them: drivers of servers take a second to load. */
export function registerVerbs(
  program: Command,
  { terminal, exits, interrupted }: VerbContext,
): { readonly explainAlert: LiveExplain } {
  const root = repositoryRoot();
  const home = stateDirectory(root);
  const { namespace, stackAddresses, withKafka, withLog } = openServers(terminal);

  program
    .command('up')
    .description('start everything, play a recorded attack, print what happened')
    .option(
      '--scenario <name|file>',
      'cross-platform, ssh-bruteforce, okta-admin, or an NDJSON file of events',
      'cross-platform',
    )
    .option('--once', 'check everything, tear down, exit 0 only if every check held')
    .addOption(new Option('--docker', 'servers from docker-compose.yml').conflicts('native'))
    .option('--native', 'servers as processes of this machine')
    .option('--timeout <seconds>', 'how long the play may take', '180')
    .option(
      '--fault <service=point...>',
      'kill -9 a service at a fault point of its first start, e.g. correlator=b:after-flush',
    )
    .option('--restarts <n>', 'how often a service that dies is started again', '10')
    .addOption(format())
    .addHelpText(
      'after',
      `
  Examples
    ./tracehound up                                        play the cross-platform attack, then keep running
    ./tracehound up --once                                 the same as a check
    ./tracehound up --scenario ssh-bruteforce --once --format json
    ./tracehound up --scenario my-events.ndjson            events of your own, moved to now
    ./tracehound up --once --fault sink-audit=s:after-copy   what a kill -9 does`,
    )
    .action(
      exits(async (flags: UpFlags) => {
        const faults = Object.fromEntries(
          (flags.fault ?? []).map((entry) => {
            const at = entry.indexOf('=');
            if (at < 1) throw new UsageError(`--fault ${entry}: write service=point, e.g. alerter=n:after-deliver`);
            return [entry.slice(0, at), entry.slice(at + 1)];
          }),
        );
        return runUp(
          {
            root,
            home,
            namespace,
            scenario: flags.scenario,
            once: flags.once ?? false,
            mode: flags.docker ? 'docker' : flags.native ? 'native' : 'auto',
            format: flags.format,
            timeoutMs: positive(flags.timeout, '--timeout') * 1_000,
            faults,
            restartsMax: positive(flags.restarts ?? '10', '--restarts', 0),
            ended: interrupted(),
          },
          terminal,
        );
      }),
    );

  program
    .command('down')
    .description('end services and servers of this clone')
    .option('--wipe', 'delete their data too')
    .addOption(format())
    .action(
      exits((flags: { wipe?: true; format: 'table' | 'json' }) =>
        runDown({ directory: join(home, 'stack'), wipe: flags.wipe ?? false, format: flags.format }, terminal),
      ),
    );

  program
    .command('status')
    .description('servers and services, and whether they are well')
    .addOption(format())
    .action(
      exits((flags: { format: 'table' | 'json' }) =>
        runStatus({ directory: join(home, 'stack'), format: flags.format }, terminal),
      ),
    );

  program
    .command('doctor')
    .description('what is missing or badly set, and the remedy; exit 1 when something is')
    .addOption(format())
    .action(
      exits((flags: { format: 'table' | 'json' }) =>
        runDoctor({ directory: join(home, 'stack'), format: flags.format }, terminal),
      ),
    );

  program
    .command('send')
    .description('post NDJSON events through a gateway, with progress; refused events are listed, exit 1')
    .argument('<file>', 'NDJSON file')
    .requiredOption('--url <url>', 'gateway, e.g. http://127.0.0.1:8080')
    .requiredOption('--key-file <file>', 'file with the API key')
    .option('--rebase <when>', '`now` moves the times to now and gives new ids; the default keeps them', 'none')
    .addOption(format())
    .action(
      exits((file: string, flags: { url: string; keyFile: string; rebase: string; format: 'table' | 'json' }) =>
        runSend({ file, ...flags }, terminal),
      ),
    );

  const rules = program.command('rules').description('lint, test, list and map rules; apply them to a deployment');
  addRulesCommands(rules, { terminal, exits });
  addLiveRulesCommands(rules, { terminal, exits, withLog });

  const topics = program.command('topics').description('topics of deploy/topics.yaml');
  for (const [name, about, run] of [
    ['apply', 'create what is missing, adjust settings; never shrinks or deletes', runTopicsApply],
    ['list', 'what is declared and whether the cluster has it', runTopicsList],
  ] as const) {
    topics
      .command(name)
      .description(about)
      .option('--profile <name>', 'default (three brokers) or local', 'local')
      .addOption(format())
      .addHelpText(
        'after',
        `
  Examples
    ./tracehound topics ${name} --profile default
    TRACEHOUND_MIRRORED_SOURCES=eu.security.events ./tracehound topics ${name}   with the topics that mirror another deployment`,
      )
      .action(
        exits((flags: { profile: string; format: 'table' | 'json' }) =>
          withKafka((kafka) => run({ kafka, namespace, mirrored: mirroredFromEnvironment(), terminal, ...flags })),
        ),
      );
  }

  program
    .command('capacity')
    .description('cores, memory and disk that a load needs, by measured costs')
    .requiredOption('--rate <events>', 'events a second at the peak')
    .option('--event-bytes <bytes>', 'size of an event in Kafka', '700')
    .option('--match-share <share>', 'matches that feed correlations, per event', '0.2')
    .option('--groups <n>', 'windows open at once', '100000')
    .option('--partitions <n>', 'of security.events and of security.matches', '12')
    .option('--replication <n>', 'copies of a record', '3')
    .addOption(format())
    .addHelpText('after', '\nExample\n  ./tracehound capacity --rate 20000 --match-share 0.05 --groups 1000000')
    .action(exits((flags: CapacityFlags) => runCapacity(flags, terminal)));

  const handler = program
    .command('handler')
    .description('consumers of your own: alerts, findings and events to a file of yours');
  handler
    .command('run')
    .description('runs one handler module until it is told to stop')
    .argument('<file>', 'module with `export default defineHandler({ name, topics, handle })`')
    .addHelpText(
      'after',
      `
At least once, in order per partition, with a stable idempotency key; what fails waits, what never can succeed becomes a dead
letter. Addresses of brokers and registry come from TRACEHOUND_* keys; metrics and health are on the internal port.

${describeHandlerConfig()}

Examples
  FILE_LOGGER_PATH=alerts.ndjson ./tracehound handler run packages/handler/examples/file-logger.ts
  FORWARD_URL=https://tickets.example.org/hooks ./tracehound handler run packages/handler/examples/kafka-to-http.ts`,
    )
    .action((file: string) => runHandlerVerb(resolve(file)));

  addLogCommands(program, { exits, interrupted, withLog });
  addDlqCommands(program, { exits, interrupted, withLog });

  const schemas = program.command('schemas').description('Avro schemas of this build in the registry');
  for (const [name, about, run] of [
    ['apply', 'register them, FULL_TRANSITIVE', runSchemasApply],
    ['check', 'would the registry take them? changes nothing', runSchemasCheck],
    ['list', 'where each subject stands', runSchemasList],
  ] as const) {
    schemas
      .command(name)
      .description(about)
      .addOption(format())
      .action(
        exits(async (flags: { format: 'table' | 'json' }) =>
          run({
            registry: createRegistry({ url: (await stackAddresses()).registryUrl }),
            format: flags.format,
            terminal,
          }),
        ),
      );
  }

  program
    .command('audit')
    .description('what the audit store holds')
    .command('query')
    .description('rows as a timeline; copies of an event are left out')
    .option('--org <id>', 'one organization; platform for events without one')
    .option('--kind <kind>', 'event, late, finding, alert, lifecycle or delivery')
    .option('--type <type>', 'event type')
    .option('--trace <id>', 'trace id')
    .option('--actor <id>', 'actor id')
    .option('--from <time>', 'ISO 8601, append time; default 24 hours before --to')
    .option('--to <time>', 'ISO 8601; default now')
    .option('--limit <n>', 'rows at most')
    .addOption(
      new Option('--format <form>', 'how results are printed').choices(['table', 'ndjson', 'json']).default('table'),
    )
    .addHelpText('after', '\nExample\n  ./tracehound audit query --org acme --trace 4bf92f3577b34da6a3ce929d0e0e4736')
    .action(
      exits(async (flags: AuditFlags) => {
        const pool = createPool(databaseUrl((await stackAddresses()).postgresUrl, namespace), {
          applicationName: 'tracehound-cli',
          connectionsMax: 1,
        });
        try {
          const { org, trace, ...rest } = flags;
          return await runAuditQuery({
            pool,
            terminal,
            ...rest,
            ...(org === undefined ? {} : { organization: org }),
            ...(trace === undefined ? {} : { traceId: trace }),
          });
        } finally {
          await pool.end();
        }
      }),
    );
  return { explainAlert: (flags) => withLog((log) => runExplainAlert(flags, log)) };
}

function positive(text: string, name: string, min = 1): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min)
    throw new UsageError(`${name} ${text}: write a whole number from ${min} on`);
  return value;
}
