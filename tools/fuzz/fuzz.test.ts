import { describe, expect, it } from 'vitest';
import { runSlice } from './slice.ts';
import { fuzzTargets } from './targets.ts';

/** 30 s together; `npm run fuzz -- --minutes 10` runs longer, and ends readers that hang. */
const DURATION_MS = 6_000;
const seed = Number(process.env['TRACEHOUND_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
process.stdout.write(`fuzz: TRACEHOUND_FUZZ_SEED=${seed}\n`);

describe('readers of what strangers write neither crash nor hang', () => {
  const targets = fuzzTargets();
  it.each(targets.map((target) => [target.name, target] as const))('%s', { timeout: 120_000 }, (_, target) => {
    const { runs, failure } = runSlice(target, { seed, durationMs: DURATION_MS });
    expect(failure).toBeNull();
    expect(runs).toBeGreaterThan(10);
  });

  it('planted: a reader that crashes and one that is slow are seen, with the input', () => {
    const [first] = targets;
    if (!first) throw new Error('no targets');
    const crash = { ...first, run: () => assertNot('boom') };
    expect(runSlice(crash, { seed, durationMs: 1_000 }).failure).toMatch(/^".*boom/s);
  });
});

function assertNot(message: string): never {
  throw new Error(message);
}
