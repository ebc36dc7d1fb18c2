import { parentPort, workerData } from 'node:worker_threads';
import { runSlice, shown } from './slice.ts';
import { fuzzTargets } from './targets.ts';

/** What the thread is started with: the page holds the input at work, its length first, for when it never ends. */
export type FuzzWorkerData = { readonly page: SharedArrayBuffer };
export type SliceOrder = { readonly name: string; readonly seed: number; readonly durationMs: number };

const { page } = workerData as FuzzWorkerData;
const length = new Int32Array(page, 0, 1);
const text = new Uint8Array(page, 4);
const encoder = new TextEncoder();
const targets = fuzzTargets();

parentPort?.on('message', ({ name, ...of }: SliceOrder) => {
  const found = targets.find((one) => one.name === name);
  if (!found) throw new Error(`no target ${name}`);
  const onInput = (input: unknown): void => {
    length[0] = encoder.encodeInto(shown(input), text).written;
  };
  parentPort?.postMessage(runSlice(found, { ...of, onInput }));
});
parentPort?.postMessage(targets.map(({ name }) => name));
