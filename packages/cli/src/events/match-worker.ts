import { parentPort, workerData } from 'node:worker_threads';
import type { EventReaderOptions } from '@tracehound/detect';
import { loadRuleSet, type PlaceholderLists, type RuleFile, readPipeline } from '@tracehound/sigma';
import { createBlockMatcher } from './match-block.ts';

/** What a worker is started with. The same files, pipelines and lists give the same rule set, indices included. */
export type MatchWorkerData = {
  readonly files: readonly RuleFile[];
  readonly pipelines: readonly RuleFile[];
  readonly expand: PlaceholderLists;
  readonly options: EventReaderOptions & { readonly lineBytesMax?: number };
};

const { files, pipelines, expand, options } = workerData as MatchWorkerData;
const ruleSet = loadRuleSet(files, {
  onProblem: 'refuse-rule',
  expand,
  pipelines: pipelines.map((file) => readPipeline(file)),
});
const match = createBlockMatcher(ruleSet, options);

parentPort?.on('message', ({ number, bytes }: { number: number; bytes: Uint8Array }) => {
  const block = match(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  parentPort?.postMessage({ number, block }, [block.timesMs.buffer as ArrayBuffer]);
});
