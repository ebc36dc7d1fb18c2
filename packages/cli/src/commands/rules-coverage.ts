import { writeFileSync } from 'node:fs';
import { type Coverage, coverageOf, navigatorLayer, readRules, type TacticCoverage } from '@tracehound/lint';
import { wrap } from '../render/wrap.ts';
import type { Terminal } from '../terminal.ts';
import { requireRuleFiles, shownPath } from './rule-files.ts';

export type RulesCoverageCommand = {
  readonly paths: readonly string[];
  readonly format: 'table' | 'ndjson' | 'json';
  /** Where the ATT&CK Navigator layer goes. */
  readonly layer?: string;
};

const BAR_CELLS = 24;
/** Shades of the 256-colour palette, from no coverage to all. */
const SHADES: readonly number[] = [238, 52, 94, 136, 106, 34];

/** Prints which ATT&CK techniques the rules name, tactic by tactic, and which they do not. */
export async function runRulesCoverage(command: RulesCoverageCommand, terminal: Terminal): Promise<number> {
  const coverage = coverageOf(readRules(requireRuleFiles(command.paths)));
  if (command.layer !== undefined) {
    const layer = navigatorLayer(coverage, `Tracehound: ${command.paths.map(shownPath).join(', ')}`);
    writeFileSync(command.layer, `${JSON.stringify(layer, null, 2)}\n`);
    terminal.note(
      `${command.layer}: layer 4.5 for ATT&CK ${coverage.attack_version}, ${layer.techniques.length} techniques`,
    );
  }
  switch (command.format) {
    case 'json':
      terminal.out(JSON.stringify({ ...coverage, techniques: Object.fromEntries(coverage.techniques) }, null, 2));
      break;
    case 'ndjson':
      for (const tactic of coverage.tactics) terminal.out(JSON.stringify(tactic));
      break;
    case 'table':
      for (const line of heatMap(coverage, terminal)) terminal.out(line);
  }
  return 0;
}

function heatMap(coverage: Coverage, terminal: Terminal): readonly string[] {
  const { tactics, outside, without_technique: without } = coverage;
  const later = outside.filter((one) => one.later);
  const wrong = outside.filter((one) => !one.later);
  return [
    `Enterprise ATT&CK ${coverage.attack_version}, ${coverage.rules} rules; techniques without sub-techniques`,
    '',
    ...tactics.map((tactic) => tacticLine(tactic, terminal.outColours)),
    '',
    'Covered (rules)',
    ...tactics.flatMap(({ name, by_technique: techniques }) =>
      indented(name, techniques.map(({ id, rules }) => `${id} (${rules})`).join(' '), terminal.width),
    ),
    '',
    'Gaps',
    ...tactics.flatMap(({ name, gaps }) => indented(name, gaps.map(({ id }) => id).join(' '), terminal.width)),
    ...(without.length === 0 ? [] : ['', `${without.length} rules name no technique`]),
    ...(later.length === 0 ? [] : ['', `Of version 19, not in the map: ${later.map(({ id }) => id).join(', ')}`]),
    ...(wrong.length === 0 ? [] : ['', `Unknown: ${wrong.map(({ id }) => id).join(', ')}`]),
  ];
}

function tacticLine(tactic: TacticCoverage, colours: boolean): string {
  const share = tactic.techniques === 0 ? 0 : tactic.covered / tactic.techniques;
  // One cell at least where there is anything, and never a full bar before all is covered.
  const cells = tactic.covered === 0 ? 0 : Math.max(1, Math.floor(share * BAR_CELLS));
  const bar = `${'█'.repeat(cells)}${'░'.repeat(BAR_CELLS - cells)}`;
  const shade = SHADES[Math.ceil(share * (SHADES.length - 1))] ?? 238;
  const painted = colours ? `\u001b[38;5;${shade}m${bar}\u001b[0m` : bar;
  const count = `${tactic.covered}/${tactic.techniques}`.padStart(7);
  const rules = `${tactic.rules} ${tactic.rules === 1 ? 'rule' : 'rules'}`;
  return `${tactic.name.padEnd(21)}${painted}${count}  ${`${Math.round(share * 100)} %`.padStart(5)}  ${rules}`;
}

function indented(title: string, text: string, width: number): readonly string[] {
  if (text === '') return [];
  return wrap(text, Math.max(width - 23, 20)).map((line, at) => `${(at === 0 ? `  ${title}` : '').padEnd(23)}${line}`);
}
