/**
 * Lane `correlate`: 100 detections and 10 correlations over a million events, one thread. Each run of each cell is a process of
 * its own, the presets by turns:
 *
 * - `parsed`: reader, matcher and windows on events just parsed;
 * - `whole`: `tracehound detect` on the NDJSON file, from start to exit, and with `--peer PATH` rsigma on the same file and
 *   rules right after it;
 * - `spray`, `chain`: one attacker's group in all events (`parsed` only); `groups`: a million live groups of one count.
 *
 * Results per correlation are compared before anything is reported: with SQL over all events at once for the made-up
 * workloads; the recorded one must give, pass by pass, what its first pass gives.
 *
 *   npm run bench -- correlate [--json] [--runs 3] [--events 1000000] [--groups 1000000] [--peer /path/to/rsigma]
 */
import { closeSync, createReadStream, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createOfflineEngine } from '@tracehound/correlation';
import { createDetector, createEventReader } from '@tracehound/detect';
import { loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import { type Counts, countLines, type ProcessRun, runPeer, Tally } from '../measure/peer.ts';
import { cellOf, cpuMicros, NODE_FLAGS, peakRssMb, runCell, timed } from '../measure/processes.ts';
import { assertSameCounts, inThousands, type Spread, spreadOf } from '../measure/statistics.ts';
import { type Preset, workload } from '../workload/events.ts';
import { expectedEpisodes } from '../workload/expected.ts';
import { PLACEHOLDERS, sshAndCloudLines, sshAndCloudPass, sshAndCloudRules } from '../workload/recorded.ts';
import { workloadRules } from '../workload/rules.ts';

type Load = Extract<Preset, 'real' | 'hot' | 'spray' | 'chain'> | 'recorded';
type Cell =
  | { readonly kind: 'parsed'; readonly load: Load; readonly file: string }
  | { readonly kind: 'groups'; readonly groups: number };

type ParsedRun = {
  readonly events: number;
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
  readonly liveGroupsMb: number;
  readonly detections: number;
  readonly correlations: Counts;
};
type GroupsRun = {
  readonly groups: number;
  readonly bytesPerGroup: number;
  readonly rssMb: number;
  readonly cpuSeconds: number;
};
export type LoadResult = {
  readonly load: Load;
  readonly events: number;
  readonly detections: number;
  readonly correlations: Counts;
  readonly checkedBy: 'sql' | 'passes';
  /** Events per CPU second. */
  readonly parsed: Spread;
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
  /** Events per CPU second of `tracehound detect`, and per wall second. */
  readonly whole?: Spread;
  readonly wholeWall?: Spread;
  readonly peer?: {
    readonly perCpuSecond: Spread;
    readonly ratio: Spread;
    readonly detections: number;
    readonly correlations: Counts;
  };
};

export type CorrelateResult = { readonly loads: readonly LoadResult[]; readonly groups: GroupsRun };

export type CorrelateOptions = {
  readonly events: number;
  readonly runs: number;
  readonly groups: number;
  readonly loads: readonly Load[];
  readonly peer?: string;
  readonly onLine: (line: string) => void;
};

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const DETECTIONS = 100;
const LATENESS_MS = 120_000;
const BATCH = 1_000;
/** Events of the attacks, of which the whole stream is one group. */
const ATTACK_EVENTS = 100_000;

export async function runCorrelateLane(options: CorrelateOptions): Promise<CorrelateResult> {
  const folder = mkdtempSync(join(tmpdir(), 'tracehound-bench-'));
  try {
    const loads: LoadResult[] = [];
    for (const load of options.loads) {
      const result = await runLoad(load, folder, options);
      options.onLine(textOf(result));
      loads.push(result);
    }
    const groups = runCell<Cell, GroupsRun>(import.meta.url, { kind: 'groups', groups: options.groups });
    options.onLine(`${groups.groups} live groups: ${groups.bytesPerGroup} bytes each, ${groups.rssMb} MB`);
    return { loads, groups };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runLoad(load: Load, folder: string, options: CorrelateOptions): Promise<LoadResult> {
  const events = eventsOf(load, options.events);
  const file = join(folder, `${load}.ndjson`);
  writeLines(file, linesOf(load, events));
  const wanted = await expectedOf(load, events, folder);
  const parsed: ParsedRun[] = [];
  const whole: ProcessRun[] = [];
  const peer: ProcessRun[] = [];
  const isWhole = load === 'real' || load === 'hot';
  if (isWhole) {
    writeFileSync(join(folder, 'rules.yml'), workloadRules(DETECTIONS, true));
    writeFileSync(join(folder, 'peer.yml'), workloadRules(DETECTIONS, true, { explicit: true }));
  }
  for (let run = 0; run < options.runs; run++) {
    parsed.push(runCell<Cell, ParsedRun>(import.meta.url, { kind: 'parsed', load, file }));
    assertSameCounts(load, parsed[run]?.correlations ?? {}, wanted);
    if (!isWhole) continue;
    whole.push(await runOurs(file, folder));
    assertSameCounts(`tracehound detect, ${load}`, whole[run]?.correlations ?? {}, wanted);
    if (options.peer !== undefined) peer.push(await runPeer(options.peer, file, folder));
  }
  const rate = ({ cpuSeconds }: { readonly cpuSeconds: number }): number => events / cpuSeconds;
  const peerRates = peer.map(rate);
  return {
    load,
    events,
    detections: parsed[0]?.detections ?? 0,
    correlations: wanted,
    checkedBy: load === 'recorded' ? 'passes' : 'sql',
    parsed: spreadOf(parsed.map(rate)),
    cpuSeconds: spreadOf(parsed.map((run) => run.cpuSeconds)).median,
    peakRssMb: Math.max(...parsed.map((run) => run.peakRssMb)),
    ...(isWhole
      ? {
          whole: spreadOf(whole.map(rate)),
          wholeWall: spreadOf(whole.map(({ wallSeconds }) => events / wallSeconds)),
        }
      : {}),
    ...(peer.length > 0
      ? {
          peer: {
            perCpuSecond: spreadOf(peerRates),
            ratio: spreadOf(whole.map((run, index) => rate(run) / (peerRates[index] ?? Number.NaN))),
            detections: peer[0]?.detections ?? 0,
            correlations: peer[0]?.correlations ?? {},
          },
        }
      : {}),
  };
}

function eventsOf(load: Load, wanted: number): number {
  if (load === 'spray' || load === 'chain') return Math.min(wanted, ATTACK_EVENTS);
  if (load !== 'recorded') return wanted;
  const pass = sshAndCloudPass();
  return Math.max(1, Math.round(wanted / pass)) * pass;
}

function linesOf(load: Load, events: number): Iterable<string> {
  return load === 'recorded' ? sshAndCloudLines(events) : workload(load, events);
}

function writeLines(file: string, lines: Iterable<string>): void {
  const target = openSync(file, 'w');
  let page: string[] = [];
  const write = (): void => {
    if (page.length > 0) writeSync(target, `${page.join('\n')}\n`);
    page = [];
  };
  for (const line of lines) if (page.push(line) === 4_096) write();
  write();
  closeSync(target);
}

async function expectedOf(load: Load, events: number, folder: string): Promise<Counts> {
  if (load !== 'recorded') return expectedEpisodes(linesOf(load, events));
  const pass = sshAndCloudPass();
  const passes = events / pass;
  const file = join(folder, 'pass.ndjson');
  writeLines(file, sshAndCloudLines(pass));
  const { correlations } = runCell<Cell, ParsedRun>(import.meta.url, { kind: 'parsed', load, file });
  return Object.fromEntries(Object.entries(correlations).map(([name, count]) => [name, count * passes]));
}

function ruleSetOf(load: Load): RuleSetCompiled {
  if (load === 'recorded') return loadRuleSet(sshAndCloudRules(), { expand: PLACEHOLDERS });
  return loadRuleSet([{ path: 'workload.yml', content: workloadRules(DETECTIONS, true) }]);
}

/** Batch by batch: lines are parsed, then the clock of the CPU runs while they are matched and correlated. */
async function runParsed(load: Load, file: string): Promise<ParsedRun> {
  const ruleSet = ruleSetOf(load);
  const read = createEventReader({});
  const detector = createDetector(ruleSet, { latenessMs: LATENESS_MS });
  const tally = new Tally();
  let micros = 0;
  let line = 0;
  const feed = (events: readonly Record<string, unknown>[]): void => {
    const before = cpuMicros();
    for (const event of events) tally.add(detector.push(read(event, ++line)));
    micros += cpuMicros() - before;
  };
  let batch: Record<string, unknown>[] = [];
  for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (batch.push(JSON.parse(text) as Record<string, unknown>) < BATCH) continue;
    feed(batch);
    batch = [];
  }
  feed(batch);
  const liveGroupsMb = Math.round(process.memoryUsage().heapUsed / 2 ** 20);
  const before = cpuMicros();
  tally.add(detector.end());
  micros += cpuMicros() - before;
  const { detections, correlations } = tally;
  return { events: line, cpuSeconds: micros / 1e6, peakRssMb: peakRssMb(), liveGroupsMb, detections, correlations };
}

async function runOurs(file: string, folder: string): Promise<ProcessRun> {
  const out = join(folder, 'ours.ndjson');
  const rules = join(folder, 'rules.yml');
  const args = ['detect', '--rules', rules, '--events', file, '--format', 'ndjson'];
  const { cpu, wall } = timed(process.execPath, [...NODE_FLAGS, ...process.execArgv, MAIN, ...args], out);
  return { cpuSeconds: cpu, wallSeconds: wall, ...(await countLines(out)) };
}

const COUNT_RULES = `title: a
name: a
logsource: { product: bench }
detection: { s: { type: a }, condition: s }
---
title: five of one address
name: c
correlation: { type: event_count, rules: [a], group-by: [ip], timespan: 1h, condition: { gte: 5 } }
`;

/** A text in one piece, as a reader of events gives it: a sum of pieces would take more than twice the memory. */
function flat(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

/**
 * Four hits each of so many groups of a count of five, the watermark a second behind; bytes of heap and buffers, after a full
 * collection.
 */
function runGroups(groups: number): GroupsRun {
  const engine = createOfflineEngine(loadRuleSet([{ path: 'count.yml', content: COUNT_RULES }]));
  const collect = globalThis.gc ?? ((): void => {});
  const used = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  collect();
  const [bytesBefore, cpuBefore] = [used(), cpuMicros()];
  let serial = 0;
  for (let hit = 0; hit < 4; hit++) {
    for (let group = 0; group < groups; group++) {
      const timeMs = Date.UTC(2026, 0, 1) + hit * 1_000 + Math.floor((group * 1_000) / groups);
      const id = flat(`018f0000-0000-7000-8000-${(serial++).toString(16).padStart(12, '0')}`);
      const group_key = flat(`["s:10.${group >> 16}.${(group >> 8) & 255}.${group & 255}"]`);
      engine.advance(timeMs - 1_000);
      engine.add({ rule: 0, step: 0, group_key, value: null, number: null }, { id, timeMs, organization: 'acme' });
    }
  }
  const cpuSeconds = (cpuMicros() - cpuBefore) / 1e6;
  collect();
  const bytesPerGroup = Math.round((used() - bytesBefore) / engine.liveGroups);
  return {
    groups: engine.liveGroups,
    bytesPerGroup,
    rssMb: Math.round(process.memoryUsage().rss / 2 ** 20),
    cpuSeconds,
  };
}

function textOf({ load, events, parsed, whole, peer, peakRssMb: rss, correlations }: LoadResult): string {
  const found = Object.values(correlations).reduce((sum, count) => sum + count, 0);
  const parts = [`${load}, ${events} events: parsed ${inThousands(parsed)} events per CPU second, ${rss} MB`];
  if (whole) parts.push(`tracehound detect ${inThousands(whole)}`);
  if (peer) {
    const { median, least, most } = peer.ratio;
    parts.push(
      `rsigma ${inThousands(peer.perCpuSecond)}, ratio ${median.toFixed(2)} (${least.toFixed(2)}-${most.toFixed(2)})`,
    );
  }
  return [...parts, `${found} correlations, as expected`].join('; ');
}

const LOADS: readonly Load[] = ['real', 'hot', 'recorded', 'spray', 'chain'];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      runs: { type: 'string', default: '3' },
      events: { type: 'string', default: '1000000' },
      groups: { type: 'string', default: '1000000' },
      loads: { type: 'string', default: LOADS.join() },
      peer: { type: 'string' },
    },
  });
  const result = await runCorrelateLane({
    events: Number(values.events),
    runs: Number(values.runs),
    groups: Number(values.groups),
    loads: LOADS.filter((load) => values.loads.split(',').includes(load)),
    ...(values.peer === undefined ? {} : { peer: values.peer }),
    onLine: (line) => process.stderr.write(`${line}\n`),
  });
  if (values.json) process.stdout.write(`${JSON.stringify({ lane: 'correlate', ...result })}\n`);
}

const cell = cellOf<Cell>();
if (cell?.kind === 'parsed') process.stdout.write(JSON.stringify(await runParsed(cell.load, cell.file)));
else if (cell?.kind === 'groups') process.stdout.write(JSON.stringify(runGroups(cell.groups)));
else if (process.argv[1] === import.meta.filename) await main();
