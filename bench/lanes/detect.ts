/**
 * Lane `detect`: what detection costs by the number of rules, one thread, no correlations. Each cell (rules, events, number)
 * runs in its own process, twice: `parsed`, the matcher on events just parsed, and `lines`, JSON text in. Before anything is
 * measured the matches of a sample are compared with each rule by itself: by hand-written conditions for the made-up rules, by
 * the reference matcher for public ones.
 *
 *   npm run bench -- detect [--json] [--runs 5] [--events 1000000] [--sizes 10,100,1000,3000]
 */
import { parseArgs } from 'node:util';
import { compileTest, createEventMatcher, createJsonFieldView, loadRuleSet, type MatcherRule } from '@tracehound/sigma';
import { cellOf, cpuMicros, peakRssMb, runCell } from '../measure/processes.ts';
import { assertSameCounts, inThousands, type Spread, spreadOf } from '../measure/statistics.ts';
import { workload } from '../workload/events.ts';
import { publicRules, recordedLines } from '../workload/recorded.ts';
import { detectionChecks, type WorkloadEvent, workloadRules } from '../workload/rules.ts';

/** `synthetic`: rules and events of the generator; `public`: SigmaHQ rules over recorded cloud and Windows events. */
type Kind = 'synthetic' | 'public';
type Cell = { readonly kind: Kind; readonly rules: number; readonly events: number; readonly runs: number };
type CellResult = Cell & {
  /** Matches of all events, the same in each run. */
  readonly matches: number;
  readonly checkedEvents: number;
  /** Events per CPU second, events just parsed. */
  readonly parsed: Spread;
  /** The same with JSON.parse. */
  readonly lines: Spread;
  /** Events per wall second of `lines`. */
  readonly linesWall: Spread;
  /** CPU seconds of one run of `lines`. */
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
};
type Step = {
  readonly kind: Kind;
  readonly from: number;
  readonly to: number;
  readonly parsed: number;
  readonly lines: number;
};

const BATCH = 1_000;
const CHECKED = 5_000;

function runDetectCell(cell: Cell): CellResult {
  const rules = rulesOf(cell);
  const lines = [...linesOf(cell.kind, cell.events)];
  const matcher = createEventMatcher(rules);
  const match = (event: object): readonly number[] => matcher.match(createJsonFieldView(event as never), null);
  const checkedEvents = check(cell, rules, lines, match);
  measure(lines.slice(0, 20_000), match);
  const runs = Array.from({ length: cell.runs }, () => measure(lines, match));
  return {
    ...cell,
    matches: runs[0]?.matches ?? 0,
    checkedEvents,
    parsed: spreadOf(runs.map((run) => run.parsed)),
    lines: spreadOf(runs.map((run) => run.lines)),
    linesWall: spreadOf(runs.map((run) => run.linesWall)),
    cpuSeconds: spreadOf(runs.map((run) => cell.events / run.lines)).median,
    peakRssMb: peakRssMb(),
  };
}

function rulesOf({ kind, rules }: Cell): readonly MatcherRule[] {
  if (kind === 'public') return publicRules(rules);
  return loadRuleSet([{ path: 'workload.yml', content: workloadRules(rules, false) }]).detections;
}

function linesOf(kind: Kind, events: number): Iterable<string> {
  return kind === 'public' ? recordedLines(events) : workload('real', events);
}

type Match = (event: object) => readonly number[];

function check(cell: Cell, rules: readonly MatcherRule[], lines: readonly string[], match: Match): number {
  const sample = lines.slice(0, CHECKED).map((line) => JSON.parse(line) as Record<string, unknown>);
  const alone =
    cell.kind === 'synthetic'
      ? detectionChecks(cell.rules).map((holds) => (event: object) => holds(event as WorkloadEvent))
      : rules
          .map(({ test }) => compileTest(test))
          .map((holds) => (event: object) => holds(createJsonFieldView(event as never)));
  for (const [index, event] of sample.entries()) {
    const wanted = alone.flatMap((holds, rule) => (holds(event) ? [[`rule ${rule}`, 1] as const] : []));
    const got = match(event).map((rule) => [`rule ${rule}`, 1] as const);
    assertSameCounts(`event ${index}`, Object.fromEntries(got), Object.fromEntries(wanted));
  }
  return sample.length;
}

type Run = { readonly matches: number; readonly parsed: number; readonly lines: number; readonly linesWall: number };

/** In batches, as a stream comes: parse, then match; the two are timed apart. */
function measure(lines: readonly string[], match: Match): Run {
  let matches = 0;
  let parseMicros = 0;
  let matchMicros = 0;
  const began = performance.now();
  for (let at = 0; at < lines.length; at += BATCH) {
    const start = cpuMicros();
    const events: object[] = [];
    for (let i = at; i < Math.min(at + BATCH, lines.length); i++) events.push(JSON.parse(lines[i] as string) as object);
    const parsed = cpuMicros();
    for (const event of events) matches += match(event).length;
    parseMicros += parsed - start;
    matchMicros += cpuMicros() - parsed;
  }
  const wall = (performance.now() - began) / 1_000;
  return {
    matches,
    parsed: (lines.length / matchMicros) * 1e6,
    lines: (lines.length / (parseMicros + matchMicros)) * 1e6,
    linesWall: lines.length / wall,
  };
}

export function runDetectLane(options: {
  readonly sizes: readonly number[];
  readonly events: number;
  readonly runs: number;
  readonly onLine: (line: string) => void;
}): { readonly cells: readonly CellResult[]; readonly steps: readonly Step[] } {
  const cells: CellResult[] = [];
  for (const kind of ['synthetic', 'public'] as const) {
    for (const rules of options.sizes) {
      const cell: Cell = { kind, rules, events: options.events, runs: options.runs };
      const result = runCell<Cell, CellResult>(import.meta.url, cell);
      cells.push(result);
      options.onLine(textOf(result));
    }
  }
  return { cells, steps: stepsOf(cells) };
}

/** What a step to more rules leaves of the speed. */
function stepsOf(cells: readonly CellResult[]): readonly Step[] {
  return cells.flatMap((cell, index) => {
    const before = cells[index - 1];
    if (before?.kind !== cell.kind) return [];
    const share = (of: 'parsed' | 'lines'): number => Number((cell[of].median / before[of].median).toFixed(3));
    return [{ kind: cell.kind, from: before.rules, to: cell.rules, parsed: share('parsed'), lines: share('lines') }];
  });
}

function textOf(cell: CellResult): string {
  const { kind, rules, matches, peakRssMb: rss } = cell;
  const rate = `events per CPU second: parsed ${inThousands(cell.parsed)}, lines ${inThousands(cell.lines)}`;
  return `${kind}, ${rules} rules: ${rate}; ${matches.toLocaleString('en-US')} matches, ${rss} MB`;
}

function main(): void {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      runs: { type: 'string', default: '5' },
      events: { type: 'string', default: '1000000' },
      sizes: { type: 'string', default: '10,100,1000,3000' },
    },
  });
  const result = runDetectLane({
    sizes: values.sizes.split(',').map(Number),
    events: Number(values.events),
    runs: Number(values.runs),
    onLine: (line) => process.stderr.write(`${line}\n`),
  });
  if (values.json) process.stdout.write(`${JSON.stringify({ lane: 'detect', ...result })}\n`);
  else
    for (const { kind, from, to, parsed, lines } of result.steps)
      process.stdout.write(`${kind}, ${from} to ${to} rules: parsed x ${parsed}, lines x ${lines}\n`);
}

const cell = cellOf<Cell>();
if (cell) process.stdout.write(JSON.stringify(runDetectCell(cell)));
else if (process.argv[1] === import.meta.filename) main();
