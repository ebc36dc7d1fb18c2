import { describe, expect, it } from 'vitest';
import { load, matches, pipelineOf, refusals, ruleOf, selecting, testOf } from './pipeline.fixture.ts';

/** The test of a rule as if it had been written so. */
const asWritten = (selection: string) => testOf(selecting(selection));

describe('names of fields', () => {
  it('field_name_mapping: one to one, modifiers stay', () => {
    const mapping = pipelineOf('  - {type: field_name_mapping, mapping: {CommandLine: process.command_line}}');
    expect(testOf(selecting('{CommandLine|contains|all: [a, b], Other: 1}'), mapping)).toEqual(
      asWritten('{process.command_line|contains|all: [a, b], Other: 1}'),
    );
  });

  it('field_name_mapping: one to many is any of them', () => {
    const mapping = pipelineOf('  - {type: field_name_mapping, mapping: {EventID: [event_id, evtid]}}');
    const rule = selecting('{EventID: 1, Image: x}');
    expect(matches(rule, [mapping], { evtid: 1, Image: 'x' })).toBe(true);
    expect(matches(rule, [mapping], { event_id: 1, Image: 'x' })).toBe(true);
    expect(matches(rule, [mapping], { event_id: 1 })).toBe(false);
    expect(matches(rule, [mapping], { EventID: 1, Image: 'x' })).toBe(false);
  });

  it.each([
    ['{f: null}', {}, true],
    ['{f: null}', { a: 1 }, false],
    ['{f: null}', { a: 1, b: 1 }, false],
    ['{f: [null, 2]}', { a: 1, b: 2 }, true],
    ['{f: [null, 2]}', { a: 1 }, false],
    ['{f|neq: 1}', { a: 1, b: 2 }, false],
    ['{f|neq: 1}', { a: 3, b: 2 }, true],
    ['{f|neq: null}', { a: 1 }, true],
    ['{f|neq: null}', {}, false],
    ['{f|neq: [null, 2]}', { a: 1 }, true],
    ['{f|neq: [null, 2]}', { a: 1, b: 2 }, false],
    ['{f|exists: false}', { a: 1 }, false],
    ['{f|exists: false}', {}, true],
    ['{f|exists: true}', { b: 1 }, true],
    ['{f|fieldref|neq: g}', { a: 1, g: 2 }, true],
    ['{f|contains|all: [x, y]}', { a: 'x', b: 'y' }, false],
    ['{f|contains|all: [x, y]}', { a: 'z', b: 'xy' }, true],
  ])('field_name_mapping: one to many, %s of %j is %j', (selection, event, expected) => {
    const mapping = pipelineOf('  - {type: field_name_mapping, mapping: {f: [a, b]}}');
    expect(matches(selecting(selection), [mapping], event)).toBe(expected);
  });

  it('field_name_mapping: a chain of steps works on the names of the step before', () => {
    const chain = pipelineOf(
      '  - {type: field_name_mapping, mapping: {a: b}}\n  - {type: field_name_mapping, mapping: {b: c}}',
    );
    expect(testOf(selecting('{a: 1}'), chain)).toEqual(asWritten('{c: 1}'));
  });

  it('field_name_mapping: names of objects and both sides of fieldref', () => {
    const mapping = pipelineOf('  - {type: field_name_mapping, mapping: {a: toString, b: constructor}}');
    expect(testOf(selecting('{a|fieldref: b}'), mapping)).toEqual(asWritten('{toString|fieldref: constructor}'));
    expect(testOf(selecting('{valueOf: 1}'), mapping)).toEqual(asWritten('{valueOf: 1}'));
  });

  it('field_name_mapping: fields named beside the detection', () => {
    const mapping = pipelineOf('  - {type: field_name_mapping, mapping: {a: [x, y]}}');
    expect(load(selecting('{a: 1}', 'fields: [a, b]'), mapping).detections[0]?.fields).toEqual(['x', 'y', 'b']);
  });

  it('field_name_prefix_mapping, field_name_prefix, field_name_suffix', () => {
    const steps = `
  - {type: field_name_prefix_mapping, mapping: {win.: winlog.}}
  - {type: field_name_prefix, prefix: p.}
  - {type: field_name_suffix, suffix: .s}`;
    expect(testOf(selecting('{win.a: 1, b: 2}'), pipelineOf(steps))).toEqual(asWritten('{p.winlog.a.s: 1, p.b.s: 2}'));
  });

  it('keywords have no name to change', () => {
    expect(testOf(selecting('[word]'), pipelineOf('  - {type: field_name_prefix, prefix: p.}'))).toEqual(
      asWritten('[word]'),
    );
  });

  it('add_field, remove_field, set_field', () => {
    const fields = (step: string) =>
      load(selecting('{a: 1}', 'fields: [a, b]'), pipelineOf(`  - ${step}`)).detections[0]?.fields;
    expect(fields('{type: add_field, field: c}')).toEqual(['a', 'b', 'c']);
    expect(fields('{type: remove_field, field: a}')).toEqual(['b']);
    expect(fields('{type: set_field, fields: [z]}')).toEqual(['z']);
  });
});

describe('items and conditions', () => {
  const drop = pipelineOf(`
  - type: drop_detection_item
    field_name_conditions: [{type: include_fields, fields: [EventID]}]`);

  it('drop_detection_item leaves the rest', () => {
    expect(testOf(selecting('{EventID: 1, Image: x}'), drop)).toEqual(asWritten('{Image: x}'));
  });

  it('drop_detection_item: an emptied selection takes no part, negated or not', () => {
    const rule = (condition: string) => ruleOf(`  a: {EventID: 1}\n  b: {Image: x}\n  condition: ${condition}`);
    for (const condition of ['a and b', 'a or b', 'b and not a', 'all of them', '(a or not a) and b']) {
      expect([condition, testOf(rule(condition), drop)]).toEqual([condition, asWritten('{Image: x}')]);
    }
    expect(testOf(rule('not b and a'), drop)).toEqual({ op: 'not', of: asWritten('{Image: x}') });
  });

  it('drop_detection_item: a rule without anything left is refused', () => {
    expect(refusals(selecting('{EventID: 1}'), drop)).toEqual([
      '8:3 value_invalid the pipeline leaves nothing of this condition',
    ]);
  });

  it('add_condition: joined by and, lists by or, modifiers allowed', () => {
    const added = pipelineOf('  - {type: add_condition, conditions: {index: [i, j], path|contains: t}}');
    const rule = ruleOf('  a: {x: 1}\n  b: {y: 1}\n  condition: a or b');
    expect(matches(rule, [added], { x: 1, index: 'j', path: 'at' })).toBe(true);
    expect(matches(rule, [added], { y: 1, index: 'k', path: 'at' })).toBe(false);
    expect(matches(rule, [added], { index: 'j', path: 'at' })).toBe(false);
  });

  it('add_condition: negated, and with a template', () => {
    const negated = pipelineOf('  - {type: add_condition, conditions: {a: 1, b: 2}, negated: true}');
    expect(matches(selecting('{x: 1}'), [negated], { x: 1, a: 1 })).toBe(true);
    expect(matches(selecting('{x: 1}'), [negated], { x: 1, a: 1, b: 2 })).toBe(false);
    const steps = "  - {type: add_condition, template: true, conditions: {index: '$product-${category}-$service-$$'}}";
    expect(matches(selecting('{x: 1}'), [pipelineOf(steps)], { x: 1, index: 'windows-process_creation--$' })).toBe(
      true,
    );
  });

  it('add_condition: what it adds is mapped by later steps', () => {
    const steps = '  - {type: add_condition, conditions: {a: 1}}\n  - {type: field_name_mapping, mapping: {a: b}}';
    expect(matches(selecting('{x: 1}'), [pipelineOf(steps)], { x: 1, b: 1 })).toBe(true);
  });

  it('change_logsource replaces the whole', () => {
    const set = load(
      selecting('{x: 1}'),
      pipelineOf('  - {type: change_logsource, product: windows, service: sysmon}'),
    );
    expect(set.detections[0]?.logSource).toEqual({ product: 'windows', service: 'sysmon', category: null });
  });

  it('nest: under the condition of the whole', () => {
    const nested = (product: string) => `
  - type: nest
    items:
      - {type: field_name_mapping, mapping: {a: b}}
      - {type: field_name_mapping, mapping: {b: c}}
    rule_conditions: [{type: logsource, product: ${product}}]`;
    expect(testOf(selecting('{a: 1}'), pipelineOf(nested('windows')))).toEqual(asWritten('{c: 1}'));
    expect(testOf(selecting('{a: 1}'), pipelineOf(nested('linux')))).toEqual(asWritten('{a: 1}'));
  });
});

describe('values', () => {
  /** The example of the SigmaHQ documentation: a path's last part only. */
  it('replace_string sees the wildcards of modifiers', () => {
    const base = pipelineOf(String.raw`  - {type: replace_string, regex: '^\*\\([^\\]+)$', replacement: '\1'}`);
    expect(testOf(selecting(String.raw`{Image|endswith: ['\cmd.exe', '\a\b.exe']}`), base)).toEqual(
      asWritten(String.raw`{Image: ['cmd.exe', '*\a\b.exe']}`),
    );
  });

  it('replace_string: values without the pattern, expressions and numbers stay as they are', () => {
    const step = pipelineOf("  - {type: replace_string, regex: 'a', replacement: 'b'}");
    for (const selection of ['{x|contains: zz}', '{x|re: a+}', '{x: 1}', '{x|cidr: 10.0.0.0/8}', '{x: null}']) {
      expect(testOf(selecting(selection), step)).toEqual(asWritten(selection));
    }
  });

  it('replace_string: named groups, dollars, backslashes, escaped wildcards', () => {
    const step = (regex: string, replacement: string) =>
      pipelineOf(`  - {type: replace_string, regex: '${regex}', replacement: '${replacement}'}`);
    const value = (text: string) => selecting(`{x: '${text}'}`);
    expect(testOf(value('a-b'), step('(?P<l>\\w)-(?P<r>\\w)', '\\g<r>$\\g<l>'))).toEqual(testOf(value('b$a')));
    expect(testOf(value('c:\\dir\\f'), step('^c:', 'd:'))).toEqual(testOf(value('d:\\dir\\f')));
    expect(testOf(value('a\\*b*'), step('a', 'z'))).toEqual(testOf(value('z\\*b*')));
    expect(testOf(value('c:/a'), step('/', '\\\\'))).toEqual(testOf(value('c:\\a')));
  });

  it('replace_string with skip_special leaves wildcards out', () => {
    const step = pipelineOf("  - {type: replace_string, regex: '.+', replacement: 'X', skip_special: true}");
    expect(testOf(selecting("{x: '*ab*c?'}"), step)).toEqual(asWritten("{x: '*X*X?'}"));
  });

  it('map_string: one or several; others stay', () => {
    const step = pipelineOf('  - {type: map_string, mapping: {a: A1, b: [B1, B2]}}');
    expect(testOf(selecting('{x: [a, b, c]}'), step)).toEqual(asWritten('{x: [A1, B1, B2, c]}'));
  });

  it('set_value, convert_type, case', () => {
    const step = (text: string) => pipelineOf(`  - {${text}}`);
    expect(testOf(selecting('{x|contains: [a, b]}'), step('type: set_value, value: 5'))).toEqual(asWritten('{x: 5}'));
    expect(testOf(selecting('{x: a}'), step('type: set_value, value: null'))).toEqual(asWritten('{x: null}'));
    expect(testOf(selecting("{x: '5'}"), step('type: convert_type, target_type: num'))).toEqual(asWritten('{x: 5}'));
    expect(testOf(selecting('{x: 5}'), step('type: convert_type, target_type: str'))).toEqual(asWritten("{x: '5'}"));
    expect(testOf(selecting('{x|cased: aB}'), step('type: case, method: upper'))).toEqual(asWritten('{x|cased: AB}'));
    expect(refusals(selecting('{x: a}'), step('type: convert_type, target_type: num'))).toEqual([
      "7:15 value_invalid refused by a pipeline: 'convert_type' cannot make a number of 'a'",
    ]);
  });

  it('value_placeholders: vars, with include and exclude', () => {
    const rule = selecting("{x|expand: '%admins%_%hosts%'}");
    const vars = 'vars: {admins: [root, adm*], hosts: h1}';
    expect(testOf(rule, pipelineOf('  - {type: value_placeholders}', vars))).toEqual(
      asWritten('{x: [root_h1, adm*_h1]}'),
    );
    const some = pipelineOf('  - {type: value_placeholders, include: [admins]}', vars);
    expect(refusals(rule, some)).toEqual([
      "7:25 placeholder_unresolved placeholder '%hosts%' has no values: give a list of that name",
    ]);
    const rest = '  - {type: value_placeholders, exclude: [hosts]}\n  - {type: wildcard_placeholders}';
    expect(testOf(selecting("{x|expand: '%hosts%_'}"), pipelineOf(rest, vars))).toEqual(asWritten("{x: '*_'}"));
  });

  it('hashes_fields: a field per algorithm', () => {
    const md5 = 'a'.repeat(32);
    const step = (more: string) =>
      pipelineOf(`  - {type: hashes_fields, valid_hash_algos: [MD5, SHA1, IMPHASH]${more}}`);
    const rule = selecting(`{Hashes|contains: ['MD5=${md5}', 'IMPHASH=b', '${'c'.repeat(40)}']}`);
    expect(matches(rule, [step(', field_prefix: File')], { FileMD5: md5 })).toBe(true);
    expect(matches(rule, [step(', field_prefix: File')], { FileIMPHASH: 'B' })).toBe(true);
    expect(matches(rule, [step(', field_prefix: File')], { FileSHA1: 'c'.repeat(40) })).toBe(true);
    expect(matches(rule, [step(', field_prefix: File')], { FileMD5: 'b' })).toBe(false);
    expect(matches(rule, [step(', field_prefix: hash, drop_algo_prefix: true')], { hash: 'b' })).toBe(true);
    expect(refusals(selecting('{Hashes: SHA256=x}'), step(''))[0]).toContain("cannot tell the algorithm of 'SHA256=x'");
  });
});

describe('steps that multiply', () => {
  const bomb = (step: string) => pipelineOf(Array.from({ length: 400 }, () => `  - ${step}`).join('\n'));
  it.each([
    ['{type: field_name_mapping, mapping: {a: [a, a, a, a]}}', 'pipelines add more than 20000 values and names'],
    ['{type: map_string, mapping: {x: [x, x, x]}}', 'pipelines add more than 20000 values and names'],
    ['{type: field_name_prefix, prefix: a.b.c.}', 'the name of a field would have more than 1024 characters'],
    ["{type: replace_string, regex: '^', replacement: '123456'}", 'values of at most 1024 characters'],
  ])('400 times %s', (step, message) => {
    const found = refusals(selecting('{a: x}', 'fields: [a]'), bomb(step));
    expect(found.join()).toContain(message);
    expect(found.length).toBeLessThan(50);
  });
});

describe('failures', () => {
  it('rule_failure refuses the rule', () => {
    expect(refusals(selecting('{x: 1}'), pipelineOf('  - {type: rule_failure, message: not here}'))).toEqual([
      '1:1 value_invalid refused by a pipeline: not here',
    ]);
  });

  it('detection_item_failure says which item', () => {
    const step = `
  - type: detection_item_failure
    message: Image must hold a file name only
    field_name_conditions: [{type: include_fields, fields: [Image]}]`;
    expect(refusals(selecting('{x: 1, Image: a}'), pipelineOf(step))).toEqual([
      '7:21 value_invalid refused by a pipeline: Image must hold a file name only',
    ]);
    expect(refusals(selecting('{x: 1}'), pipelineOf(step))).toEqual([]);
  });
});
