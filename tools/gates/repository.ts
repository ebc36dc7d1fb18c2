import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Gate, must, ROOT } from './gate.ts';

async function trackedFiles(): Promise<string[]> {
  const output = await must('/usr/bin/env', ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']);
  return output.split('\0').filter((file) => file !== '');
}

/** Marks of unfinished work and of one particular machine; put together so that this file does not match itself. */
const FORBIDDEN: readonly (readonly [RegExp, string])[] = [
  [new RegExp(`\\b(${['TO', 'DO'].join('')}|${['FIX', 'ME'].join('')}|${['XX', 'X'].join('')})\\b`), 'unfinished work'],
  [/\b(?:it|test|describe)\.(?:skip|only|todo)\(/, 'a skipped or exclusive test'],
  [/["'`(\s=](\/work|\/home\/[a-z]+|\/farm)\/[a-z.]/, 'a path of one machine'],
  [
    new RegExp(
      [
        'registry\\.npm',
        'js\\.org|repo1?\\.mav',
        'en|proxy\\.gol',
        'ang\\.org|files\\.python',
        'hosted|deb\\.deb',
        'ian\\.org',
      ].join(''),
    ),
    "a registry's host",
  ],
];
const LINES_MAX = 600;
/** A test file may tell the whole story of one subject. */
const TEST_LINES_MAX = 800;

/** What no file of ours may hold, and files that have outgrown one concept. */
export const repositoryText: Gate = {
  name: 'no unfinished marks, machine paths, registry hosts or oversized sources',
  run: async () => {
    const files = (await trackedFiles()).filter(
      (file) =>
        /\.(ts|mts|mjs|js|json|ya?ml|md|sql|lua|sh|toml|properties)$|^(tracehound|\.ci\/run|\.npmrc|package-lock\.json)$/.test(
          file,
        ) &&
        !file.startsWith('e2e/scenarios/') &&
        !file.startsWith('testdata/') &&
        !file.includes('/fixtures/'),
    );
    const problems: string[] = [];
    for (const file of files) {
      const text = readFileSync(join(ROOT, file), 'utf8');
      const lines = text.split('\n');
      const linesMax = file.endsWith('.test.ts') ? TEST_LINES_MAX : LINES_MAX;
      if (file.endsWith('.ts') && !file.includes('/generated/') && lines.length > linesMax) {
        problems.push(`${file}: ${lines.length} lines, more than ${linesMax}: split it by concept`);
      }
      lines.forEach((line, index) => {
        for (const [pattern, what] of FORBIDDEN) if (pattern.test(line)) problems.push(`${file}:${index + 1}: ${what}`);
      });
    }
    if (problems.length > 0) throw new Error(problems.slice(0, 40).join('\n'));
    if (files.length < 100) throw new Error(`saw only ${files.length} files`);
    return `${files.length} files`;
  },
};

/** The two commands are sacred: README and CI name them exactly. */
export const twoCommands: Gate = {
  name: 'README names npm start and npm test, CI calls npm test',
  run: () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const ci = readFileSync(join(ROOT, '.ci/run'), 'utf8');
    const missing = [
      ...(readme.includes('npm start') ? [] : ['README.md lacks `npm start`']),
      ...(readme.includes('npm test') ? [] : ['README.md lacks `npm test`']),
      ...(/^exec npm test$/m.test(ci) ? [] : ['.ci/run does not call exactly `npm test`']),
    ];
    if (missing.length > 0) throw new Error(missing.join('\n'));
    return Promise.resolve('both named');
  },
};
