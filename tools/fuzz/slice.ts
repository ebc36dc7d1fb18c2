import { inspect } from 'node:util';
import fc from 'fast-check';
import type { FuzzTarget } from './targets.ts';

/** No input of these sizes may cost more CPU time: 100 times and more what one costs usually. */
const CPU_MS_MAX = 2_000;

export type SliceResult = {
  readonly runs: number;
  /** What broke, with the input; null when nothing did. */
  readonly failure: string | null;
};

/** Runs a target for some time. The seed decides the inputs: a longer slice of the same seed begins with the same. */
export function runSlice(
  { inputs, run }: FuzzTarget,
  of: { readonly seed: number; readonly durationMs: number; onInput?(input: unknown): void },
): SliceResult {
  const property = fc.property(inputs, (input) => {
    of.onInput?.(input);
    const began = process.threadCpuUsage();
    run(input);
    const { user, system } = process.threadCpuUsage(began);
    const cpuMs = (user + system) / 1_000;
    if (cpuMs > CPU_MS_MAX) throw new Error(`took ${Math.round(cpuMs)} ms of CPU time`);
  });
  const details = fc.check(property, {
    seed: of.seed,
    numRuns: 2 ** 31 - 1,
    interruptAfterTimeLimit: of.durationMs,
    markInterruptAsFailure: false,
  });
  if (!details.failed) return { runs: details.numRuns, failure: null };
  const error = details.errorInstance instanceof Error ? stackOf(details.errorInstance) : String(details.errorInstance);
  return { runs: details.numRuns, failure: `${shown(details.counterexample?.[0])}\n${error}` };
}

/** Without the part of the stack that is the same for all. */
function stackOf(error: Error): string {
  return (error.stack ?? error.message)
    .split('\n')
    .filter((line) => !line.includes('fast-check'))
    .join('\n');
}

/** An input as somebody can paste it into a test. */
export function shown(input: unknown): string {
  return typeof input === 'string' ? JSON.stringify(input) : inspect(input, { depth: 5, maxStringLength: null });
}
