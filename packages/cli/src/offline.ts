import { type Command, InvalidArgumentError, Option } from 'commander';
import type { BacktestFlags } from './commands/backtest.ts';
import type { BacktestTopicFlags } from './commands/backtest-topic.ts';
import type { DetectFlags } from './commands/detect.ts';
import type { ExplainAlertFlags } from './commands/explain-alert.ts';
import type { ExplainFlags } from './commands/rules-explain.ts';
import type { Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';

/** What the offline verbs need of the process. */
export type OfflineContext = {
  readonly terminal: Terminal;
  /** Resolves when the user wants an end; asked for once, by the verb that runs. */
  interrupted(): Promise<void>;
};

/** First words that `registerOffline` knows; nothing else has to be loaded for them. */
export const OFFLINE_VERBS: readonly string[] = ['detect', 'backtest'];

/** The verbs that need no server, but `backtest --topic`. Each loads its code when it runs. */
export function registerOffline(program: Command, context: OfflineContext): void {
  registerDetect(program, context);
  registerBacktest(program, context);
}

const PIPELINE = [
  '--pipeline <file|name...>',
  'field mapping of the rules: pySigma pipeline files, or names of shipped ones (docs/pipelines.md)',
] as const;

function registerDetect(program: Command, context: OfflineContext): void {
  program
    .command('detect')
    .description('run Sigma rules over a file of events, one JSON object per line; no server needed')
    .requiredOption('--rules <path...>', 'rule files, and folders of them')
    .option('--events <file>', 'NDJSON, also .gz and .zst; - is standard input', '-')
    .option(...PIPELINE)
    .addOption(expandOption())
    .addOption(profileOption())
    .option('--logsource <parts>', 'log source of every event: product=…,service=…,category=…')
    .option('--time-field <field>', 'field with the event time; default: the usual names')
    .option('--id-field <field>', 'field with the event id; default: the usual names, else the line number')
    .option('--lateness <duration>', 'how far behind the newest event an event may be', '5m')
    .addOption(
      new Option('--on-match <mode>', 'how often a correlation may fire in one burst').choices([
        'suppress',
        'reset',
        'every',
      ]),
    )
    .option('--jobs <n>', 'threads that parse and match; 0 for one per core', wholeNumber, 1)
    .addOption(
      new Option('--format <form>', 'how results are printed').choices(['ndjson', 'table', 'json']).default('ndjson'),
    )
    .option('--explain', 'adds why: the values that matched, the evidence')
    .option(
      '--enrich',
      "adds what the gateway would: days_idle, geo.speed_kmh, device_is_new, network_is_new, by the file's past",
    )
    .option('--geo-db <file...>', 'with --enrich: MaxMind DB files, for places and networks of addresses')
    .option('--enrich-states <n>', 'with --enrich: states held at once; default 1000000, about 300 MB', largeNumber)
    .addHelpText(
      'after',
      `
Results go to standard output, everything else to standard error. Exit code 0 whatever is found, 2 for rules or input
that cannot be used. Correlations are told when no event within --lateness can change them any more.

With --enrich the file is an account's whole past: facts about it begin with its first event there, and time is event time. Events
in our own form only; what they bring under these names is replaced. Sort the file by time, and leave --jobs at 1.

Examples
  ./tracehound detect --rules rules --events events.ndjson
  zcat logs.gz | ./tracehound detect --rules my-rules --logsource product=aws,service=cloudtrail --format table
  ./tracehound detect --rules ssh.yml --events auth.ndjson.zst --on-match every | jq .group
  ./tracehound detect --rules rules --profile default --events events.ndjson
  ./tracehound detect --rules rules --events events.ndjson --enrich --geo-db city.mmdb --geo-db asn.mmdb
  ./tracehound detect --rules rules --expand lists.yml --expand admins=root,admin --events events.ndjson
  ./tracehound detect --rules sigma/rules/cloud/aws --pipeline cloudtrail --events from-elastic.ndjson`,
    )
    .action(async (flags: DetectFlags) => {
      const { runDetect } = await import('./commands/detect.ts');
      const { terminal } = context;
      process.exitCode = await runDetect(flags, {
        terminal,
        stdout: process.stdout,
        stderr: process.stderr,
        interrupted: context.interrupted(),
      });
    });
}

/** Explains an alert of a deployment. */
export type LiveExplain = (flags: ExplainAlertFlags) => Promise<number>;

/** `rules explain`, beside the other verbs on rules. */
export function registerExplain(program: Command, terminal: Terminal, live: LiveExplain): void {
  const rules = program.commands.find((command) => command.name() === 'rules');
  rules
    ?.command('explain')
    .description('why rules match an event or do not; how close correlations came over a file of events')
    .argument('[path...]', 'rule files, and folders of them')
    .option('--alert <id>', 'an alert of a deployment, from its evidence; needs no rules')
    .option('--event <file|json>', 'one event: a file, or the JSON itself')
    .option('--events <file>', 'events, one JSON object per line: explains correlations')
    .option(...PIPELINE)
    .option('--rule <id>', 'only the rule with this id, name or title')
    .addOption(expandOption())
    .option('--groups <n>', 'groups shown per correlation', wholeNumber, 5)
    .option('--time-field <field>', 'field with the event time; default: the usual names')
    .option('--id-field <field>', 'field with the event id; default: the usual names, else the line number')
    .addOption(
      new Option('--format <form>', 'how results are printed').choices(['table', 'ndjson', 'json']).default('table'),
    )
    .addHelpText(
      'after',
      `
With --alert: the rule as it was in force, the events of the evidence with the tests they met, and whether the same alert comes
out of them; exit code 1 when it does not. Eight digits of the id are enough.

Examples
  ./tracehound rules explain --alert 0f3a77c1
  ./tracehound rules explain rules --event '{"event_type":"auth.login.failed"}'
  ./tracehound rules explain my.yml --event event.json --expand admins=root,admin
  ./tracehound rules explain rules --events events.ndjson --rule login_brute_force`,
    )
    .action(async (paths: readonly string[], flags: ExplainFlags & { readonly alert?: string }) => {
      if (flags.alert !== undefined) {
        process.exitCode = await live({ alert: flags.alert, format: flags.format });
        return;
      }
      if (paths.length === 0) throw new UsageError('name rule files, or an alert with --alert');
      const { runRulesExplain } = await import('./commands/rules-explain.ts');
      process.exitCode = await runRulesExplain(paths, flags, terminal);
    });
}

/** Options of `backtest` that say something of files, and those that say something of the log. */
const OF_FILES = ['events', 'logsource', 'timeField', 'idField', 'lateness'] as const;
const OF_TOPICS = ['organization', 'trace', 'dryRun', 'examples', 'pendingMax'] as const;

function registerBacktest(program: Command, context: OfflineContext): void {
  const backtest = program
    .command('backtest')
    .description('old and new rules over the same events: alerts gained, lost and changed')
    .requiredOption('--rules <path...>', 'the new rules')
    .option('--against <path...>', 'the old rules; without them everything is gained, with --topic: those in force')
    .addOption(new Option('--topic', 'the events of a deployment, from its topics').conflicts([...OF_FILES]))
    .option('--events <file>', 'NDJSON, also .gz and .zst; - is standard input', '-')
    .option(...PIPELINE)
    .option('--from <time>', 'RFC 3339; alerts before it do not count; with --topic append time')
    .option('--to <time>', 'RFC 3339; alerts from it on do not count; with --topic append time')
    .option('--org, --organization <id>', 'with --topic: events of one; platform for events without one')
    .option('--trace <id>', 'with --topic: only what stands on events of that trace')
    .option('--dry-run', 'with --topic: only say what would be read, and how long that takes, by a sample of a second')
    .option('--examples <n>', 'with --topic: alerts shown per rule and change; default 3', wholeNumber)
    .option(
      '--pending-max <n>',
      'with --topic: alerts that wait for the other side at once; default 100000, about 50 MB',
      largeNumber,
    )
    .addOption(expandOption())
    .addOption(profileOption())
    .option('--logsource <parts>', 'log source of every event: product=…,service=…,category=…')
    .option('--time-field <field>', 'field with the event time; default: the usual names')
    .option('--id-field <field>', 'field with the event id; default: the usual names, else the line number')
    .option('--lateness <duration>', 'how far behind the newest event an event may be', '5m')
    .addOption(
      new Option('--format <form>', 'how results are printed').choices(['table', 'ndjson', 'json']).default('table'),
    )
    .addHelpText(
      'after',
      `
Exit code 0 whatever differs, 2 for rules or input that cannot be used, 130 when interrupted.

With --topic the draft and the rules in force run over the topics in one reading, apart from everything live: nothing is written,
nobody is told. Per rule: alerts (of detections that speak for themselves: matches) before and after; the same rule, organization
and group at an overlapping time is changed, the rest is added or removed. Lateness is that of the deployment.

Examples
  ./tracehound backtest --rules rules-new --against rules --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z --events jan.ndjson.gz
  ./tracehound backtest --topic --rules my-draft --dry-run
  ./tracehound backtest --topic --rules my-draft --from 2026-11-20T00:00:00Z --to 2026-11-27T00:00:00Z
  ./tracehound backtest --topic --rules my-draft --organization acme --format ndjson | jq 'select(.added > 0)'`,
    )
    .action(async (flags: BacktestFlags & BacktestTopicFlags & { readonly topic?: true }) => {
      if (flags.topic) {
        process.exitCode = await backtestTopic(flags, context);
        return;
      }
      const meant = OF_TOPICS.find((name) => backtest.getOptionValueSource(name) !== undefined);
      if (meant !== undefined) throw new UsageError(`--${dashed(meant)} needs --topic: files are read as a whole`);
      const { runBacktest } = await import('./commands/backtest.ts');
      process.exitCode = await runBacktest(flags, context.terminal);
    });
}

/** The drivers of servers are loaded only for this. */
async function backtestTopic(flags: BacktestTopicFlags, { terminal, interrupted }: OfflineContext): Promise<number> {
  const { runBacktestTopic } = await import('./commands/backtest-topic.ts');
  const { openServers } = await import('./deployment/servers.ts');
  const { createReplayProgress } = await import('./render/replay-progress.ts');
  const { stopHook } = await import('./replay/read-all.ts');
  const stopped = stopHook(interrupted());
  const progress = createReplayProgress(process.stderr);
  return openServers(terminal).withLog((log) => runBacktestTopic(flags, { ...log, progress, stopped }));
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `--expand`, for every verb that loads rules. */
export function expandOption(): Option {
  return new Option(
    '--expand <file|name=a,b>',
    'values of %placeholders%: a YAML map of names to lists, or one list; may be given again',
  ).argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
}

/** `--profile`, for verbs that choose among rules. */
export function profileOption(): Option {
  return new Option(
    '--profile <name>',
    'only rules of this custom.profile, with what they stand on (pack: default, extended)',
  );
}

function largeNumber(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError('a whole number below ten million is expected.');
  return Number(text);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError('a whole number is expected.');
  return Number(text);
}
