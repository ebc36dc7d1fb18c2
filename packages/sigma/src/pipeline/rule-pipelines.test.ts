import { describe, expect, it } from 'vitest';
import { createJsonFieldView } from '../field-view.ts';
import { loadRuleSet } from '../rule-set.ts';
import { load, pipelineOf, refusals, ruleOf, selecting } from './pipeline.fixture.ts';

const MAP = pipelineOf('  - {type: field_name_mapping, mapping: {user: u.name, ip: s.ip, a: x}}');

const PAIR = `title: a
name: a
logsource: {product: p1}
detection: {s: {a: 1}, condition: s}
---
title: b
name: b
logsource: {product: p2}
detection: {s: {a: 2}, condition: s}
---
`;
const correlation = (body: string) => `title: c\nname: c\ncorrelation: {timespan: 5m, ${body}}\n`;

describe('correlations', () => {
  it('group-by, value fields and aliases are mapped; groups keep the names of the rule', () => {
    const body = `type: value_count, rules: [a, b], group-by: [who], condition: {gte: 2, field: ip},
  aliases: {who: {a: user, b: other}}`;
    const set = load(PAIR + correlation(body), MAP);
    const event = createJsonFieldView({ x: 1, u: { name: 'bob' }, s: { ip: '10.0.0.1' } });
    const [hit] = set.matchesOf(event, set.matchEvent(event, null)).matches;
    expect(hit?.group_key).toContain('bob');
    expect(set.correlations[0]?.groupBy).toEqual(['who']);
    const other = createJsonFieldView({ x: 2, other: 'eve', s: { ip: '10.0.0.1' } });
    expect(set.matchesOf(other, set.matchEvent(other, null)).matches[0]?.group_key).toContain('eve');
  });

  it('a field is mapped where the rule it comes from has the log source', () => {
    const only = pipelineOf(`
  - type: field_name_mapping
    mapping: {ip: s.ip}
    rule_conditions: [{type: logsource, product: p1}]`);
    const set = load(PAIR + correlation('type: temporal, rules: [a, b], group-by: [ip]'), only);
    const from = (event: Record<string, unknown>) => {
      const view = createJsonFieldView(event);
      return set.matchesOf(view, set.matchEvent(view, null)).matches.length;
    };
    expect(from({ a: 1, 's.ip': '1' })).toBe(1);
    expect(from({ a: 2, ip: '1' })).toBe(1);
    expect(from({ a: 2, 's.ip': '1' })).toBe(0);
  });

  it('a group field with several new names is refused, with advice', () => {
    const many = pipelineOf('  - {type: field_name_mapping, mapping: {ip: [s.ip, c.ip]}}');
    const body = 'type: event_count, rules: [a], group-by: [ip], condition: {gte: 2}';
    expect(refusals(PAIR + correlation(body), many)).toEqual([
      "13:14 value_invalid a pipeline maps 'ip' to s.ip, c.ip for 'a', but a group or value field needs one name: name the one to take, in 'aliases' or in place of 'ip'",
    ]);
  });

  it('steps for rules only, or for correlations only', () => {
    const step = (type: string) =>
      pipelineOf(`  - {type: field_name_mapping, mapping: {ip: s.ip}, rule_conditions: [{type: ${type}}]}`);
    const body = 'type: event_count, rules: [a], group-by: [ip], condition: {gte: 2}';
    const hits = (type: string) => {
      const set = load(PAIR + correlation(body), step(type));
      const view = createJsonFieldView({ a: 1, 's.ip': '1' });
      return set.matchesOf(view, set.matchEvent(view, null)).matches.length;
    };
    expect(hits('is_sigma_rule')).toBe(0);
    expect(hits('is_sigma_correlation_rule')).toBe(1);
  });

  it('chains: an inner group has the names of its rule', () => {
    const inner = 'type: event_count, rules: [a], group-by: [ip], condition: {gte: 2}';
    const outer = correlation('type: event_count, rules: [c], group-by: [ip], condition: {gte: 2}').replace(
      'name: c',
      'name: d',
    );
    expect(load(`${PAIR}${correlation(inner)}---\n${outer}`, MAP).correlations).toHaveLength(2);
  });
});

describe('filters', () => {
  const rule = selecting('{a: 1}');
  const filter = `---
title: f
logsource: {product: windows}
filter: {rules: [r1], s: {user: bob}, condition: s}
`;
  it('are mapped as part of the rule they are put into', () => {
    const only = pipelineOf(`
  - type: field_name_mapping
    mapping: {user: u.name}
    rule_conditions: [{type: logsource, category: process_creation}]`);
    const set = load(rule + filter, only);
    expect(set.matchEvent(createJsonFieldView({ a: 1, user: 'bob' }), null)).toEqual([0]);
    expect(set.matchEvent(createJsonFieldView({ a: 1, u: { name: 'bob' } }), null)).toEqual([]);
  });

  it('find their rules by the log source as written', () => {
    const change = pipelineOf('  - {type: change_logsource, product: other}');
    expect(load(rule + filter, change).matchEvent(createJsonFieldView({ a: 1, user: 'bob' }), null)).toEqual([]);
  });
});

describe('a set with pipelines', () => {
  const steps = (to: string) => `  - {type: field_name_mapping, mapping: {a: ${to}}}`;

  it('is another set: the id and the semantic hashes say so', () => {
    const [plain, one, two] = [
      load(selecting('{a: 1}')),
      load(selecting('{a: 1}'), pipelineOf(steps('b'))),
      load(selecting('{a: 1}'), pipelineOf(steps('c'))),
    ];
    expect(new Set([plain, one, two].map((set) => set?.rulesetId)).size).toBe(3);
    expect(new Set([plain, one, two].map((set) => set?.detections[0]?.description.semantic_hash)).size).toBe(3);
  });

  it('has the hashes of a set written so', () => {
    const [hash, written] = [load(selecting('{a: 1}'), pipelineOf(steps('b'))), load(selecting('{b: 1}'))].map(
      (set) => set.detections[0]?.description.semantic_hash,
    );
    expect(hash).toBe(written);
  });

  it('applies them by priority, of equal ones as given; state and variables are common', () => {
    const last = pipelineOf(steps('late'), 'priority: 20');
    const first = pipelineOf('  - {type: field_name_mapping, mapping: {b: a}}', 'priority: 10');
    const set = load(selecting('{b: 1}'), last, first);
    expect(set.matchEvent(createJsonFieldView({ late: 1 }), null)).toEqual([0]);
    const vars = pipelineOf('  - {type: set_state, key: k, val: v}', 'vars: {n: [7]}');
    const using = pipelineOf(`
  - {type: value_placeholders, rule_conditions: [{type: processing_state, key: k, val: v}]}`);
    const filled = load(selecting("{b|expand: '%n%'}"), vars, using);
    expect(filled.matchEvent(createJsonFieldView({ b: 7 }), null)).toEqual([0]);
  });

  it('leaves out the rules it refuses, with the reason', () => {
    const refuse = pipelineOf(`
  - type: rule_failure
    message: no such logs
    rule_conditions: [{type: logsource, product: windows}]`);
    const files = [{ path: 'r.yml', content: `${ruleOf('  s: {a: 1}\n  condition: s')}---\n${PAIR.slice(0, -4)}` }];
    const set = loadRuleSet(files, { pipelines: [refuse], onProblem: 'refuse-rule' });
    expect(set.detections.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(set.refused.map(({ message }) => message)).toEqual(['refused by a pipeline: no such logs']);
  });
});
