import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { createEventStream } from '@tracehound/cli';
import { createDetector } from '@tracehound/detect';
import {
  ConditionSyntaxError,
  createJsonFieldView,
  loadRuleSet,
  parseCondition,
  type RuleSetCompiled,
  readPipeline,
  SigmaError,
} from '@tracehound/sigma';
import fc from 'fast-check';
import { edited, rowOf } from './text-edits.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A reader of what strangers write. `run` returns for any input, or throws because the reader is broken. */
export type FuzzTarget = {
  readonly name: string;
  readonly inputs: fc.Arbitrary<unknown>;
  run(input: unknown): void;
};

function target<T>(name: string, inputs: fc.Arbitrary<T>, run: (input: T) => void): FuzzTarget {
  // The pair belongs together: `run` only ever gets what `inputs` makes.
  return { name, inputs, run: run as (input: unknown) => void };
}

function texts(pattern: string): string[] {
  return globSync(pattern, { cwd: ROOT }).map((file) => readFileSync(join(ROOT, file), 'utf8'));
}

/** Events that mutated rules of any product may match: their fields are not there, or odd. */
const ODD_EVENT = createJsonFieldView({ Image: ['C:\\a.exe', null, 5], a: { b: [{ c: '' }] }, f: 'aab', x: 1 });

/** Refused with places and reasons, or loaded and able to match; strict and lenient loading agree. */
function loads(content: string, options: Parameters<typeof loadRuleSet>[1] = {}): RuleSetCompiled {
  const files = [{ path: 'r.yml', content }];
  const set = loadRuleSet(files, { ...options, onProblem: 'refuse-rule' });
  let refused = 0;
  try {
    loadRuleSet(files, options);
  } catch (error) {
    if (!(error instanceof SigmaError)) throw error;
    refused = error.problems.length;
    for (const { line, column, message } of error.problems) assert.ok(line >= 1 && column >= 1 && message !== '');
  }
  assert.equal(set.refused.length > 0, refused > 0);
  set.matchesOf(ODD_EVENT, set.matchEvent(ODD_EVENT, null));
  return set;
}

const YAML_PIECES: readonly string[] = [
  ...['\n', '\n---\n', '  ', '- ', ': ', '|', '*', '&a ', '*a', '<<: *a', '{', '}', '[', ']', '"', "'", '#', '? '],
  ...['!!binary ', '%YAML 1.1\n---\n', '|base64offset|contains', '|re|i', '|windash', '|cidr', '|expand', '|fieldref'],
  ...['|neq', '|all', '|wide', '|gt', '|hour', '|exists', '1 of them', ' and not ', '(', 'timespan: 5m', 'null', '~'],
  ...['x-corr: {window: session}', 'type: temporal_ordered', 'type: value_percentile', 'true', '-a /b', '\\', '%x%'],
  ...['\u0000', '\ud800', '\u2028', '\ufeff', '9'.repeat(30), 'x'.repeat(300), '1e999', '.nan', '__proto__', '0777'],
  ...['type: nested', 'type: regex', 'include_fields: [a]', 'rule_cond_expr: a and not b', 'replacement: "\\\\1"'],
];

function ruleParser(): FuzzTarget {
  const rules = [
    ...texts('testdata/sigma-rules/rules/**/*.yml'),
    ...texts('testdata/sigma-correlation/**/*.yml'),
    ...texts('rules/{correlations,detections}/**/*.yml').filter((text) => !text.includes('\ntests:')),
  ];
  const inputs = fc.oneof({ weight: 4, arbitrary: edited(rules, YAML_PIECES) }, rowOf(YAML_PIECES, 60));
  return target('rule parser', inputs, (content) => void loads(content, { expand: { x: ['1', '2'] } }));
}

const CONDITION_WORDS: readonly string[] = [
  ...['a', 'b', '_c', 'zz', ' and ', ' or ', 'not ', '(', ')', '1 of ', 'all of ', 'any of ', 'them', '*', 'a*', ' '],
  ...['|', '2 of ', '\n', '_', 'NOT ', 'ä', '((((', 'not not '],
];

function conditionParser(): FuzzTarget {
  return target('condition parser', rowOf(CONDITION_WORDS, 40), (text) => {
    try {
      parseCondition(text);
    } catch (error) {
      if (!(error instanceof ConditionSyntaxError)) throw error;
      assert.ok(error.at >= 0 && error.at <= text.length && error.message !== '');
    }
    const condition = JSON.stringify(text);
    const parts = ['a', 'b', '_c'].map((name) => `  ${name}: {${name}: 1}\n`).join('');
    const rule = (name: string) => `title: ${name}\nname: ${name}\nlogsource: {product: p}\ndetection:\n${parts}`;
    loads(`${rule('r')}  condition: ${condition}\n`);
    const correlation = (type: string) =>
      `---\ntitle: c\ncorrelation: {type: ${type}, rules: [a, b], timespan: 5m, condition: ${condition}}\n`;
    const base = `${rule('a')}  condition: a\n---\n${rule('b')}  condition: b\n`;
    for (const type of ['temporal', 'temporal_ordered']) loads(base + correlation(type));
  });
}

/** Where both engines mean the same: no look-around, no `\s`, and texts without the line ends only JavaScript knows. */
const shared = fc.letrec<{ node: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('a', 'b', 'ab', 'c', '[ab]', '[^a]', '\\w', '\\W', '\\d', '\\u00e9', '[^\\n]', '-', '[a-c]', '.'),
    fc.constantFrom('(?:^)', '(?:$)', '(?:\\b)'),
    tie('node').map((node) => `(?:${node})`),
  ),
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc
      .array(
        fc
          .tuple(tie('atom'), fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,3}', '{2,}', '*?', '+?'))
          .map((parts) => parts.join('')),
        { minLength: 1, maxLength: 4 },
      )
      .map((parts) => parts.join('')),
    fc.array(tie('node'), { minLength: 2, maxLength: 3 }).map((parts) => parts.join('|')),
  ),
})).node;

const REGEX_PIECES: readonly string[] = [
  ...['a', 'b', '.', '\\w', '\\s', '\\S', '\\b', '[a-z]', '[^\\]]', '[[:alpha:]]', '(', '(?:', '(?i)', '(?=', '(?<!'],
  ...[')', '|', '*', '+', '?', '{2,}', '{1000}', '{,3}', '*+', '\\1', '\\p{L}', '\\x41', '\\u{1f600}', '\\Q', '^', '$'],
  ...['[', ']', '\\', '(a+)+', '(a|a)*', '(?P<n>a)', '\u00e9', '\u{1f600}', '\ud800', '[z-a]', '\\d{1,3}(\\.|$)'],
];
/** Long enough that a search that is not linear does not end: 10 KB, nearly matching. */
const LONG_TEXTS = ['a', 'ab', ' a', '1.'].map((unit) => `${unit.repeat(10_000 / unit.length)}!`);
const ALPHABET = fc.constantFrom('a', 'b', 'c', 'A', 'B', '-', ' ', '\n', '1', '_', '\u00e9', '\u{1f600}');

function regexEngine(): FuzzTarget {
  const flags = fc.constantFrom('', '|i', '|m', '|s', '|i|s');
  const samples = fc.array(fc.string({ unit: ALPHABET, maxLength: 40 }), { minLength: 1, maxLength: 4 });
  const source = fc.oneof(
    shared.map((text) => ({ text, isShared: true })),
    rowOf(REGEX_PIECES, 20).map((text) => ({ text, isShared: false })),
  );
  return target('regex', fc.record({ source, flags, samples }), (input) => {
    const item = JSON.stringify({ [`f|re${input.flags}`]: input.source.text });
    const set = loads(`title: t\nlogsource: {product: p}\ndetection: {s: ${item}, condition: s}\n`);
    if (set.detections.length === 0) return;
    const found = (f: string): boolean => set.matchEvent(createJsonFieldView({ f }), null).length > 0;
    for (const text of LONG_TEXTS) found(text);
    if (!input.source.isShared) {
      for (const text of input.samples) found(text);
      return;
    }
    const other = builtInAnswers(new RegExp(input.source.text, `u${input.flags.replaceAll('|', '')}`), input.samples);
    for (const [index, text] of input.samples.entries()) {
      const ours = found(text);
      if (other) assert.equal(ours, other[index], JSON.stringify(text));
    }
  });
}

/** What the built-in engine says; undefined when its search does not end, as with a text of ten letters it may. */
function builtInAnswers(pattern: RegExp, texts: readonly string[]): readonly boolean[] | undefined {
  try {
    return BUILT_IN.runInNewContext({ pattern, texts }, { timeout: BUILT_IN_MS }) as readonly boolean[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
    throw error;
  }
}
const BUILT_IN = new Script('texts.map((text) => pattern.test(text))');
const BUILT_IN_MS = 1_000;

const JSON_PIECES: readonly string[] = [
  ...['{', '}', '[', ']', ',', ':', '"', '\\', '\\u', '\\ud800', '\n', '\r\n', '\u0000', '\u00ff', '\u00c3', 'null'],
  ...['true', '1e999', '-', '9'.repeat(30), '"time":', '"@timestamp":', '"2026-01-01T00:00:00Z"', '"id":', '"a.b":'],
  ...['"__proto__":', '"event_type":', '"schema_rev":', '[['.repeat(500), '{"a":'.repeat(500), '8.64e15', '""', ' '],
];

function eventReader(): FuzzTarget {
  const events = [
    ...texts('testdata/cloudtrail-stratus/events.jsonl'),
    ...texts('e2e/scenarios/*/events.ndjson'),
    ...texts('testdata/auth-elastic/events.jsonl'),
  ].flatMap((text) => text.split('\n').slice(0, 40));
  const line = fc.oneof({ weight: 4, arbitrary: edited(events, JSON_PIECES) }, rowOf(JSON_PIECES, 40));
  const files = fc.record({ lines: fc.array(line, { maxLength: 5 }), cut: fc.nat(2_000), isText: fc.boolean() });
  const rules = loadRuleSet([
    {
      path: 'r.yml',
      content:
        'title: t\nname: t\nlogsource: {product: p}\ndetection: {s: {"*": a, "a.b|re": "x+"}, t: [a], condition: s or t}\n---\ntitle: c\ncorrelation: {type: event_count, rules: [t], group-by: [actor.id], timespan: 1h, condition: {gte: 1}}\n',
    },
  ]);
  return target('event reader', files, ({ lines, cut, isText }) => {
    // As Latin 1, characters are bytes: not every input is UTF-8.
    const bytes = Buffer.from(lines.join('\n'), isText ? 'utf8' : 'latin1');
    const detector = createDetector(rules, { latenessMs: 0 });
    let invalid = 0;
    const stream = createEventStream({
      lineBytesMax: 4_096,
      onEvent: (event) => void detector.push(event),
      onInvalid: (at, reason) => {
        invalid++;
        assert.ok(at >= 1 && reason !== '');
      },
    });
    stream.push(bytes.subarray(0, cut));
    stream.push(bytes.subarray(cut));
    stream.end();
    detector.end();
    assert.equal(stream.counters.invalid, invalid);
    assert.ok(stream.counters.events + invalid <= stream.lines);
  });
}

function pipelineReader(): FuzzTarget {
  const pipelines = texts('rules/pipelines/*.yml');
  const inputs = fc.oneof({ weight: 4, arbitrary: edited(pipelines, YAML_PIECES) }, rowOf(YAML_PIECES, 40));
  const rules = [
    ...texts('testdata/sigma-rules/rules/cloud/aws/**/*.yml'),
    ...texts('testdata/sigma-rules/rules/linux/builtin/**/*.yml'),
  ].slice(0, 20);
  const set = rules.join('\n---\n');
  return target('pipeline reader', inputs, (content) => {
    try {
      const pipeline = readPipeline({ path: 'p.yml', content });
      loads(set, { pipelines: [pipeline] });
    } catch (error) {
      if (!(error instanceof SigmaError)) throw error;
      for (const { line, column, message } of error.problems) assert.ok(line >= 1 && column >= 1 && message !== '');
    }
  });
}

/** Everything that reads what strangers write; the corpora are read when the targets are made. */
export function fuzzTargets(): readonly FuzzTarget[] {
  return [ruleParser(), conditionParser(), regexEngine(), eventReader(), pipelineReader()];
}
