import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

export type Counts = { passed: number; failed: number; skipped: string[]; failures: string[]; unhandled: number };

/**
 * Counts what really ran. vitest's own JSON report misses files that fail to import, so modules with errors of their
 * own count as failed tests here, and so do unhandled errors.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const counts: Counts = { passed: 0, failed: 0, skipped: [], failures: [], unhandled: errors.length };
    for (const module of modules) {
      const file = module.relativeModuleId;
      let tests = 0;
      for (const test of module.children.allTests()) {
        tests++;
        const state = test.result().state;
        const name = `${file} > ${test.fullName}`;
        if (state === 'passed') counts.passed++;
        else if (state === 'failed') {
          counts.failed++;
          counts.failures.push(name);
        } else counts.skipped.push(name);
      }
      if (module.errors().length > 0 || (tests === 0 && module.state() === 'failed')) {
        counts.failed++;
        counts.failures.push(`${file} (the file itself)`);
      }
    }
    counts.failed += errors.length;
    for (const error of errors) counts.failures.push(`unhandled error: ${error.message}`);
    const target = process.env['TRACEHOUND_TEST_COUNTS'];
    if (target) writeFileSync(target, JSON.stringify(counts));
  }
}
