import { type Command, InvalidArgumentError, Option } from 'commander';
import type { BacktestFlags } from './commands/backtest.ts';
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

/** The verbs that need no server. Each loads its code when it runs. */
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
    .addHelpText(
      'after',
      `
Results go to standard output, everything else to standard error. Exit code 0 whatever is found, 2 for rules or input
that cannot be used. Correlations are told when no event within --lateness can change them any more.

Examples
  ./tracehound detect --rules rules --events events.ndjson
  zcat logs.gz | ./tracehound detect --rules my-rules --logsource product=aws,service=cloudtrail --format table
  ./tracehound detect --rules ssh.yml --events auth.ndjson.zst --on-match every | jq .group
  ./tracehound detect --rules rules --profile default --events events.ndjson
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

function registerBacktest(program: Command, context: OfflineContext): void {
  program
    .command('backtest')
    .description('old and new rules over the same events: alerts gained, lost and changed')
    .requiredOption('--rules <path...>', 'the new rules')
    .option('--against <path...>', 'the old rules; without them everything is gained')
    .option('--events <file>', 'NDJSON, also .gz and .zst; - is standard input', '-')
    .option(...PIPELINE)
    .option('--from <time>', 'RFC 3339; alerts before it do not count')
    .option('--to <time>', 'RFC 3339; alerts from it on do not count')
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
Exit code 0 whatever differs, 2 for rules or input that cannot be used.

Example
  ./tracehound backtest --rules rules-new --against rules --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z --events jan.ndjson.gz`,
    )
    .action(async (flags: BacktestFlags) => {
      const { runBacktest } = await import('./commands/backtest.ts');
      process.exitCode = await runBacktest(flags, context.terminal);
    });
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

function wholeNumber(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError('a whole number is expected.');
  return Number(text);
}
