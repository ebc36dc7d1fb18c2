import { LINT_LEVELS, type LintLevel } from '@tracehound/lint';
import { type Command, Option } from 'commander';
import { expandOption, profileOption } from '../offline.ts';
import type { Terminal } from '../terminal.ts';
import { runRulesCoverage } from './rules-coverage.ts';
import { runRulesLint } from './rules-lint.ts';
import { runRulesList } from './rules-list.ts';
import { runRulesTest } from './rules-test.ts';

type Format = 'table' | 'ndjson' | 'json';
/** Runs a command; its number is the exit code. */
export type Exits = <A extends unknown[]>(run: (...args: A) => Promise<number>) => (...args: A) => Promise<void>;

const format = (): Option =>
  new Option('--format <form>', 'how results are printed').choices(['table', 'ndjson', 'json']).default('table');

/** `tracehound rules lint|test|list|coverage`: everything about rules that needs no server. */
export function addRulesCommands(rules: Command, { terminal, exits }: { terminal: Terminal; exits: Exits }): void {
  rules
    .command('lint')
    .description('what is wrong with rules, as file:line:column CODE message; exit 1 when something cannot work')
    .argument('<path...>', 'rule files, or folders of them')
    .addOption(new Option('--level <level>', 'the least level shown').choices([...LINT_LEVELS]).default('info'))
    .option('--strict', 'warnings fail too')
    .addOption(expandOption())
    .addOption(format())
    .addHelpText(
      'after',
      `
Examples
  ./tracehound rules lint rules                      every problem of the pack
  ./tracehound rules lint rules --level warning      without advice
  ./tracehound rules lint my.yml --format ndjson | jq .code
A comment '# lint: ignore CODE reason' above a line suppresses a problem there. Codes: docs/reference/lint.md`,
    )
    .action(
      exits((paths: string[], flags: { level: LintLevel; strict?: true; expand?: string[]; format: Format }) =>
        runRulesLint({ paths, ...flags, strict: flags.strict ?? false }, terminal),
      ),
    );

  rules
    .command('test')
    .description('run the *.test.yml beside rules; exit 1 when a test fails')
    .argument('<path...>', 'test files, or folders of rules and tests')
    .option('--junit <file>', 'write JUnit XML as well')
    .option('--rules <path...>', 'rules for tests that name none; default: those of the paths')
    .addOption(expandOption())
    .addOption(format())
    .addHelpText(
      'after',
      `
Examples
  ./tracehound rules test rules
  ./tracehound rules test rules --junit results.xml
  ./tracehound rules test rules/correlations/brute-force.test.yml --rules rules
  ./tracehound rules test my-rules --expand lists.yml    values of %placeholders%`,
    )
    .action(
      exits((paths: string[], flags: { junit?: string; rules?: string[]; expand?: string[]; format: Format }) =>
        runRulesTest({ paths, ...flags }, terminal),
      ),
    );

  rules
    .command('list')
    .description('each rule with the events it needs, their sources, and what stands on what')
    .argument('<path...>', 'rule files, or folders of them')
    .addOption(profileOption())
    .addOption(format())
    .addHelpText(
      'after',
      `
Examples
  ./tracehound rules list rules
  ./tracehound rules list rules --profile default
  ./tracehound rules list rules --format json | jq '.[] | {name, event_types, stands_on}'`,
    )
    .action(
      exits((paths: string[], flags: { profile?: string; format: Format }) =>
        runRulesList({ paths, ...flags }, terminal),
      ),
    );

  rules
    .command('coverage')
    .description('which ATT&CK techniques the rules name, as a heat map and a Navigator layer, and the gaps')
    .argument('<path...>', 'rule files, or folders of them')
    .option('--layer <file>', 'write an ATT&CK Navigator layer (4.5)')
    .addOption(format())
    .addHelpText(
      'after',
      `
Examples
  ./tracehound rules coverage rules
  ./tracehound rules coverage rules --layer layer.json   open it in ATT&CK Navigator`,
    )
    .action(
      exits((paths: string[], flags: { layer?: string; format: Format }) =>
        runRulesCoverage({ paths, ...flags }, terminal),
      ),
    );
}
