import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { createAvroCodec, createRegistry } from '@tracehound/avro';
import { describeHandlerConfig } from '@tracehound/handler';
import { createKafkaJsClient, type KafkaClient } from '@tracehound/kafka';
import { createPool } from '@tracehound/postgres';
import { addressesFromEnvironment, findStack, repositoryRoot, type StackAddresses } from '@tracehound/stack';
import { type Command, Option } from 'commander';
import { runAuditQuery } from './commands/audit.ts';
import { type CapacityFlags, runCapacity } from './commands/capacity.ts';
import { runDoctor } from './commands/doctor.ts';
import { runDown } from './commands/down.ts';
import { runExplainAlert } from './commands/explain-alert.ts';
import { runHandlerVerb } from './commands/handler.ts';
import { type RecoverFlags, runRecover } from './commands/recover.ts';
import { type ReplayFlags, runReplay } from './commands/replay.ts';
import { runBreakerClear, runBreakerList } from './commands/rules-breaker.ts';
import { runRulesHealth } from './commands/rules-health.ts';
import {
  type RulesLive,
  runRulesApply,
  runRulesApprove,
  runRulesDiff,
  runRulesKeygen,
  runRulesRollback,
  runRulesStatus,
} from './commands/rules-live.ts';
import { addRulesCommands } from './commands/rules-program.ts';
import { runSchemasApply, runSchemasCheck, runSchemasList } from './commands/schemas.ts';
import { runSend } from './commands/send.ts';
import { runStatus } from './commands/status.ts';
import { runTopicsApply, runTopicsList } from './commands/topics.ts';
import { runUp } from './commands/up.ts';
import { databaseUrl } from './deployment/deployment.ts';
import { LIMIT_NAMES } from './deployment/state-limits.ts';
import type { LiveExplain } from './offline.ts';
import { stateDirectory } from './paths.ts';
import { counted } from './render/counted.ts';
import type { ReplayProgress } from './render/replay.ts';
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

type RollbackFlags = {
  to?: string;
  reason?: string;
  key?: string[];
  principal?: string;
  format: 'table' | 'json';
};

type ApplyFlags = {
  reason?: string;
  key?: string[];
  lateness?: string;
  limit?: string[];
  force?: string;
  principal?: string;
  format: 'table' | 'json';
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

/** The log of a deployment, for verbs that read or write it. */
type Log = Omit<RulesLive, 'principal' | 'terminal'> & { readonly terminal: Terminal };

/** What the verbs need of the process. */
export type VerbContext = {
  readonly terminal: Terminal;
  /** Runs a command; its number is the exit code. */
  exits<A extends unknown[]>(run: (...args: A) => Promise<number>): (...args: A) => Promise<void>;
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
  async function stackAddresses(): Promise<StackAddresses> {
    const named = addressesFromEnvironment(process.env);
    if (named) return named;
    const stack = await findStack({ directory: join(home, 'stack') });
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

  const namespace = process.env['TRACEHOUND_NAMESPACE'] ?? '';

  async function withLog(work: (log: Log) => Promise<number>): Promise<number> {
    return withKafka(async (kafka) => {
      const admin = await kafka.admin();
      try {
        const registry = createRegistry({ url: (await stackAddresses()).registryUrl });
        return await work({ kafka, admin, codec: createAvroCodec({ registry }), namespace, terminal, now: Date.now });
      } finally {
        await admin.close();
      }
    });
  }

  /** `rules apply|diff|status|rollback`: what is in force on a deployment. */
  function addLiveRulesCommands(rules: Command): void {
    const withRules = (work: (live: RulesLive) => Promise<number>, principal?: string): Promise<number> =>
      withLog((log) =>
        work({ ...log, principal: principal ?? process.env['TRACEHOUND_PRINCIPAL'] ?? userInfo().username }),
      );
    const by = (): Option =>
      new Option(
        '--principal <name>',
        'who does it, kept with the activation; default TRACEHOUND_PRINCIPAL or the user',
      );
    rules
      .command('apply')
      .description('put rules into force on a deployment, at one moment for all its parts; a bad set is refused')
      .argument('<path...>', 'rule files, and folders of them: the whole set')
      .option('--lateness <duration>', 'allowed lateness (X3), e.g. 2m; default: as before')
      .option('--limit <name=number...>', `state per partition: ${LIMIT_NAMES.join(', ')}; default: as before`)
      .option('--reason <text>', 'why; kept with the activation')
      .option('--key <id=file...>', 'signing keys, where the deployment asks for them')
      .option('--force <reason>', 'apply a set that matches too much of the newest events; the reason is kept')
      .addOption(by())
      .addOption(format())
      .addHelpText(
        'after',
        `
Windows of correlations whose logic did not change go on; changed ones begin empty. The set before comes back with
rules rollback. A rule that would write more than one record for every two of the newest 20,000 events is refused.

Examples
  ./tracehound rules diff my-rules            what would change; exit 1 when something would
  ./tracehound rules apply my-rules
  ./tracehound rules status --history
  ./tracehound rules rollback`,
      )
      .action(
        exits((paths: string[], flags: ApplyFlags) =>
          withRules((live) => runRulesApply({ paths, ...flags }, live), flags.principal),
        ),
      );
    rules
      .command('keygen')
      .description('a new signing key; prints the entry for TRACEHOUND_RULE_KEYS_FILE')
      .argument('<key-id>', 'name of the key, e.g. ada')
      .argument('<file>', 'where the private key goes; must not exist')
      .action((keyId: string, file: string) => {
        process.exitCode = runRulesKeygen(keyId, file, terminal);
      });
    rules
      .command('approve')
      .description('sign what waits for another approval')
      .argument('[activation]', 'the beginning of its id; default the latest that waits')
      .requiredOption('--key <id=file...>', 'signing keys')
      .addOption(format())
      .action(
        exits((activation: string | undefined, flags: { key: string[]; format: 'table' | 'json' }) =>
          withRules((live) => runRulesApprove({ ...(activation === undefined ? {} : { activation }), ...flags }, live)),
        ),
      );
    rules
      .command('diff')
      .description('rules added, removed, changed and reworded against what was applied last; exit 1 when they differ')
      .argument('<path...>', 'rule files, and folders of them: the whole set')
      .addOption(format())
      .action(
        exits((paths: string[], flags: { format: 'table' | 'json' }) =>
          withRules((live) => runRulesDiff({ paths, ...flags }, live)),
        ),
      );
    rules
      .command('status')
      .description('the set in force on a deployment, and sets that are announced')
      .option('--history', 'all that ever were')
      .addOption(format())
      .action(
        exits((flags: { history?: true; format: 'table' | 'json' }) =>
          withRules((live) => runRulesStatus(flags, live)),
        ),
      );
    rules
      .command('health')
      .description('when each rule last spoke and how often, what is tripped or degraded, which filters expire')
      .addOption(format())
      .addHelpText(
        'after',
        '\nExit code 1 when a rule loses matches or a filter has expired.\n\nExample\n  ./tracehound rules health',
      )
      .action(exits((flags: { format: 'table' | 'json' }) => withRules((live) => runRulesHealth(flags, live))));
    const breaker = rules.command('breaker').description('rules that were tripped because they flooded with matches');
    breaker
      .command('list')
      .description('correlations that take no matches of an organization, and until when')
      .addOption(format())
      .action(exits((flags: { format: 'table' | 'json' }) => withRules((live) => runBreakerList(flags, live))));
    breaker
      .command('clear')
      .description('take matches again before a breaker runs out')
      .option('--org <organization>', 'only breakers of this organization')
      .option('--rule <id>', 'only breakers of this rule')
      .option('--key <id=file...>', 'signing keys, where the deployment asks for them')
      .addOption(by())
      .addOption(format())
      .action(
        exits((flags: { org?: string; rule?: string; key?: string[]; principal?: string; format: 'table' | 'json' }) =>
          withRules((live) => runBreakerClear(flags, live), flags.principal),
        ),
      );
    rules
      .command('rollback')
      .description('put the set before the present one into force again')
      .option('--to <set>', 'another set, by the beginning of its id')
      .option('--reason <text>', 'why; kept with the activation')
      .option('--key <id=file...>', 'signing keys, where the deployment asks for them')
      .addOption(by())
      .addOption(format())
      .action(exits((flags: RollbackFlags) => withRules((live) => runRulesRollback(flags, live), flags.principal)));
  }

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
  addLiveRulesCommands(rules);

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
      .action(
        exits((flags: { profile: string; format: 'table' | 'json' }) =>
          withKafka((kafka) => run({ kafka, namespace, profile: flags.profile, format: flags.format, terminal })),
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

  program
    .command('replay')
    .description('events of the log once more through the engine, apart from everything live')
    .option('--from <time>', 'ISO 8601, append time; default everything that is kept')
    .option('--to <time>', 'ISO 8601, append time')
    .option('--org <id>', 'events of one organization; platform for events without one')
    .option('--trace <id>', 'a timeline of one trace, with the alerts that stand on its events')
    .option('--rule <id|title>', 'only results of that rule')
    .option('--rules <path...>', 'a draft in place of the rules that were in force')
    .option('--diff-live', 'compare final alerts with those on security.alerts; exit 1 when they differ')
    .option('--dry-run', 'only say what would be read')
    .addOption(new Option('--format <form>', 'how results are printed').choices(['table', 'ndjson']).default('table'))
    .addHelpText(
      'after',
      `
Nothing is written, nobody is told. Windows that were open at --from are read from their beginning. Exit code 1 only for
--diff-live with a difference: a final alert is missing or too many (EXACTNESS E2); ranges the services declared degraded
are left out and counted.

Examples
  ./tracehound replay --diff-live
  ./tracehound replay --from 2026-11-21T08:00:00Z --to 2026-11-21T09:00:00Z --format ndjson
  ./tracehound replay --rules my-draft --diff-live       what a draft would have changed
  ./tracehound replay --trace 4bf92f3577b34da6a3ce929d0e0e4736`,
    )
    .action(
      exits((flags: ReplayFlags) =>
        withLog((log) => runReplay(flags, { ...log, stdout: process.stdout, onProgress: drawnOn(process.stderr) })),
      ),
    );

  program
    .command('recover')
    .description('the recovery pass: alerts that are there because of events that came too late')
    .option('--from <time>', 'ISO 8601, append time of the late events; default all that are kept')
    .option('--to <time>', 'ISO 8601, append time')
    .option('--dry-run', 'only show what would be said')
    .addOption(format())
    .addHelpText(
      'after',
      `
Events later than the allowed lateness are in security.late and in no alert. This joins them with what came in time around them
and says what follows, flagged \`recovered\`, on security.alerts: new alerts, and others in place of live ones, which they supersede.
Run it as often as you like: nothing is said twice.

Examples
  ./tracehound recover --dry-run
  ./tracehound recover --from 2026-11-21T08:00:00Z --to 2026-11-21T12:00:00Z`,
    )
    .action(
      exits((flags: RecoverFlags) =>
        withLog((log) => runRecover(flags, { ...log, clusterId: process.env['TRACEHOUND_CLUSTER_ID'] ?? 'local' })),
      ),
    );

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

/** One line on a terminal; nothing in a pipe. */
function drawnOn(stream: NodeJS.WriteStream): (progress: ReplayProgress) => void {
  if (!stream.isTTY) return () => undefined;
  return ({ done, total }) => {
    stream.write(done < total ? `\r\u001b[K${counted(done, 'record')} of ${counted(total, 'record')}` : '\r\u001b[K');
  };
}

function positive(text: string, name: string, min = 1): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min)
    throw new UsageError(`${name} ${text}: write a whole number from ${min} on`);
  return value;
}
