import { describe, expect, it } from 'vitest';
import { createJsonFieldView, formatProblem, groupKeyOf, groupOf, groupValues, type RuleSetCompiled } from './index.ts';
import { ABCD, correlation, detection, load, loadCorrelation, problemsOf } from './rule-text.fixture.ts';

const lenient = (content: string): RuleSetCompiled => load(content, { onProblem: 'refuse-rule' });
const SOURCE = { product: 'test', service: null, category: null };
const matchesOf = (set: RuleSetCompiled, event: Record<string, unknown>) => {
  const view = createJsonFieldView(event);
  return set.matchesOf(view, set.matchEvent(view, SOURCE));
};

describe('leaving out rules that cannot be run', () => {
  const good = detection('good', '{x: 1}');
  const bad = detection('bad', '{"x|nope": 1}');
  const on = (name: string, inner: string): string =>
    correlation(`type: event_count, rules: [${inner}], condition: {gte: 2}`, name);

  it('keeps the others, and names each rule left out with everything that stands on it', () => {
    const set = lenient([bad, good, on('c1', 'bad'), on('c2', 'good'), on('c3', 'c1'), on('c4', 'c2')].join('---\n'));
    expect(set.detections.map(({ id, index }) => [id, index])).toEqual([['good', 0]]);
    expect(set.correlations.map(({ uid, index, steps }) => [uid, index, steps])).toEqual([
      ['c2', 0, [0]],
      ['c4', 1, [-1]],
    ]);
    expect(set.refused.map(({ line, code }) => [line, code])).toEqual([
      [4, 'modifier_unknown'],
      [13, 'reference_refused'],
      [21, 'reference_refused'],
    ]);
    expect(set.refused[1]?.message).toContain("'bad' (r.yml:1)");
    expect(set.refused[2]?.message).toContain("'c1' (r.yml:11)");
  });

  it('by default refuses the set, with the problems themselves only', () => {
    expect(problemsOf([bad, on('c1', 'bad'), on('c2', 'c1')].join('---\n'))).toHaveLength(1);
  });

  it('a document that is no YAML, no map, or of Sigma 1 is named', () => {
    const set = lenient(['a: [1', good, '- a\n', 'action: global\ntitle: x\n'].join('\n---\n'));
    expect(set.detections).toHaveLength(1);
    expect([...new Set(set.refused.map(({ code }) => code))].sort()).toEqual([
      'not_a_map',
      'unsupported',
      'yaml_syntax',
    ]);
    expect(set.refused.find(({ code }) => code === 'unsupported')?.message).toContain('write each rule out');
  });

  it('of two rules with one id the first stays; a filter that cannot be run is named', () => {
    const set = lenient(
      [good, good, 'title: f\nfilter: {rules: [good], u: {"a|nope": 1}, condition: u}\n', on('c', 'good')].join(
        '---\n',
      ),
    );
    expect(set.detections).toHaveLength(1);
    expect(set.correlations).toHaveLength(1);
    expect(set.refused.map(({ code }) => code)).toEqual(['modifier_unknown', 'duplicate_rule']);
  });

  it('a sound set has nothing refused', () => {
    expect(lenient(good).refused).toEqual([]);
  });
});

describe('chains', () => {
  const inner = correlation('type: event_count, rules: [a], group-by: [user, ip], condition: {gte: 2}', 'inner');
  const outer = (body: string): string => correlation(body, 'outer');
  const TEMPORAL = 'type: temporal, rules: [inner, b], group-by: [user]';

  it('say where each step comes from and how deep they are', () => {
    const set = load([ABCD, outer(TEMPORAL), inner].join('---\n'));
    expect(
      set.correlations.map(({ uid, depth, steps, stepSources, definition, emitsAlert }) => ({
        uid,
        depth,
        steps,
        stepSources,
        decided: definition.decided,
        emitsAlert,
      })),
    ).toEqual([
      {
        uid: 'outer',
        depth: 1,
        steps: [-1, 1],
        stepSources: [
          { kind: 'correlation', correlation: 1 },
          { kind: 'detection', detection: 1 },
        ],
        decided: 'watermark',
        emitsAlert: true,
      },
      {
        uid: 'inner',
        depth: 0,
        steps: [0],
        stepSources: [{ kind: 'detection', detection: 0 }],
        decided: 'arrival',
        emitsAlert: false,
      },
    ]);
    expect(set.correlations[1]?.feeds).toEqual([{ correlation: 0, step: 0 }]);
    expect(set.timespanMsMax).toBe(600_000);
  });

  it('P2 resolve by id and by name at once, also when a rule has both', () => {
    const both = ABCD.replace('name: a\n', 'name: a\nid: id-a\n').replace('name: b\n', 'name: b\nid: id-b\n');
    const set = load([both, correlation('type: temporal, rules: [a, id-b, b], group-by: [u]')].join('---\n'));
    expect(set.correlations[0]?.steps).toEqual([0, 1]);
  });

  it('generate lets the inner rule speak for itself, at either place', () => {
    const speaks = (text: string): boolean | undefined =>
      load([ABCD, inner, text].join('---\n')).correlations[0]?.emitsAlert;
    expect(speaks(outer(TEMPORAL))).toBe(false);
    expect(speaks(outer(`${TEMPORAL}, generate: true`))).toBe(true);
    expect(speaks(`${outer(TEMPORAL)}generate: true\n`)).toBe(true);
    expect(speaks(`${outer(`${TEMPORAL}, generate: true`)}generate: false\n`)).toBe(false);
  });

  it('turn an inner hit into matches of the outer rules: groups by field or alias, values too', () => {
    const rules = [
      outer(TEMPORAL),
      correlation(
        'type: value_count, rules: [inner], group-by: [who], aliases: {who: {inner: user}}, condition: {gte: 2, field: ip}',
        'values',
      ),
      correlation('type: value_sum, rules: [inner], condition: {gt: 2, field: ip}', 'sum'),
      correlation(
        'type: event_count, rules: [inner], group-by: [nope, user], condition: {gte: 2}, x-corr: {null_group: true}',
        'nulls',
      ),
    ];
    const set = load([ABCD, inner, ...rules].join('---\n'));
    const key = groupKeyOf(['ann', 7]);
    expect(set.chainMatchesOf(0, key)).toEqual({
      groupMissing: [],
      matches: [
        { rule: 1, step: 0, group_key: '["s:ann"]', value: null, number: null },
        { rule: 2, step: 0, group_key: '["s:ann"]', value: '["n:7"]', number: null },
        { rule: 3, step: 0, group_key: '[]', value: null, number: 7 },
        { rule: 4, step: 0, group_key: '["-:","s:ann"]', value: null, number: null },
      ],
    });
    expect(set.chainMatchesOf(0, groupKeyOf(['ann', 'x'])).groupMissing).toEqual([3]);
    expect(set.chainMatchesOf(1, groupKeyOf(['ann']))).toEqual({ groupMissing: [], matches: [] });
  });

  it('find an inner field also under the name it has in the events', () => {
    const aliased = correlation(
      'type: event_count, rules: [a], group-by: [who], aliases: {who: {a: user}}, condition: {gte: 2}',
      'inner',
    );
    const set = load([ABCD, aliased, outer('type: temporal, rules: [inner, b], group-by: [user]')].join('---\n'));
    expect(set.chainMatchesOf(0, groupKeyOf(['ann'])).matches[0]?.group_key).toBe('["s:ann"]');
  });

  it.each([
    ['type: temporal, rules: [inner, b], group-by: [host]', "it has no 'host'"],
    ['type: value_count, rules: [inner], condition: {gte: 2, field: host}', "it has no 'host'"],
  ])('%s is refused: it could never match', (body, words) => {
    expect(problemsOf([ABCD, inner, outer(body)].join('---\n'))[0]).toContain(words);
  });

  it('cycles are refused, by name', () => {
    const ring = ['x', 'y', 'z'].map((name, index) =>
      correlation(`type: event_count, rules: [${['y', 'z', 'x'][index]}], condition: {gte: 2}`, name),
    );
    const found = problemsOf(
      [ABCD, ...ring, correlation('type: event_count, rules: [x], condition: {gte: 2}', 'above')].join('---\n'),
    );
    expect(found.map((problem) => problem.replace(/^\S+ /, ''))).toEqual([
      "reference_cycle the correlation stands on itself: 'x' -> 'y' -> 'z' -> 'x'",
      "reference_cycle the correlation stands on itself: 'y' -> 'z' -> 'x' -> 'y'",
      "reference_cycle the correlation stands on itself: 'z' -> 'x' -> 'y' -> 'z'",
      "reference_cycle the correlation stands on a cycle: 'x' -> 'y' -> 'z' -> 'x'",
    ]);
    const set = lenient([ABCD, ...ring].join('---\n'));
    expect(set.correlations).toEqual([]);
    expect(set.refused).toHaveLength(3);
  });

  it('are at most four deep', () => {
    const levels = (count: number): string =>
      [
        ABCD,
        ...Array.from({ length: count }, (_, n) =>
          correlation(`type: event_count, rules: [${n === 0 ? 'a' : `c${n - 1}`}], condition: {gte: 2}`, `c${n}`),
        ),
      ].join('---\n');
    expect(load(levels(5)).correlations.map(({ depth }) => depth)).toEqual([0, 1, 2, 3, 4]);
    expect(problemsOf(levels(6))[0]).toContain('limit_exceeded the chain is 5 correlations deep');
  });

  it('change of an inner rule changes the semantic hash of the outer one', () => {
    const hash = (text: string): string | undefined =>
      load([ABCD, text, outer(TEMPORAL)].join('---\n')).correlations.at(-1)?.semanticHash;
    expect(hash(inner)).toBe(hash(inner.replace('title: inner', 'title: other')));
    expect(hash(inner)).not.toBe(hash(inner.replace('gte: 2', 'gte: 3')));
    expect(hash(inner)).not.toBe(hash(inner.replace('rules: [a]', 'rules: [c]')));
  });
});

describe('matches', () => {
  const one = (body: string) => load([ABCD, correlation(body)].join('---\n'));

  it('have a number: the first one, in text or not; without one they are dropped and told', () => {
    const set = one('type: value_avg, rules: [a], condition: {gt: 1, field: v}');
    const numberOf = (v: unknown) => matchesOf(set, { a: 1, v }).matches.map(({ number }) => number);
    expect(numberOf(5)).toEqual([5]);
    expect(numberOf('-2.5')).toEqual([-2.5]);
    expect(numberOf(['x', null, true, '7', 8])).toEqual([7]);
    for (const none of ['x', '', null, true, []]) expect(numberOf(none)).toEqual([]);
    expect(matchesOf(set, { a: 1, v: 'x' }).groupMissing).toEqual([0]);
  });

  it('of a sum with lower bounds are never negative, so that the sum only grows', () => {
    const event = { a: 1, v: -5 };
    expect(matchesOf(one('type: value_sum, rules: [a], condition: {gt: 1, field: v}'), event)).toEqual({
      matches: [],
      groupMissing: [],
    });
    expect(matchesOf(one('type: value_sum, rules: [a], condition: {lt: 1, field: v}'), event).matches[0]?.number).toBe(
      -5,
    );
  });

  it('of absent and null groups share one group with null_group', () => {
    const set = one('type: event_count, rules: [a], group-by: [u, v], condition: {gte: 2}, x-corr: {null_group: true}');
    const key = (event: Record<string, unknown>) =>
      matchesOf(set, { a: 1, ...event }).matches.map(({ group_key }) => group_key);
    expect(key({ v: 1 })).toEqual(['["-:","n:1"]']);
    expect(key({ u: null, v: 1 })).toEqual(['["-:","n:1"]']);
    expect(key({ u: '', v: 1 })).toEqual(['["s:","n:1"]']);
    expect(groupOf({ groupBy: ['u', 'v'] }, '["-:","n:1"]')).toEqual([
      { field: 'u', value: null },
      { field: 'v', value: '1' },
    ]);
    expect(groupValues('["-:","n:1"]')).toEqual(['', '1']);
  });

  it('carry the step of negated and until rules too', () => {
    const set = one('type: temporal_ordered, rules: [a, not b, c], x-corr: {until: d}');
    expect(matchesOf(set, { b: 1, d: 1 }).matches.map(({ step }) => step)).toEqual([1, 3]);
    const boolean = one('type: temporal, rules: [a, b], condition: a and not b');
    expect(matchesOf(boolean, { a: 1, b: 1 }).matches.map(({ step }) => step)).toEqual([0, 1]);
  });

  it('of counts are one, however many of the rules the event matches', () => {
    expect(
      matchesOf(one('type: event_count, rules: [a, b], condition: {gte: 2}'), { a: 1, b: 1 }).matches,
    ).toHaveLength(1);
  });

  it('take the value field each rule calls its own', () => {
    const set = one(
      'type: value_count, rules: [a, b], condition: {gte: 2, field: who}, aliases: {who: {a: user, b: account}}',
    );
    expect(matchesOf(set, { a: 1, user: 'x' }).matches[0]?.value).toBe('["s:x"]');
    expect(matchesOf(set, { b: 1, account: 'y' }).matches[0]?.value).toBe('["s:y"]');
  });
});

it('placeholder lists are part of the identity of a set', () => {
  const rule = detection('t', '{"x|expand": "%l%"}');
  const id = (l: string[], other: string[] = []): string => load(rule, { expand: { l, other } }).rulesetId;
  expect(id(['a'])).toBe(id(['a']));
  expect(id(['a'])).not.toBe(id(['b']));
  expect(load(detection('t', '{x: 1}'), { expand: {} }).rulesetId).toBe(load(detection('t', '{x: 1}')).rulesetId);
});

describe('what is known of a rule', () => {
  it('place, words and triage guide', () => {
    const content = `# first line\n${detection('t', '{x: 1}')}references: [r1, r2]\nfields: [f1]\ndate: 2024-01-02\nmodified: 2024-02-03\nfalsepositives: [fp]\ncustom: {triage: {meaning: m, false_positives: [p], next_steps: [n1, n2]}}\n`;
    expect(load(content).detections[0]).toMatchObject({
      path: 'r.yml',
      line: 2,
      references: ['r1', 'r2'],
      fields: ['f1'],
      date: '2024-01-02',
      modified: '2024-02-03',
      falsePositives: ['fp'],
      triage: { meaning: 'm', falsePositives: ['p'], nextSteps: ['n1', 'n2'] },
      test: { op: 'text', field: 'x' },
    });
    const beside = `${ABCD}---\n${correlation('type: event_count, rules: [a], condition: {gte: 2}')}x-triage: {meaning: m}\n`;
    expect(load(beside).correlations[0]?.triage).toEqual({ meaning: 'm', falsePositives: [], nextSteps: [] });
    expect(loadCorrelation(correlation('type: event_count, rules: [a], condition: {gte: 2}')).triage).toBeNull();
  });

  it('a guide that is no map is a warning', () => {
    expect(load(`${detection('t', '{x: 1}')}x-triage: text\n`).warnings.map(formatProblem)[0]).toContain('triage');
  });
});
