import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadRuleSet, SigmaError } from './index.ts';
import { ABCD, correlation } from './rule-text.fixture.ts';

/** Longer with TRACEHOUND_TEST_LONG=1; TRACEHOUND_FUZZ_SEED repeats a run. */
const isLong = process.env['TRACEHOUND_TEST_LONG'] === '1';
const seed = Number(process.env['TRACEHOUND_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
process.stdout.write(`rule parser fuzz: TRACEHOUND_FUZZ_SEED=${seed}\n`);
const runsOf = (short: number): fc.Parameters<unknown> => ({ seed, numRuns: isLong ? short * 30 : short });
const TIMEOUT_MS = isLong ? 1_200_000 : 60_000;
/** No input of these sizes may cost more CPU time; 100 times what one costs usually. */
const CPU_MS_MAX = 2_000;

const RULES_ROOT = join(import.meta.dirname, '../../../testdata');
const realRules = ['sigma-rules', 'sigma-regression', 'sigma-correlation', 'auth-elastic'].flatMap((folder) =>
  readdirSync(join(RULES_ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.yml'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8')),
);

/** Loads or is refused, by a SigmaError, in time; the lenient mode never throws and says the same. */
function loadsOrRefuses(content: string): void {
  const began = process.cpuUsage();
  const options = { expand: { x: ['1', '2'] } };
  let isRefused = false;
  try {
    loadRuleSet([{ path: 'r.yml', content }], options);
  } catch (error) {
    if (!(error instanceof SigmaError)) throw error;
    isRefused = true;
    expect(error.problems.every(({ line, column, message }) => line >= 1 && column >= 1 && message !== '')).toBe(true);
  }
  const set = loadRuleSet([{ path: 'r.yml', content }], { ...options, onProblem: 'refuse-rule' });
  expect(set.refused.length > 0).toBe(isRefused);
  const { user, system } = process.cpuUsage(began);
  expect((user + system) / 1000).toBeLessThan(CPU_MS_MAX);
}

const PIECES = [
  '\n',
  '\n---\n',
  '  ',
  '- ',
  ': ',
  '|',
  '*',
  '&a ',
  '*a',
  '<<: *a',
  '{',
  '}',
  '[',
  ']',
  '"',
  "'",
  '#',
  '!!binary ',
  '? ',
  '%YAML 1.1\n---\n',
  '|base64offset|contains',
  '|re|i',
  '|windash',
  '|cidr',
  '|expand',
  '|fieldref',
  '|neq',
  '|all',
  '|wide',
  '|gt',
  '|hour',
  '|exists',
  'condition: 1 of them',
  ' and not ',
  '(',
  ')',
  'all of ',
  'timespan: 5m',
  'type: temporal',
  'x-corr: {window: session}',
  'null',
  '~',
  'true',
  '-a /b',
  '\\',
  '\\*',
  '%x%',
  '\u0000',
  '\ud800',
  '\u2028',
  '\ufeff',
  '9'.repeat(30),
  'x'.repeat(300),
  '1e999',
  '.nan',
  '__proto__',
  'constructor',
] as const;

type Edit = {
  readonly kind: 'insert' | 'delete' | 'double' | 'swap';
  readonly at: number;
  readonly length: number;
  readonly piece: string;
};
const edits = fc.array(
  fc.record<Edit>({
    kind: fc.constantFrom('insert', 'insert', 'delete', 'double', 'swap'),
    at: fc.nat(10_000),
    length: fc.integer({ min: 1, max: 40 }),
    piece: fc.constantFrom(...PIECES),
  }),
  { minLength: 1, maxLength: 6 },
);

function applyEdit(text: string, { kind, at, length, piece }: Edit): string {
  const from = at % (text.length + 1);
  const cut = text.slice(from, from + length);
  const rest = text.slice(from + length);
  if (kind === 'insert') return text.slice(0, from) + piece + text.slice(from);
  if (kind === 'delete') return text.slice(0, from) + rest;
  return kind === 'double'
    ? text.slice(0, from) + cut + cut + rest
    : text.slice(0, from) + rest.slice(0, 1) + cut + rest.slice(1);
}

describe('the rule parser loads or refuses, never crashes or hangs', () => {
  it('public rules with random edits', { timeout: TIMEOUT_MS }, () => {
    fc.assert(
      fc.property(fc.constantFrom(...realRules), edits, (rule, changes) => {
        loadsOrRefuses(changes.reduce(applyEdit, rule));
      }),
      runsOf(200),
    );
  });

  it('items of random modifiers and values', { timeout: TIMEOUT_MS }, () => {
    const modifier = fc.constantFrom(
      'contains',
      'startswith',
      'endswith',
      'all',
      'cased',
      'exists',
      'neq',
      're',
      'i',
      'm',
      's',
      'ignorecase',
      'base64',
      'base64offset',
      'utf16',
      'utf16le',
      'utf16be',
      'wide',
      'windash',
      'lt',
      'lte',
      'gt',
      'gte',
      'minute',
      'week',
      'cidr',
      'fieldref',
      'expand',
      '',
      'toString',
    );
    const scalar = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.constantFrom('-a /b', '%x%', '\\%x%', '10.0.0.1/8', '::1', 'a*b?', '(a', '12'),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
    );
    const value = fc.oneof(
      scalar,
      fc.array(scalar, { maxLength: 4 }),
      fc.array(fc.array(scalar, { maxLength: 2 }), { maxLength: 2 }),
      fc.dictionary(fc.string(), scalar, { maxKeys: 2 }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom('f', '', 'a.b'),
        fc.array(modifier, { maxLength: 4 }),
        value,
        (field, modifiers, of) => {
          const item = JSON.stringify({ [[field, ...modifiers].join('|')]: of });
          loadsOrRefuses(`title: t\nlogsource: {product: p}\ndetection:\n  s: ${item}\n  condition: s\n`);
        },
      ),
      runsOf(800),
    );
  });

  it('conditions of detections and of correlations', { timeout: TIMEOUT_MS }, () => {
    const word = fc.constantFrom(
      'a',
      'b',
      'zz',
      ' and ',
      ' or ',
      'not ',
      '(',
      ')',
      '1 of ',
      'all of ',
      'any of ',
      'them',
      '*',
      'a*',
      '|',
      '2 of ',
      ' ',
      '\n',
      '_',
      'NOT ',
      'ä',
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 25 }), (words) => {
        const text = JSON.stringify(words.join(''));
        loadsOrRefuses(
          `title: t\nlogsource: {product: p}\ndetection:\n  a: {x: 1}\n  b: {y: 1}\n  _c: {z: 1}\n  condition: ${text}\n`,
        );
        for (const type of ['temporal', 'temporal_ordered']) {
          loadsOrRefuses(`${ABCD}---\n${correlation(`type: ${type}, rules: [a, b], condition: ${text}`)}`);
        }
      }),
      runsOf(150),
    );
  });

  it('correlations of random parts', { timeout: TIMEOUT_MS }, () => {
    const junk = fc.oneof(
      fc.constantFrom<unknown>('a', 'x', '5m', '1M', null, true, 0, -1, 2.5, 'not b', [], {}),
      fc.array(fc.constantFrom('a', 'b', 'x', 'not a', 'u'), { maxLength: 3 }),
    );
    const bound = fc.oneof(fc.integer({ min: -2, max: 20_000 }), fc.double(), junk);
    const part = fc.record(
      {
        type: fc.constantFrom(
          'event_count',
          'value_count',
          'value_sum',
          'value_avg',
          'value_percentile',
          'value_median',
          'value_rarity',
          'temporal',
          'temporal_ordered',
          'nope',
        ),
        rules: fc.oneof(fc.array(fc.constantFrom('a', 'b', 'x', 'zz', 'not a'), { maxLength: 4 }), junk),
        timespan: fc.oneof(fc.constantFrom('5m', '30s', '99w'), junk),
        'group-by': junk,
        aliases: fc.oneof(junk, fc.constant({ u: { a: 'v', x: 'w' } })),
        generate: junk,
        condition: fc.oneof(
          junk,
          fc.dictionary(fc.constantFrom('gt', 'gte', 'lt', 'lte', 'eq', 'neq', 'field', 'percentile', 'zz'), bound, {
            maxKeys: 3,
          }),
        ),
        'x-corr': fc.dictionary(
          fc.constantFrom(
            'type',
            'window',
            'gap',
            'runs',
            'until',
            'strict',
            'reuse',
            'on_match',
            'suppress',
            'null_group',
            'expect',
            'zz',
          ),
          fc.oneof(junk, fc.constantFrom<unknown>('tumbling', 'session', 'every', { a: 2 })),
          { maxKeys: 3 },
        ),
      },
      { requiredKeys: ['type', 'rules'] },
    );
    fc.assert(
      fc.property(part, part, (one, two) => {
        loadsOrRefuses(
          `${ABCD}---\ntitle: x\nname: x\ncorrelation: ${JSON.stringify(one)}\n---\ntitle: y\nname: y\ncorrelation: ${JSON.stringify(two)}\n`,
        );
      }),
      runsOf(400),
    );
  });

  it('any text at all', { timeout: TIMEOUT_MS }, () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 8, unit: 'binary' })), { maxLength: 60 }),
        (pieces) => {
          loadsOrRefuses(pieces.join(''));
        },
      ),
      runsOf(400),
    );
  });
});
