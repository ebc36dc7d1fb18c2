import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { coverageOf } from './coverage.ts';
import { lintRules, readRules } from './lint.ts';
import { listRules } from './rule-list.ts';
import { RuleTestFileError, readRuleTestFile } from './rule-test-file.ts';

const DIRECTORY = join(import.meta.dirname, '../fixtures');
const SEEDS = readdirSync(DIRECTORY)
  .filter((code) => code !== 'cost-values')
  .map((code) => readFileSync(join(DIRECTORY, code, 'bad.yml'), 'utf8'));
const TEST_FILE = `defaults: {actor: {id: u1}}
tests:
  - name: n
    now: 2026-01-05T12:00:00Z
    events: [{at: 1s, id: e1, repeat: {count: 2, every: 1s}}]
    arrival: shuffle
    expect: [{rule: r, group: {a: b}, event_ids: [e1.0], alerts: 1, at: 1s}]
`;

/** A text with a few stretches taken out, doubled, or replaced by what often breaks readers. */
const mutation = (seeds: readonly string[]): fc.Arbitrary<string> =>
  fc
    .record({
      seed: fc.constantFrom(...seeds),
      edits: fc.array(
        fc.record({
          at: fc.double({ min: 0, max: 1, noNaN: true }),
          cut: fc.nat({ max: 30 }),
          put: fc.constantFrom(
            '',
            ': ',
            '- ',
            '{',
            '[]',
            'null',
            '|',
            '*',
            "'",
            '\n',
            '---\n',
            '1 of ',
            '&a ',
            '*a',
            '\u0000',
            'not ',
          ),
        }),
        { minLength: 1, maxLength: 4 },
      ),
    })
    .map(({ seed, edits }) =>
      edits.reduce((text, { at, cut, put }) => {
        const from = Math.floor(at * text.length);
        return text.slice(0, from) + put + text.slice(from + cut);
      }, seed),
    );

test('no mutilated rule makes lint, list or coverage throw', () => {
  fc.assert(
    fc.property(mutation(SEEDS), (content) => {
      const files = [{ path: 'a.yml', content }];
      const { findings } = lintRules(files, { matchesRetentionMs: 14 * 86_400_000 });
      for (const { line, column } of findings) expect(line >= 1 && column >= 1).toBe(true);
      const rules = readRules(files);
      listRules(rules);
      coverageOf(rules);
    }),
    { numRuns: 400 },
  );
}, 60_000);

test('a mutilated test file is read or refused in one line', () => {
  fc.assert(
    fc.property(mutation([TEST_FILE]), (content) => {
      try {
        readRuleTestFile('a.test.yml', content);
      } catch (error) {
        if (!(error instanceof RuleTestFileError)) throw error;
        expect(error.message).toMatch(/^a\.test\.yml:\d+:\d+ .+$/);
      }
    }),
    { numRuns: 400 },
  );
}, 60_000);
