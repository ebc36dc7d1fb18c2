/**
 * Lane `workers`: what a second worker adds. Each worker is a process that takes its own events from memory through both stages into
 * one Redis, as the lane `correlator` does in `memory`; all are ready before any begins, and begin together. One against several, by
 * turns; the same events in every worker, so that final alerts must equal SQL's in each. Scaling is linear where N workers take N
 * times the events in the time of one. The generator takes no part: events are encoded before.
 *
 *   npm run bench -- workers [--json] [--workers 2] [--runs 3] [--events 200000] [--presets real,hot]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connectRedis } from '@tracehound/redis';
import { loadRuleSet } from '@tracehound/sigma';
import { openStack, repositoryRoot } from '@tracehound/stack';
import type { WorkloadLine } from '../measure/avro-workload.ts';
import { finalsOf } from '../measure/correlations.ts';
import { openPartitions, ruleFiles, TARGETS } from '../measure/correlator-partitions.ts';
import { feedService } from '../measure/feeds.ts';
import type { Counts } from '../measure/peer.ts';
import { cellOf, cpuMicros, NODE_FLAGS } from '../measure/processes.ts';
import { assertSameCounts, inThousands, type Spread, spreadOf } from '../measure/statistics.ts';
import { workload } from '../workload/events.ts';
import { expectedEpisodes } from '../workload/expected.ts';

type Load = 'real' | 'hot';
type Cell = { readonly load: Load; readonly events: number; readonly redisUrl: string; readonly namespace: string };
type Run = { readonly wallSeconds: number; readonly cpuSeconds: number; readonly correlations: Counts };

const BATCH = 1_000;

/** One worker: prepares, says so, waits for the word, and measures. */
async function work({ load, events, redisUrl, namespace }: Cell): Promise<void> {
  const rules = loadRuleSet(ruleFiles());
  const redis = await connectRedis(redisUrl, { role: 'state' });
  const opened = await openPartitions({ rules, redis, namespace, count: TARGETS });
  for (const { owner } of opened.partitions) await owner.acquire();
  const feed = feedService(rules, opened);
  const lines = [...workload(load, events)];
  const pushes: (() => Promise<number>)[] = [];
  for (let at = 0; at < lines.length; at += BATCH) {
    const page = lines.slice(at, at + BATCH).map((line) => JSON.parse(line) as WorkloadLine);
    pushes.push(feed.prepare(page, at));
  }
  process.send?.('ready');
  await once(process, 'message');
  const [cpu, wall] = [cpuMicros(), performance.now()];
  for (const push of pushes) await push();
  await feed.end();
  const cpuSeconds = (cpuMicros() - cpu) / 1e6;
  const wallSeconds = (performance.now() - wall) / 1_000;
  const correlations = finalsOf(opened.alerts, opened.codec);
  redis.disconnect();
  process.send?.({ cpuSeconds, wallSeconds, correlations } satisfies Run, () => process.disconnect());
}

/** So many workers at once. */
async function together(cells: readonly Cell[]): Promise<readonly Run[]> {
  const children = cells.map((cell): ChildProcess => {
    const execArgv = [...NODE_FLAGS, ...process.execArgv];
    return fork(import.meta.filename, ['--cell', JSON.stringify(cell)], { execArgv });
  });
  try {
    await Promise.all(children.map(answerOf));
    const runs = children.map(answerOf);
    for (const child of children) child.send('begin');
    return (await Promise.all(runs)) as readonly Run[];
  } finally {
    for (const child of children) child.kill();
  }
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const ended = new AbortController();
  const { signal } = ended;
  try {
    const [answer] = await Promise.race([
      once(child, 'message', { signal }),
      once(child, 'exit', { signal }).then(([code]) => {
        throw new Error(`a worker ended with ${code}; nothing was measured`);
      }),
    ]);
    return answer;
  } finally {
    ended.abort();
  }
}

export type WorkersResult = {
  readonly load: Load;
  readonly events: number;
  readonly workers: number;
  readonly cores: number;
  /** All workers together, by the one that ends last. */
  readonly perSecond: { readonly one: Spread; readonly several: Spread };
  readonly perCpuSecond: { readonly one: Spread; readonly several: Spread };
  /** 1: linear. */
  readonly scaling: Spread;
};

type LaneOptions = {
  readonly presets: readonly Load[];
  readonly workers: number;
  readonly runs: number;
  readonly events: number;
  readonly onLine: (line: string) => void;
};

export async function runWorkersLane(options: LaneOptions): Promise<readonly WorkersResult[]> {
  const directory = join(repositoryRoot(), '.tracehound', `test-${process.pid}-bench`);
  const stack = await openStack({ directory, mode: 'native', kinds: ['redis-state'] });
  try {
    const results: WorkersResult[] = [];
    for (const load of options.presets) {
      const result = await runLoad(load, stack.addresses.redisStateUrl, options);
      options.onLine(textOf(result));
      results.push(result);
    }
    return results;
  } finally {
    await stack.stop({ wipe: true });
  }
}

async function runLoad(load: Load, redisUrl: string, options: LaneOptions): Promise<WorkersResult> {
  const { events, workers, runs } = options;
  const wanted = expectedEpisodes(workload(load, events));
  const rates = { one: [] as number[], several: [] as number[] };
  const cpuRates = { one: [] as number[], several: [] as number[] };
  for (let run = 0; run < runs; run++) {
    for (const [kind, count] of [['one', 1] as const, ['several', workers] as const]) {
      const cells = Array.from({ length: count }, (_, worker): Cell => {
        return { load, events, redisUrl, namespace: `w${load}${kind}${run}x${worker}` };
      });
      const found = await together(cells);
      for (const { correlations } of found) assertSameCounts(`${count} workers, ${load}`, correlations, wanted);
      rates[kind].push((count * events) / Math.max(...found.map(({ wallSeconds }) => wallSeconds)));
      cpuRates[kind].push((count * events) / found.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0));
    }
  }
  return {
    load,
    events,
    workers,
    cores: availableParallelism(),
    perSecond: { one: spreadOf(rates.one), several: spreadOf(rates.several) },
    perCpuSecond: { one: spreadOf(cpuRates.one), several: spreadOf(cpuRates.several) },
    scaling: spreadOf(rates.several.map((rate, run) => rate / (workers * (rates.one[run] ?? Number.NaN)))),
  };
}

function textOf({ load, events, workers, cores, perSecond, perCpuSecond, scaling }: WorkersResult): string {
  const { median, least, most } = scaling;
  return (
    `${load}, ${events} events for each worker, ${cores} cores, final alerts as SQL says:\n` +
    `  1 worker  ${inThousands(perSecond.one)} events a second, ${inThousands(perCpuSecond.one)} per CPU second\n` +
    `  ${workers} workers ${inThousands(perSecond.several)} events a second, ${inThousands(perCpuSecond.several)} per CPU second\n` +
    `  ${median.toFixed(2)} (${least.toFixed(2)}-${most.toFixed(2)}) of linear`
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      workers: { type: 'string', default: '2' },
      runs: { type: 'string', default: '3' },
      events: { type: 'string', default: '200000' },
      presets: { type: 'string', default: 'real,hot' },
    },
  });
  const results = await runWorkersLane({
    presets: (['real', 'hot'] as const).filter((preset) => values.presets.split(',').includes(preset)),
    workers: Number(values.workers),
    runs: Number(values.runs),
    events: Number(values.events),
    onLine: (line) => process.stderr.write(`${line}\n`),
  });
  if (values.json) process.stdout.write(`${JSON.stringify({ lane: 'workers', results })}\n`);
}

const cell = cellOf<Cell>();
if (cell !== undefined) await work(cell);
else if (process.argv[1] === import.meta.filename) await main();
