import { describe, expect, it } from 'vitest';
import { pipelineOf, selecting, testOf } from './pipeline.fixture.ts';

const HEAD = 'level: high\nstatus: test\ndate: 2024-05-01\ntags: [attack.t1059]\ncustom: {team: blue}';
const RULE = selecting("{a: 'x*', b|endswith: [p, q], c: null, d: 5}", HEAD);

/** The names of the fields of RULE, after a step that renames under the conditions given. */
function fieldsAfter(conditions: string, before = ''): string {
  const steps = `${before}\n  - type: field_name_suffix\n    suffix: '!'\n${conditions.replaceAll(/^/gm, '    ')}`;
  const test = testOf(RULE, pipelineOf(steps));
  const names = JSON.stringify(test).matchAll(/"field":"([^"]+)"/g);
  return [...new Set([...names].map(([, name]) => name))].join(' ');
}

const ALL = 'a! b! c! d!';
const NONE = 'a b c d';
const ruleCondition = (condition: string, before = '') => fieldsAfter(`rule_conditions: [{${condition}}]`, before);
const itemCondition = (condition: string, before = '') =>
  fieldsAfter(`detection_item_conditions: [{${condition}}]`, before);
const fieldCondition = (condition: string, before = '') =>
  fieldsAfter(`field_name_conditions: [{${condition}}]`, before);

describe('conditions on the rule', () => {
  it.each([
    ['type: logsource, product: windows', ALL],
    ['type: logsource, product: Windows, category: process_creation', ALL],
    ['type: logsource, product: windows, service: sysmon', NONE],
    ['type: contains_field, field: b', ALL],
    ['type: contains_field, field: z', NONE],
    ['type: contains_detection_item, field: d, value: 5', ALL],
    ['type: contains_detection_item, field: c, value: null', ALL],
    ['type: contains_detection_item, field: d, value: 6', NONE],
    ['type: is_sigma_rule', ALL],
    ['type: is_sigma_correlation_rule', NONE],
    ['type: tag, tag: attack.t1059', ALL],
    ['type: tag, tag: attack.t1060', NONE],
    ['type: rule_attribute, attribute: level, value: high', ALL],
    ['type: rule_attribute, attribute: level, op: gte, value: medium', ALL],
    ['type: rule_attribute, attribute: level, op: gt, value: high', NONE],
    ['type: rule_attribute, attribute: level, op: lte, value: critical', ALL],
    ['type: rule_attribute, attribute: status, op: lt, value: stable', ALL],
    ['type: rule_attribute, attribute: date, op: gte, value: 2024-01-01', ALL],
    ['type: rule_attribute, attribute: date, op: lt, value: 2024-01-01', NONE],
    ['type: rule_attribute, attribute: team, op: in, value: [red, blue]', ALL],
    ['type: rule_attribute, attribute: team, op: not_in, value: [red, blue]', NONE],
    ['type: rule_attribute, attribute: nothing, op: not_in, value: [red]', ALL],
    ['type: rule_attribute, attribute: team, value: blue', ALL],
    ['type: rule_attribute, attribute: nothing, op: ne, value: blue', ALL],
    ['type: rule_attribute, attribute: nothing, value: blue', NONE],
  ])('%s', (condition, expected) => {
    expect(ruleCondition(condition)).toBe(expected);
  });

  it('state, attributes and steps from before', () => {
    const state = '  - {type: set_state, key: k, val: v}';
    expect(ruleCondition('type: processing_state, key: k, val: v', state)).toBe(ALL);
    expect(ruleCondition('type: processing_state, key: k, val: w', state)).toBe(NONE);
    expect(ruleCondition('type: processing_state, key: k, op: ne, val: w', state)).toBe(ALL);
    const attribute = '  - {type: set_custom_attribute, attribute: team, value: red}';
    expect(ruleCondition('type: rule_attribute, attribute: team, value: red', attribute)).toBe(ALL);
    const named = '  - {id: one, type: set_state, key: k, val: v}';
    expect(ruleCondition('type: processing_item_applied, processing_item_id: one', named)).toBe(ALL);
    expect(ruleCondition('type: processing_item_applied, processing_item_id: two', named)).toBe(NONE);
  });
});

describe('conditions on items', () => {
  it.each([
    ["type: match_string, cond: any, pattern: '.*p$'", 'a b! c d'],
    ["type: match_string, cond: all, pattern: '.*p$'", NONE],
    ["type: match_string, cond: all, pattern: '\\*[pq]'", 'a b! c d'],
    ["type: match_string, cond: any, pattern: 'x', negate: true", 'a b! c! d!'],
    ['type: match_value, cond: any, value: 5', 'a b c d!'],
    ['type: contains_wildcard, cond: any', 'a! b! c d'],
    ['type: is_null, cond: all', 'a b c! d'],
  ])('%s', (condition, expected) => {
    expect(itemCondition(condition)).toBe(expected);
  });

  it('items that a step was applied to', () => {
    const before = `
  - id: one
    type: case
    detection_item_conditions: [{type: contains_wildcard, cond: any}]`;
    expect(itemCondition('type: processing_item_applied, processing_item_id: one', before)).toBe('a! b! c d');
  });
});

describe('conditions on names', () => {
  it.each([
    ['type: include_fields, fields: [a, d]', 'a! b c d!'],
    ['type: exclude_fields, fields: [a, d]', 'a b! c! d'],
    ["type: include_fields, mode: regex, fields: ['[ab]']", 'a! b! c d'],
    ["type: exclude_fields, mode: regex, fields: ['[ab]$', c]", 'a b c d!'],
  ])('%s', (condition, expected) => {
    expect(fieldCondition(condition)).toBe(expected);
  });

  it('names that a step was applied to', () => {
    const before = `
  - id: one
    type: field_name_mapping
    mapping: {a: a}`;
    expect(fieldCondition('type: processing_item_applied, processing_item_id: one', before)).toContain('a!');
  });
});

describe('conditions joined', () => {
  const fields = (more: string) =>
    fieldsAfter(
      `field_name_conditions:\n  one: {type: include_fields, fields: [a, b]}\n  two: {type: include_fields, fields: [b, c]}\n${more}`,
    );

  it('and, or, not', () => {
    expect(fields('')).toBe('a b! c d');
    expect(fields('field_name_cond_op: or')).toBe('a! b! c! d');
    expect(fields('field_name_cond_not: true')).toBe('a! b c! d!');
    expect(fields('field_name_cond_op: or\nfield_name_cond_not: true')).toBe('a b c d!');
  });

  it('an expression over names', () => {
    expect(fields('field_name_cond_expr: one and not two')).toBe('a! b c d');
    expect(fields('field_name_cond_expr: not (one or two)')).toBe('a b c d!');
  });

  it('every kind of condition must hold', () => {
    const rule = 'rule_conditions: [{type: logsource, product: linux}]';
    expect(fieldsAfter(`${rule}\nfield_name_conditions: [{type: include_fields, fields: [a]}]`)).toBe(NONE);
  });
});
