import { type Command, Option } from 'commander';
import type { WithLog } from '../deployment/servers.ts';
import { createLine } from '../events/progress.ts';
import { stopHook } from '../replay/read-all.ts';
import {
  type DlqListFlags,
  type DlqRedriveFlags,
  type DlqShowFlags,
  runDlqList,
  runDlqRedrive,
  runDlqShow,
} from './dlq.ts';
import type { Exits } from './rules-program.ts';

const format = (): Option =>
  new Option('--format <form>', 'how results are printed').choices(['table', 'json']).default('table');

/** `dlq list`, `show` and `redrive`: what the services could not process, and how it goes back. */
export function addDlqCommands(
  program: Command,
  {
    exits,
    interrupted,
    withLog,
  }: { readonly exits: Exits; readonly interrupted: () => Promise<void>; readonly withLog: WithLog },
): void {
  const dlq = program.command('dlq').description('dead letters: what could not be processed, and sending it again');

  dlq
    .command('list')
    .description('letters per topic and reason')
    .addOption(format())
    .action(exits((flags: DlqListFlags) => withLog((log) => runDlqList(flags, log))));

  filtered(dlq.command('show').description('the letters of a topic, newest last'))
    .option('--limit <n>', 'letters at most', '50')
    .option('--values', 'with the original bytes, base64; they may hold personal data')
    .addOption(format())
    .action(exits((topic: string, flags: DlqShowFlags) => withLog((log) => runDlqShow(topic, flags, log))));

  filtered(dlq.command('redrive').description('send the records of open letters to the topic they came from'))
    .option('--limit <n>', 'records at most, e.g. 1 to try')
    .option('--yes', 'send; without it only what would be sent is said')
    .addOption(format())
    .addHelpText(
      'after',
      `
First mend what refused them. A record goes out with its original bytes, key and headers, and th_redriven_from; a receipt
beside its letter remembers it, so a second run sends nothing twice. Should a crash come in between, the copy has no effect:
readers drop it by its id. What fails again becomes a new letter. Events that are late by now go to security.late: run
\`tracehound recover\` after it.

Examples
  ./tracehound dlq list
  ./tracehound dlq redrive security.events --reason undecodable            only says what it would send
  ./tracehound dlq redrive security.events --at 3/1042 --yes
  ./tracehound dlq redrive security.events --from 2026-11-21T08:00:00Z --yes`,
    )
    .action(
      exits((topic: string, flags: DlqRedriveFlags) =>
        withLog((log) =>
          runDlqRedrive(topic, flags, {
            ...log,
            progress: createLine(process.stderr, ({ done, all }) => `${done} of ${all} records`),
            stopped: stopHook(interrupted()),
          }),
        ),
      ),
    );
}

function filtered(command: Command): Command {
  return command
    .argument('<topic>', 'e.g. security.events')
    .option('--reason <reason>', 'as `dlq list` shows it')
    .option('--service <name>', 'who refused them')
    .option('--from <time>', 'ISO 8601, when they were refused')
    .option('--to <time>', 'ISO 8601')
    .option('--at <partition/offset...>', 'records by their place in the topic');
}
