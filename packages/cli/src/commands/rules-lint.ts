import { TOPICS } from '@tracehound/event-model';
import { formatFinding, LINT_LEVELS, type LintFinding, type LintLevel, lintRules } from '@tracehound/lint';
import { readPlaceholderLists } from '../events/placeholder-lists.ts';
import { counted } from '../render/counted.ts';
import type { Terminal } from '../terminal.ts';
import { requireRuleFiles } from './rule-files.ts';

export type RulesLintCommand = {
  readonly paths: readonly string[];
  readonly format: 'table' | 'ndjson' | 'json';
  /** The least level that is shown. */
  readonly level: LintLevel;
  /** Warnings fail, too. */
  readonly strict: boolean;
  /** Values of `--expand`. */
  readonly expand?: readonly string[];
};

const COLOURS: Readonly<Record<LintLevel, number>> = { error: 31, warning: 33, info: 36 };

/** Prints what is wrong with the rules. Exit code 1 for errors, and with `strict` for warnings. */
export async function runRulesLint(command: RulesLintCommand, terminal: Terminal): Promise<number> {
  const files = requireRuleFiles(command.paths);
  const today = new Date().toISOString().slice(0, 10);
  const matchesRetentionMs = TOPICS['security.matches'].retentionMs;
  const { findings, rules } = lintRules(files, {
    matchesRetentionMs,
    today,
    expand: readPlaceholderLists(command.expand),
  });
  const shown = findings.filter(({ level }) => LINT_LEVELS.indexOf(level) <= LINT_LEVELS.indexOf(command.level));
  const counts = Object.fromEntries(
    LINT_LEVELS.map((level) => [level, findings.filter((finding) => finding.level === level).length]),
  ) as Record<LintLevel, number>;
  switch (command.format) {
    case 'json':
      terminal.out(JSON.stringify({ rules, files: files.length, counts, findings: shown }, null, 2));
      break;
    case 'ndjson':
      for (const finding of shown) terminal.out(JSON.stringify(finding));
      break;
    case 'table':
      for (const finding of shown) terminal.out(coloured(finding, terminal.outColours));
      terminal.note(
        `${counted(rules, 'rule')} in ${counted(files.length, 'file')}: ${counted(counts.error, 'error')}, ${counted(counts.warning, 'warning')}, ${counted(counts.info, 'remark')}`,
      );
  }
  return counts.error > 0 || (command.strict && counts.warning > 0) ? 1 : 0;
}

function coloured(finding: LintFinding, colours: boolean): string {
  const line = formatFinding(finding);
  if (!colours) return line;
  return line.replace(` ${finding.code} `, ` \u001b[${COLOURS[finding.level]}m${finding.code}\u001b[0m `);
}
