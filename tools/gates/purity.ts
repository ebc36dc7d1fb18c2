import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Gate, ROOT } from './gate.ts';

const PURE = ['enrich', 'event-model', 'sigma', 'correlation', 'detect', 'lint', 'alerting'];

/** Clocks, randomness and the process, which rings 0 and 1 take as arguments instead. */
const FORBIDDEN: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\s*\(/, 'Date.now()'],
  [/\bnew Date\(\s*\)/, 'new Date()'],
  [/\bMath\.random\s*\(/, 'Math.random()'],
  [/\bperformance\.now\s*\(/, 'performance.now()'],
  [/\brandom(?:UUID|Bytes|Int)\s*\(/, 'randomness of node:crypto'],
  [/\bset(?:Timeout|Interval|Immediate)\s*\(/, 'timers'],
  [/(?<![\w.])process\./, 'process'],
];

/** Text of a source without comments, so that a docstring may name what the code must not do. */
function withoutComments(source: string): string {
  return source
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

export function impurities(source: string): { line: number; what: string }[] {
  const found: { line: number; what: string }[] = [];
  withoutComments(source)
    .split('\n')
    .forEach((text, index) => {
      for (const [pattern, what] of FORBIDDEN) if (pattern.test(text)) found.push({ line: index + 1, what });
    });
  return found;
}

/** Rings 0 and 1 use no clock, no randomness, no timers (imports are the boundary gate's). */
export const purity: Gate = {
  name: 'pure packages use no clock and no randomness',
  run: () => {
    const files = globSync(`packages/{${PURE.join(',')}}/src/**/*.ts`, { cwd: ROOT }).filter(
      (file) => !file.endsWith('.test.ts'),
    );
    const planted = impurities('const now = Date.now(); // fine\n/* Math.random() */\n');
    if (planted.length !== 1) throw new Error('the check itself does not see a planted clock');
    const problems = files.flatMap((file) =>
      impurities(readFileSync(join(ROOT, file), 'utf8')).map(
        ({ line, what }) => `${file}:${line}: ${what}; take it as an argument`,
      ),
    );
    if (problems.length > 0) throw new Error(problems.join('\n'));
    if (files.length < PURE.length) throw new Error(`saw only ${files.length} files`);
    return Promise.resolve(`${files.length} files`);
  },
};
