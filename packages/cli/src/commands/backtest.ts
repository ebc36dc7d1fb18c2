import { createDetector, type Detector, type DetectResult, parseEventTime } from '@tracehound/detect';
import { formatProblem } from '@tracehound/sigma';
import { type BacktestRow, compareResults } from '../events/compare-results.ts';
import { parseDuration } from '../events/duration.ts';
import { openEvents } from '../events/event-input.ts';
import { createEventStream, readEvents } from '../events/event-stream.ts';
import { loadRules, type RuleChoice } from '../events/load-rules.ts';
import { parseLogSource } from '../events/log-source.ts';
import { columns } from '../render/columns.ts';
import { counted } from '../render/counted.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export type BacktestFlags = {
  readonly rules: readonly string[];
  readonly against?: readonly string[];
  readonly events: string;
  /** Files or names of shipped ones; for both rule sets. */
  readonly pipeline?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly logsource?: string;
  /** For both sets. */
  readonly expand?: readonly string[];
  readonly profile?: string;
  readonly timeField?: string;
  readonly idField?: string;
  readonly lateness: string;
  readonly format: 'table' | 'ndjson' | 'json';
};

/**
 * `tracehound backtest`: both rule sets see every event of the file, so that windows are whole; what they say outside
 * [--from, --to) is not compared. Exit code 0 whatever differs.
 */
export async function runBacktest(flags: BacktestFlags, terminal: Terminal): Promise<number> {
  const fromMs = timeOf(flags.from, '--from') ?? Number.NEGATIVE_INFINITY;
  const toMs = timeOf(flags.to, '--to') ?? Number.POSITIVE_INFINITY;
  if (fromMs >= toMs) throw new UsageError('--from must be before --to');
  const options = { latenessMs: parseDuration(flags.lateness, '--lateness') };
  const fresh = collector(flags.rules, { flags, options, terminal });
  const old = flags.against === undefined ? null : collector(flags.against, { flags, options, terminal });
  const stream = createEventStream({
    ...(flags.timeField === undefined ? {} : { timeField: flags.timeField }),
    ...(flags.idField === undefined ? {} : { idField: flags.idField }),
    ...(flags.logsource === undefined ? {} : { logSource: parseLogSource(flags.logsource) }),
    onEvent: (event) => {
      fresh.add(fresh.detector.push(event));
      old?.add(old.detector.push(event));
    },
    onInvalid: () => {},
  });
  await readEvents(await openEvents(flags.events), stream, {
    stopped: () => false,
    afterChunk: () => Promise.resolve(),
  });
  fresh.add(fresh.detector.end());
  old?.add(old.detector.end());
  const inRange = ({ at }: DetectResult): boolean => {
    const atMs = Date.parse(at);
    return atMs >= fromMs && atMs < toMs;
  };
  const rows = compareResults((old?.results ?? []).filter(inRange), fresh.results.filter(inRange));
  if (stream.counters.invalid > 0) terminal.note(`${counted(stream.counters.invalid, 'line')} no events`);
  print(rows, flags.format, terminal);
  return 0;
}

function timeOf(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  const timeMs = parseEventTime(text);
  if (timeMs === undefined)
    throw new UsageError(`${option} ${text}: write an RFC 3339 time, e.g. 2026-01-31T00:00:00Z`);
  return timeMs;
}

type Collector = {
  readonly detector: Detector;
  readonly results: DetectResult[];
  add(results: readonly DetectResult[]): void;
};

function collector(
  paths: readonly string[],
  of: { readonly flags: RuleChoice; readonly options: { latenessMs: number }; readonly terminal: Terminal },
): Collector {
  const { flags, options, terminal } = of;
  const { ruleSet, refused } = loadRules(paths, flags);
  for (const problem of refused) terminal.note(`refused ${formatProblem(problem)}`);
  const results: DetectResult[] = [];
  return {
    detector: createDetector(ruleSet, options),
    results,
    add: (more) => {
      for (const result of more) results.push(result);
    },
  };
}

function print(rows: readonly BacktestRow[], format: BacktestFlags['format'], terminal: Terminal): void {
  const differing = rows.filter((row) => row.change !== 'same');
  const count = (change: BacktestRow['change']): number => rows.filter((row) => row.change === change).length;
  const [gained, lost, changed, same] = [count('gained'), count('lost'), count('changed'), count('same')];
  switch (format) {
    case 'ndjson':
      for (const row of differing) terminal.out(JSON.stringify(row));
      break;
    case 'json':
      terminal.out(JSON.stringify({ gained, lost, changed, same, rows: differing }));
      break;
    case 'table':
      if (differing.length > 0) terminal.out(tableOf(differing));
      break;
  }
  const before = rows.reduce((sum, row) => sum + row.old_alerts, 0);
  const after = rows.reduce((sum, row) => sum + row.new_alerts, 0);
  const text = `${counted(gained, 'group')} gained, ${lost} lost, ${changed} changed, ${same} the same; alerts ${before} before, ${after} after`;
  if (format === 'table') terminal.out(text);
  else terminal.note(text);
}

function tableOf(rows: readonly BacktestRow[]): string {
  return columns(
    ['CHANGE', 'RULE', 'GROUP', 'BEFORE', 'AFTER', 'FIRST BEFORE', 'FIRST AFTER'],
    rows.map((row) => [
      row.change,
      row.rule_title,
      groupText(row),
      String(row.old_alerts),
      String(row.new_alerts),
      row.old_first ?? '-',
      row.new_first ?? '-',
    ]),
  );
}

function groupText({ group, organization_id }: BacktestRow): string {
  const parts = Object.entries(group ?? {}).map(([field, value]) => `${field}=${value ?? 'null'}`);
  if (organization_id !== undefined) parts.unshift(organization_id);
  // Values come from events: what could steer a terminal is shown as a question mark.
  return parts.length === 0 ? '-' : parts.join(' ').replace(/\p{C}/gu, '?');
}
