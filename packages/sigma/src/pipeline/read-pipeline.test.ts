import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatProblem, SigmaError } from '../problems.ts';
import { load, selecting } from './pipeline.fixture.ts';
import { readPipeline } from './read-pipeline.ts';

function problemsOf(content: string): readonly string[] {
  try {
    readPipeline({ path: 'p.yml', content });
    return [];
  } catch (error) {
    if (!(error instanceof SigmaError)) throw error;
    return error.problems.map(formatProblem);
  }
}

const stepProblem = (step: string): string => problemsOf(`transformations:\n  - ${step}\n`)[0] ?? '';

describe('a pipeline file', () => {
  it('has a name, a priority, variables and steps', () => {
    const pipeline = readPipeline({
      path: 'p.yml',
      content: 'name: n\npriority: 7\nallowed_backends: [splunk]\nvars: {a: [1, x]}\ntransformations: []\n',
    });
    expect(pipeline).toMatchObject({ name: 'n', priority: 7, vars: { a: ['1', 'x'] }, steps: [] });
    expect(readPipeline({ path: 'p.yml', content: 'transformations: []' })).toMatchObject({
      name: 'p.yml',
      priority: 0,
    });
  });

  it.each([
    ['', 'p.yml:1:1 not_a_map a pipeline must be a map of keys'],
    ['- a', 'p.yml:1:1 value_invalid a pipeline must be a map'],
    ['a: [', 'p.yml:1:5 yaml_syntax'],
    ['name: a\n---\nname: b', 'p.yml:3:1 value_invalid a pipeline file holds one pipeline'],
    ['name: a\nsteps: []', "p.yml:2:1 key_unknown a pipeline has no key 'steps'"],
    ['priority: high', "p.yml:1:11 value_invalid 'priority' must be a number"],
    ['vars: 1', "p.yml:1:7 value_invalid 'vars' must be a map"],
    ['transformations: 1', "p.yml:1:18 value_invalid 'transformations' must be a list"],
    ['name: a\nfinalizers: []', "p.yml:2:1 unsupported 'finalizers' works on the queries of a backend"],
    ['postprocessing: []', "p.yml:1:1 unsupported 'postprocessing' works on the queries of a backend"],
  ])('%j is refused', (content, expected) => {
    expect(problemsOf(content)[0]).toContain(expected);
  });

  it('names every step that is wrong', () => {
    const content = 'transformations:\n  - {type: a}\n  - {type: drop_detection_item}\n  - {type: b}\n';
    expect(problemsOf(content).map((problem) => problem.slice(0, 30))).toEqual([
      "p.yml:2:12 unsupported 'a' is ",
      "p.yml:4:12 unsupported 'b' is ",
    ]);
  });
});

describe('a step that cannot be run is refused with its place', () => {
  it.each([
    ['7', 'p.yml:2:5 value_invalid a transformation must be a map'],
    ['{id: a}', "p.yml:2:5 key_missing a transformation needs 'type'"],
    [
      '{type: query_expression_placeholders}',
      "p.yml:2:12 unsupported 'query_expression_placeholders' cannot be run: it writes",
    ],
    ['{type: regex}', "p.yml:2:12 unsupported 'regex' cannot be run"],
    ['{type: field_name_mapping}', "p.yml:2:5 key_missing a transformation needs 'mapping'"],
    ['{type: field_name_mapping, mapping: [a]}', "p.yml:2:41 value_invalid 'mapping' must be a map"],
    ['{type: field_name_mapping, mapping: {a: []}}', "value_invalid 'a' is mapped to nothing"],
    ['{type: field_name_mapping, mapping: {a: {b: c}}}', "value_invalid 'a' must be a list of texts"],
    ["{type: field_name_mapping, mapping: {a: 'b|re'}}", "'a' is mapped to a name with '|'"],
    ["{type: field_name_prefix, prefix: 'b|'}", "'prefix' must not hold '|'"],
    ['{type: drop_detection_item, field: a}', "p.yml:2:33 key_unknown a transformation has no key 'field'"],
    ['{type: add_condition, conditions: {}}', "'conditions' must be a map of fields to values"],
    ['{type: add_condition, conditions: {a: {b: c}}}', "'a' must have a value or a list of values"],
    ['{type: convert_type, target_type: date}', "p.yml:2:39 value_invalid 'target_type' must be one of str, num"],
    [
      "{type: replace_string, regex: '(', replacement: a}",
      'p.yml:2:35 regex_refused this pattern cannot be run: it is not',
    ],
    [
      "{type: replace_string, regex: '(a+)+$', replacement: a}",
      'regex_refused this pattern cannot be run: a repeated group',
    ],
    ["{type: replace_string, regex: '(a)\\1', replacement: a}", 'regex_refused'],
    ['{type: nest, items: 1}', "'items' must be a list of transformations"],
    ['{type: nest, items: [{type: a}]}', "p.yml:2:33 unsupported 'a' is no transformation known here"],
    ['{type: hashes_fields, valid_hash_algos: []}', "'valid_hash_algos' must not be empty"],
    ['{type: set_state, key: k}', "key_missing a transformation needs 'val'"],
    ['{type: case, rule_conditions: 1}', "'rule_conditions' must be a list of conditions"],
    ['{type: case, rule_conditions: [{type: x}]}', "p.yml:2:43 unsupported 'x' is no condition that can stand here"],
    ['{type: case, rule_conditions: [{type: is_null}]}', 'is no condition that can stand here'],
    [
      '{type: case, rule_conditions: [{type: logsource}]}',
      "a 'logsource' condition needs product, service or category",
    ],
    ['{type: case, rule_conditions: [{type: tag, tag: a, op: b}]}', "a condition has no key 'op'; it has: type, tag"],
    ['{type: case, rule_cond_op: xor}', "'rule_cond_op' must be one of and, or"],
    ['{type: case, rule_cond_not: 1}', "'rule_cond_not' must be true or false"],
    ['{type: case, rule_cond_expr: a}', "'rule_cond_expr' needs 'rule_conditions'"],
    ['{type: case, rule_cond_expr: a, rule_conditions: [{type: tag, tag: a}]}', 'must be a map of named conditions'],
    ['{type: case, rule_cond_expr: a and b, rule_conditions: {a: {type: tag, tag: a}}}', "there is no condition 'b'"],
    ['{type: case, rule_cond_expr: a and, rule_conditions: {a: {type: tag, tag: a}}}', 'a selection name is missing'],
    [
      '{type: case, rule_cond_expr: 1 of them, rule_conditions: {a: {type: tag, tag: a}}}',
      "joined by 'and', 'or', 'not'",
    ],
    ["{type: case, detection_item_conditions: [{type: match_string, pattern: '(?=a)'}]}", 'regex_refused'],
  ])('%s', (step, expected) => {
    expect(stepProblem(step)).toContain(expected);
  });
});

describe('arbitrary text', () => {
  const seed = Number(process.env['TRACEHOUND_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
  process.stdout.write(`pipeline fuzz: TRACEHOUND_FUZZ_SEED=${seed}\n`);
  const folder = join(import.meta.dirname, '../../../../rules/pipelines');
  const shipped = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  const rule = selecting(
    "{a|contains: 'x*', Hashes: MD5=1, User|expand: '%u%', Image|endswith: '\\c.exe', d: null}",
    'fields: [a]',
  );

  /** Read and applied, or refused by a SigmaError with places. */
  function readsOrRefuses(content: string): void {
    try {
      load(rule, readPipeline({ path: 'p.yml', content }));
    } catch (error) {
      if (!(error instanceof SigmaError)) throw error;
      expect(error.problems.length).toBeGreaterThan(0);
      expect(error.problems.every(({ line, column, message }) => line >= 1 && column >= 1 && message !== '')).toBe(
        true,
      );
    }
  }

  const piece = fc.constantFrom(
    ...['\n', '  ', '- ', ': ', '{', '}', '[', ']', "'", 'type', 'mapping', 'null', '*', '&a ', '*a', '1', 'true'],
    ...[
      'field_name_mapping',
      'replace_string',
      'regex',
      'hashes_fields',
      'rule_conditions',
      'set_value',
      'nest',
      'items',
    ],
    ...['drop_detection_item', 'add_condition', 'conditions', 'rule_cond_expr', 'not ', '(', ')', 'map_string'],
  );

  it('shipped pipelines with pieces cut out and put in', () => {
    const edit = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), cut: fc.nat(40), piece });
    const property = fc.property(fc.constantFrom(...shipped), fc.array(edit, { maxLength: 6 }), (text, edits) => {
      let content = text;
      for (const { at, cut, piece: inserted } of edits) {
        const from = Math.floor(at * content.length);
        content = content.slice(0, from) + inserted + content.slice(from + cut);
      }
      readsOrRefuses(content);
    });
    fc.assert(property, { seed, numRuns: 300 });
  });

  it('steps of known words', () => {
    const value = fc.oneof(
      fc.constantFrom<unknown>('a', 1, null, true, '\\', '(a', '*'),
      fc.dictionary(fc.constantFrom('a', 'type', 'User'), fc.string({ maxLength: 4 })),
      fc.array(fc.string({ maxLength: 4 }), { maxLength: 3 }),
    );
    const types = [
      'field_name_mapping',
      'field_name_prefix_mapping',
      'field_name_prefix',
      'drop_detection_item',
      'add_condition',
      'change_logsource',
      'replace_string',
      'map_string',
      'set_value',
      'convert_type',
      'case',
      'value_placeholders',
      'wildcard_placeholders',
      'hashes_fields',
      'set_state',
      'rule_failure',
      'set_field',
    ];
    const keys = [
      'mapping',
      'prefix',
      'conditions',
      'negated',
      'template',
      'regex',
      'replacement',
      'value',
      'target_type',
      'valid_hash_algos',
      'key',
      'val',
      'message',
      'fields',
    ];
    const step = fc.tuple(fc.constantFrom(...types), fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 4 }));
    const property = fc.property(fc.array(step, { maxLength: 4 }), (steps) => {
      const transformations = steps.map(([type, more]) => ({ type, ...more }));
      readsOrRefuses(JSON.stringify({ transformations }));
    });
    fc.assert(property, { seed, numRuns: 1_000 });
  });
});
