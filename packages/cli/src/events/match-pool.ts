import { Worker } from 'node:worker_threads';
import type { MatchedBlock } from './match-block.ts';
import type { MatchWorkerData } from './match-worker.ts';

/** Threads that match blocks; answers come in the order of the blocks. */
export type MatchPool = {
  /** The block is given away. Resolves when there is room for the next one. */
  add(bytes: Uint8Array): Promise<void>;
  /** Resolves when every answer has been told. @throws what a thread died of. */
  finish(): Promise<void>;
  close(): Promise<void>;
};

/** Blocks each thread may have waiting, the one at work included. */
const WAITING_MAX = 2;

/** @see MatchPool */
export function createMatchPool(
  jobs: number,
  data: MatchWorkerData,
  onBlock: (block: MatchedBlock) => void,
): MatchPool {
  const name = import.meta.url.endsWith('.ts') ? './match-worker.ts' : './match-worker.js';
  const workers = Array.from({ length: jobs }, () => new Worker(new URL(name, import.meta.url), { workerData: data }));
  const loads = workers.map(() => 0);
  const answers = new Map<number, MatchedBlock>();
  let added = 0;
  let told = 0;
  let failed: Error | undefined;
  let wake: () => void = () => {};

  for (const [index, worker] of workers.entries()) {
    worker.on('message', ({ number, block }: { number: number; block: MatchedBlock }) => {
      loads[index] = (loads[index] as number) - 1;
      answers.set(number, block);
      try {
        tell();
      } catch (error) {
        failed ??= error instanceof Error ? error : new Error(String(error));
      }
      wake();
    });
    worker.on('error', (error: unknown) => {
      failed ??= error instanceof Error ? error : new Error(String(error));
      wake();
    });
  }

  function tell(): void {
    for (let next = answers.get(told); next; next = answers.get(told)) {
      answers.delete(told);
      told++;
      onBlock(next);
    }
  }

  /** Waits for answers until `isDone`. */
  async function until(isDone: () => boolean): Promise<void> {
    while (failed === undefined && !isDone()) {
      await new Promise<void>((done) => {
        wake = done;
      });
    }
    if (failed !== undefined) throw failed;
  }

  return {
    add: async (bytes) => {
      // What one slow block holds back is bounded too.
      await until(() => added - told < jobs * WAITING_MAX);
      const least = loads.indexOf(Math.min(...loads));
      loads[least] = (loads[least] as number) + 1;
      const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
      (workers[least] as Worker).postMessage({ number: added++, bytes: own }, [own.buffer as ArrayBuffer]);
    },
    finish: () => until(() => told === added),
    close: async () => {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
