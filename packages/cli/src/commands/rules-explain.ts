import { existsSync, readFileSync } from 'node:fs';
import { createCorrelationExplainer, createEventReader, createMatchStage, type ReadEvent } from '@tracehound/detect';
import { blockersOf, type DetectionRule, explainTest, formatProblem, type RuleSetCompiled } from '@tracehound/sigma';
import { openEvents } from '../events/event-input.ts';
import { createEventStream, readEvents } from '../events/event-stream.ts';
import { parseJsonLine } from '../events/json-line.ts';
import { loadRules } from '../events/load-rules.ts';
import { explanationText, groupText, type RuleExplanation } from '../render/explanation.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export type ExplainFlags = {
  /** A file with one event (or one per line), or the JSON itself. */
  readonly event?: string;
  /** A file of events: explains correlations. */
  readonly events?: string;
  /** Id, name or title of one rule. */
  readonly rule?: string;
  /** Files or names of shipped ones. */
  readonly pipeline?: readonly string[];
  readonly idField?: string;
  readonly timeField?: string;
  readonly groups: number;
  readonly expand?: readonly string[];
  readonly format: 'table' | 'ndjson' | 'json';
};

/**
 * `tracehound rules explain`: why detections match an event or do not; why correlations fire over a file of events or how
 * close they came. Exit code 0 whatever the answer, 2 for bad input.
 */
export async function runRulesExplain(
  paths: readonly string[],
  flags: ExplainFlags,
  terminal: Terminal,
): Promise<number> {
  if ((flags.event === undefined) === (flags.events === undefined)) {
    throw new UsageError('say --event FILE|JSON for detections, or --events FILE for correlations');
  }
  const { ruleSet, refused } = loadRules(paths, flags);
  for (const problem of refused) terminal.note(`refused ${formatProblem(problem)}`);
  const explanations =
    flags.event === undefined
      ? await explainCorrelations(ruleSet, { ...flags, events: flags.events ?? '-' }, terminal)
      : explainEvent(ruleSet, flags.event, flags, terminal);
  print(explanations, flags.format, terminal);
  return 0;
}

type Printable = { readonly data: unknown; text(colours: boolean): string };

function print(explanations: readonly Printable[], format: ExplainFlags['format'], terminal: Terminal): void {
  switch (format) {
    case 'table':
      terminal.out(explanations.map((one) => one.text(terminal.outColours)).join('\n\n'));
      return;
    case 'ndjson':
      for (const { data } of explanations) terminal.out(JSON.stringify(data));
      return;
    case 'json':
      terminal.out(JSON.stringify(explanations.map(({ data }) => data)));
  }
}

function readerOptions(flags: ExplainFlags): { idField?: string; timeField?: string } {
  return {
    ...(flags.idField === undefined ? {} : { idField: flags.idField }),
    ...(flags.timeField === undefined ? {} : { timeField: flags.timeField }),
  };
}

function explainEvent(
  ruleSet: RuleSetCompiled,
  event: string,
  flags: ExplainFlags,
  terminal: Terminal,
): readonly Printable[] {
  const rules = ruleSet.detections.filter((rule) => isWanted(flags.rule, rule.id, rule.name, rule.description.title));
  if (rules.length === 0) throw new UsageError(noRule(flags.rule, 'detection'));
  return readSingle(event, flags).flatMap((one) => {
    const matched = new Set(ruleSet.matchEvent(one.view, one.logSource));
    const all = rules.map((rule) => explained(rule, one, matched.has(rule.index)));
    // Without a rule named, what matches is the answer; when nothing does, what came closest is.
    const matching = all.filter(({ data }) => data.matched);
    if (flags.rule !== undefined || all.length === 1) return all;
    if (matching.length > 0) return matching;
    terminal.note(`none of ${rules.length} rules matches event ${one.id}; the closest:`);
    return all.sort((a, b) => a.data.missing.length - b.data.missing.length).slice(0, 3);
  });
}

function explained(rule: DetectionRule, event: ReadEvent, fits: boolean): Printable & { data: RuleExplanation } {
  const condition = explainTest(rule.test, event.view);
  const data: RuleExplanation = {
    rule_id: rule.description.rule_id,
    rule_title: rule.description.title,
    file: rule.path,
    line: rule.line,
    event_id: event.id,
    log_source_fits: fits || !condition.matched,
    matched: fits,
    // A test that holds is in the way when it stands under a `not`.
    missing: blockersOf(condition).map(({ test, matched }) => (matched ? `not (${test})` : test)),
    condition,
  };
  return { data, text: (colours) => explanationText(data, colours) };
}

function isWanted(wanted: string | undefined, ...names: readonly (string | null)[]): boolean {
  return wanted === undefined || names.includes(wanted);
}

function noRule(wanted: string | undefined, kind: string): string {
  return wanted === undefined ? `there is no ${kind} in these rules` : `no ${kind} has the id, name or title ${wanted}`;
}

/** The events of `--event`: JSON as given, or a file with one document or one per line. */
function readSingle(event: string, flags: ExplainFlags): readonly ReadEvent[] {
  const text = event.trimStart().startsWith('{') ? event : fileText(event);
  const read = createEventReader(readerOptions(flags));
  const whole = parseText(text);
  if (whole) return [read(whole, 1)];
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const parsed = parseText(line);
    if (!parsed) throw new UsageError(`--event: line ${index + 1} is not a JSON object`);
    return [read(parsed, index + 1)];
  });
}

function parseText(text: string): Readonly<Record<string, unknown>> | undefined {
  const parsed = parseJsonLine(text);
  return parsed.kind === 'event' ? parsed.event : undefined;
}

function fileText(path: string): string {
  if (!existsSync(path)) throw new UsageError(`--event ${path}: no such file, and not a JSON object`);
  return readFileSync(path, 'utf8');
}

async function explainCorrelations(
  ruleSet: RuleSetCompiled,
  flags: ExplainFlags & { readonly events: string },
  terminal: Terminal,
): Promise<readonly Printable[]> {
  const rules = ruleSet.correlations.filter((rule) =>
    isWanted(flags.rule, rule.uid, rule.name, rule.description.title),
  );
  if (rules.length === 0) throw new UsageError(noRule(flags.rule, 'correlation'));
  const explainer = createCorrelationExplainer(ruleSet);
  const match = createMatchStage(ruleSet);
  const stream = createEventStream({
    ...readerOptions(flags),
    onEvent: (event) => explainer.add(event, match(event)),
    onInvalid: (line, reason) => terminal.note(`line ${line}: ${reason}`),
  });
  await readEvents(await openEvents(flags.events), stream, {
    stopped: () => false,
    afterChunk: () => Promise.resolve(),
  });
  if (explainer.dropped > 0)
    terminal.note(`${explainer.dropped} matches were left out: groups are explained by their first events`);
  return rules.map((rule) => {
    const groups = explainer.closest(rule, flags.groups);
    const { rule_id, title } = rule.description;
    const head = `${title} (${rule.path}:${rule.line})`;
    return {
      data: { rule_id, rule_title: title, file: rule.path, line: rule.line, groups },
      text: (colours: boolean) =>
        groups.length === 0
          ? `${head}: no event matches any of its steps`
          : [head, ...groups.map((group) => groupText(group, colours))].join('\n'),
    };
  });
}
