import { userInfo } from 'node:os';
import { type Command, Option } from 'commander';
import type { WithLog } from '../deployment/servers.ts';
import { LIMIT_NAMES } from '../deployment/state-limits.ts';
import type { Terminal } from '../terminal.ts';
import { runBreakerClear, runBreakerList } from './rules-breaker.ts';
import { type DraftFilterFlags, runRulesDraftFilter } from './rules-draft-filter.ts';
import { runRulesHealth } from './rules-health.ts';
import { runRulesKeygen } from './rules-keygen.ts';
import {
  type RulesLive,
  runRulesApply,
  runRulesApprove,
  runRulesDiff,
  runRulesRollback,
  runRulesStatus,
} from './rules-live.ts';
import type { Exits } from './rules-program.ts';

const format = (): Option =>
  new Option('--format <form>', 'how results are printed').choices(['table', 'json']).default('table');

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
  warmUp?: string;
  principal?: string;
  format: 'table' | 'json';
};

/** `rules apply|draft-filter|keygen|approve|diff|status|health|breaker|rollback`: what is in force on a deployment. */
export function addLiveRulesCommands(
  rules: Command,
  { terminal, exits, withLog }: { readonly terminal: Terminal; readonly exits: Exits; readonly withLog: WithLog },
): void {
  const withRules = (work: (live: RulesLive) => Promise<number>, principal?: string): Promise<number> =>
    withLog((log) =>
      work({ ...log, principal: principal ?? process.env['TRACEHOUND_PRINCIPAL'] ?? userInfo().username }),
    );
  const by = (): Option =>
    new Option('--principal <name>', 'who does it, kept with the activation; default TRACEHOUND_PRINCIPAL or the user');
  rules
    .command('apply')
    .description('put rules into force on a deployment, at one moment for all its parts; a bad set is refused')
    .argument('<path...>', 'rule files, and folders of them: the whole set')
    .option('--lateness <duration>', 'allowed lateness (X3), e.g. 2m; default: as before')
    .option('--limit <name=number...>', `state per partition: ${LIMIT_NAMES.join(', ')}; default: as before`)
    .option('--reason <text>', 'why; kept with the activation')
    .option('--key <id=file...>', 'signing keys, where the deployment asks for them')
    .option(
      '--warm-up <duration>',
      'run changed correlations on trial until their windows are full, then cut over; auto: as long as they need',
    )
    .option('--force <reason>', 'apply a set that matches too much of the newest events; the reason is kept')
    .addOption(by())
    .addOption(format())
    .addHelpText(
      'after',
      `
Windows of correlations whose logic did not change go on; changed ones begin empty, or full with --warm-up: the rules in
force stay until then, and what is applied meanwhile, rules rollback too, takes the place of the cut-over. The set before
comes back with rules rollback. Mirrored topics stay as they are unless TRACEHOUND_MIRRORED_SOURCES is set; set but empty,
they are taken out. A rule that would write more than one record for every two of the newest 20,000 events is refused.

Examples
  ./tracehound rules diff my-rules            what would change; exit 1 when something would
  ./tracehound rules apply my-rules
  ./tracehound rules apply my-rules --warm-up auto    what changed speaks when its windows are full
  TRACEHOUND_MIRRORED_SOURCES=eu.security.events ./tracehound rules apply my-rules   events of another deployment too
  ./tracehound rules status --history
  ./tracehound rules rollback`,
    )
    .action(
      exits((paths: string[], flags: ApplyFlags) =>
        withRules((live) => runRulesApply({ paths, ...flags }, live), flags.principal),
      ),
    );
  rules
    .command('draft-filter')
    .description('a filter that would have left out the events behind an alert, to look at and put beside the rules')
    .requiredOption('--alert <id>', 'an alert of a deployment; eight digits of its id are enough')
    .requiredOption('--owner <name>', 'who answers for the filter')
    .requiredOption('--reason <text>', 'why it is there')
    .requiredOption('--expires <day|instant>', 'until when, UTC: 2027-01-31, or 2027-01-31T18:00:00Z')
    .option(
      '--field <name|name=value>',
      'leave out by this field, repeatable; default: what all events of the evidence share',
      (text: string, before?: readonly string[]) => [...(before ?? []), text],
    )
    .option('--out <file>', 'where the filter goes; must not exist; default: standard output')
    .option('--preview', 'say whether the alert would still have been raised; exit 1 when it would')
    .addHelpText(
      'after',
      `
The filter names the organization of the alert and the detections its events met. By default it asks for every field of the
group that all events of the evidence share, then for actor, subject, address and service. It passes what rules apply asks.
Nothing is put into force; what it would have left out is said on standard error.

Examples
  ./tracehound rules draft-filter --alert 0f3a77c1 --owner ada --reason 'ticket 9' --expires 2027-01-31 --preview
  ./tracehound rules draft-filter --alert 0f3a77c1 --owner ada --reason 'ticket 9' --expires 2027-01-31 \\
      --field actor.id --field network.ip_hash=9f2c --out my-rules/ticket-9.yml
  ./tracehound rules apply my-rules --warm-up auto`,
    )
    .action(exits((flags: DraftFilterFlags) => withLog((log) => runRulesDraftFilter(flags, log))));
  rules
    .command('keygen')
    .description('a new signing key; prints the entry for TRACEHOUND_RULE_KEYS_FILE')
    .argument('<key-id>', 'name of the key, e.g. ada')
    .argument('<file>', 'where the private key goes; must not exist')
    .option('--role <role>', 'breaker: the key may trip rules that flood or are too slow, and do nothing else (ADR 17)')
    .addHelpText(
      'after',
      `
Without a role the key puts rules into force. A breaker key is for the correlators: their TRACEHOUND_CORRELATOR_BREAKER_KEY_FILE
is the private half. Put its entry into the keys file only when all parts are of a release that knows roles.

Examples
  ./tracehound rules keygen ada ada.pem
  ./tracehound rules keygen tripper tripper.pem --role breaker`,
    )
    .action((keyId: string, file: string, { role }: { role?: string }) => {
      process.exitCode = runRulesKeygen({ keyId, file, role }, terminal);
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
      exits((flags: { history?: true; format: 'table' | 'json' }) => withRules((live) => runRulesStatus(flags, live))),
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
  const breaker = rules
    .command('breaker')
    .description('rules that were tripped because they flooded with matches or took too much time');
  breaker
    .command('list')
    .description(
      'correlations that take no matches of an organization, detections not asked about its events, and until when',
    )
    .addOption(format())
    .action(exits((flags: { format: 'table' | 'json' }) => withRules((live) => runBreakerList(flags, live))));
  breaker
    .command('clear')
    .description('hear a rule again before its breaker runs out')
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
