import { type Command, Option } from 'commander';
import type { WithLog } from '../deployment/servers.ts';
import { createReplayProgress } from '../render/replay-progress.ts';
import { stopHook } from '../replay/read-all.ts';
import { type RecoverFlags, runRecover } from './recover.ts';
import { type ReplayFlags, runReplay } from './replay.ts';
import type { Exits } from './rules-program.ts';

const format = (): Option =>
  new Option('--format <form>', 'how results are printed').choices(['table', 'json']).default('table');

/** `replay` and `recover`: verbs that read the log of a deployment once more. */
export function addLogCommands(
  program: Command,
  {
    exits,
    interrupted,
    withLog,
  }: {
    readonly exits: Exits;
    readonly interrupted: () => Promise<void>;
    readonly withLog: WithLog;
  },
): void {
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
    .option('--dry-run', 'only say what would be read, and how long that takes, by a sample of a second')
    .addOption(new Option('--format <form>', 'how results are printed').choices(['table', 'ndjson']).default('table'))
    .addHelpText(
      'after',
      `
Nothing is written, nobody is told. Windows that were open at --from are read from their beginning. Exit code 1 only for
--diff-live with a difference: a final alert is missing or too many (EXACTNESS E2); ranges the services declared degraded
are left out and counted. Interrupted, it tells what was decided until then and exits with 130.

Examples
  ./tracehound replay --dry-run                          records, bytes and time, at most
  ./tracehound replay --diff-live
  ./tracehound replay --from 2026-11-21T08:00:00Z --to 2026-11-21T09:00:00Z --format ndjson
  ./tracehound replay --rules my-draft --diff-live       what a draft would have changed
  ./tracehound replay --trace 4bf92f3577b34da6a3ce929d0e0e4736`,
    )
    .action(
      exits((flags: ReplayFlags) =>
        withLog((log) =>
          runReplay(flags, {
            ...log,
            stdout: process.stdout,
            progress: createReplayProgress(process.stderr),
            stopped: stopHook(interrupted()),
          }),
        ),
      ),
    );

  program
    .command('recover')
    .description('the recovery pass: alerts that are there because of events that came too late')
    .option('--from <time>', 'ISO 8601, append time of the late events; default all that are kept')
    .option('--to <time>', 'ISO 8601, append time')
    .option('--dry-run', 'only show what would be said')
    .option('--estimate', 'only say what it would read, and how long that takes, by a sample of a second')
    .addOption(format())
    .addHelpText(
      'after',
      `
Events later than the allowed lateness are in security.late and in no alert. This joins them with what came in time around them
and says what follows, flagged \`recovered\`, on security.alerts: new alerts, and others in place of live ones, which they supersede.
Run it as often as you like: nothing is said twice.

Examples
  ./tracehound recover --estimate
  ./tracehound recover --dry-run
  ./tracehound recover --from 2026-11-21T08:00:00Z --to 2026-11-21T12:00:00Z`,
    )
    .action(
      exits((flags: RecoverFlags) =>
        withLog((log) =>
          runRecover(flags, {
            ...log,
            clusterId: process.env['TRACEHOUND_CLUSTER_ID'] ?? 'local',
            progress: createReplayProgress(process.stderr),
            stopped: stopHook(interrupted()),
          }),
        ),
      ),
    );
}
