/**
 * `npm run fuzz -- [--minutes 10] [--only TEXT] [--seed N]`: feeds the readers of what strangers write with broken
 * input, in turns, in a thread of their own, so that one that hangs is ended and named. Exit 1 when one crashes, hangs
 * or disagrees with itself; the seed and the input are printed.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { SliceResult } from './slice.ts';
import type { FuzzWorkerData, SliceOrder } from './worker.ts';

const HELP = `npm run fuzz -- [--minutes 10] [--only TEXT] [--seed N]

  --minutes N   how long, all targets together (10)
  --only TEXT   targets whose name holds the text
  --seed N      repeats a run: the first turn of each target has this seed

Examples
  npm run fuzz -- --minutes 0.5
  npm run fuzz -- --only regex --seed 12345`;
/** A turn; short, so that every target is reached early. */
const SLICE_MS = 5_000;
/** Inputs cost milliseconds and finding the smallest failing one some seconds: what takes this long hangs. */
const HANG_MS = 60_000;
const PAGE_BYTES = 1_048_576;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
    seed: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const minutes = Number(values.minutes);
const firstSeed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
if (values.help || !(minutes > 0) || !Number.isSafeInteger(firstSeed)) {
  say(HELP);
  process.exit(values.help ? 0 : 2);
}

type Thread = { readonly worker: Worker; readonly page: SharedArrayBuffer; readonly names: readonly string[] };

async function startThread(): Promise<Thread> {
  const page = new SharedArrayBuffer(PAGE_BYTES);
  const data: FuzzWorkerData = { page };
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: data });
  const [names] = (await once(worker, 'message')) as [readonly string[]];
  return { worker, page, names };
}

/** The result of a slice; undefined when it does not come. A thread that dies (out of memory) rejects. */
async function slice({ worker }: Thread, order: SliceOrder): Promise<SliceResult | undefined> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), order.durationMs + HANG_MS);
  try {
    const answer = once(worker, 'message', { signal: late.signal }) as Promise<[SliceResult]>;
    worker.postMessage(order);
    return (await answer)[0];
  } catch (error) {
    if (late.signal.aborted) return undefined;
    return { runs: 0, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** The input the thread has not come back from. */
function atWork(page: SharedArrayBuffer): string {
  const [written = 0] = new Int32Array(page, 0, 1);
  return Buffer.from(new Uint8Array(page, 4, written)).toString();
}

let thread = await startThread();
const names = thread.names.filter((name) => name.includes(values.only));
if (names.length === 0) {
  say(`no target holds '${values.only}': ${thread.names.join(', ')}`);
  process.exit(2);
}
const totals = new Map(names.map((name) => [name, { runs: 0, failures: 0 }]));
const endMs = performance.now() + minutes * 60_000;
say(`fuzz: ${names.join(', ')}; ${minutes} minutes; --seed ${firstSeed}`);
for (let turn = 0; performance.now() < endMs; turn++) {
  for (const name of names) {
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) break;
    const seed = (firstSeed + turn) % 2 ** 31;
    const fair = (minutes * 60_000) / names.length;
    const result = await slice(thread, { name, seed, durationMs: Math.min(SLICE_MS, leftMs, fair) });
    const total = totals.get(name) ?? { runs: 0, failures: 0 };
    const { runs = 0, failure = `hangs on ${atWork(thread.page)}` } = result ?? {};
    totals.set(name, { runs: total.runs + runs, failures: total.failures + (failure === null ? 0 : 1) });
    if (failure !== null) say(`\n✗ ${name}: npm run fuzz -- --only '${name}' --seed ${seed}\n  ${failure}\n`);
    if (result === undefined || (runs === 0 && failure !== null)) {
      await thread.worker.terminate();
      thread = await startThread();
    }
  }
}
await thread.worker.terminate();
for (const [name, { runs, failures }] of totals) {
  say(`${failures === 0 ? '✓' : '✗'} ${name}: ${runs.toLocaleString('en-US')} inputs, ${failures} failures`);
}
process.exitCode = [...totals.values()].some(({ failures }) => failures > 0) ? 1 : 0;
