import { describe, expect, it } from 'vitest';
import { ABCD, correlation, load, loadCorrelation, problemsOf } from './rule-text.fixture.ts';

const DAY_MS = 86_400_000;
const definitionOf = (body: string) => loadCorrelation(correlation(body)).definition;
const problems = (...bodies: string[]): string[] =>
  problemsOf([ABCD, ...bodies.map((body, index) => correlation(body, `x${index}`))].join('---\n'));

describe('counts, sums, averages, percentiles, shares', () => {
  it.each([
    ['type: event_count, rules: [a], condition: {gte: 3}', 'event_count', [['gte', 3]], 'arrival'],
    ['type: event_count, rules: [a], condition: {gt: 3}', 'event_count', [['gte', 4]], 'arrival'],
    ['type: event_count, rules: [a], condition: {lt: 3}', 'event_count', [['lte', 2]], 'watermark'],
    ['type: event_count, rules: [a], condition: {eq: 3}', 'event_count', [['eq', 3]], 'watermark'],
    ['type: event_count, rules: [a], condition: {neq: 3}', 'event_count', [['neq', 3]], 'watermark'],
    [
      'type: event_count, rules: a, condition: {lte: 9, gt: 2}',
      'event_count',
      [
        ['lte', 9],
        ['gte', 3],
      ],
      'watermark',
    ],
    ['type: value_count, rules: [a], condition: {gte: 3, field: v}', 'value_count', [['gte', 3]], 'arrival'],
    ['type: value_sum, rules: [a], condition: {gt: 1.5, field: v}', 'value_sum', [['gt', 1.5]], 'arrival'],
    ['type: value_sum, rules: [a], condition: {lt: 1.5, field: v}', 'value_sum', [['lt', 1.5]], 'watermark'],
    ['type: value_avg, rules: [a], condition: {gt: -2.5, field: v}', 'value_avg', [['gt', -2.5]], 'watermark'],
    ['type: value_rarity, rules: [a], condition: {lte: 1, field: v}', 'value_rarity', [['lte', 1]], 'watermark'],
    [
      'type: value_count, rules: [a], condition: {lte: 1, field: v}, x-corr: {type: value_rarity}',
      'value_rarity',
      [['lte', 1]],
      'watermark',
    ],
  ] as const)('%s', (body, type, bounds, decided) => {
    const definition = definitionOf(body);
    expect(definition).toMatchObject({ type, decided, spanMs: 300_000, window: { kind: 'sliding' } });
    expect(definition.bounds.map(({ relation, value }) => [relation, value])).toEqual(bounds);
  });

  it('P7 thresholds of sums, averages and percentiles may be fractions', () => {
    expect(definitionOf('type: value_avg, rules: [a], condition: {gt: 9.5, field: v}').bounds).toEqual([
      { relation: 'gt', value: 9.5 },
    ]);
  });

  it('a percentile has a rank; the median is rank 50; no rank and upper bounds mean a share', () => {
    const percentile = (body: string) => {
      const { type, percentile: rank } = definitionOf(body);
      return [type, rank];
    };
    expect(percentile('type: value_percentile, rules: [a], condition: {gte: 9, field: v, percentile: 95}')).toEqual([
      'value_percentile',
      95,
    ]);
    expect(percentile('type: value_percentile, rules: [a], condition: {gte: 9, field: v, percentile: 99.9}')).toEqual([
      'value_percentile',
      99.9,
    ]);
    expect(percentile('type: value_median, rules: [a], condition: {gte: 9, field: v}')).toEqual([
      'value_percentile',
      50,
    ]);
    expect(percentile('type: value_percentile, rules: [a], condition: {lte: 1, field: v}')).toEqual([
      'value_rarity',
      null,
    ]);
    const set = load(`${ABCD}---\n${correlation('type: value_percentile, rules: [a], condition: {lte: 1, field: v}')}`);
    expect(set.warnings[0]?.message).toContain('value_rarity');
  });

  it('field is a text or a list', () => {
    expect(
      loadCorrelation(correlation('type: value_count, rules: [a], condition: {gte: 2, field: v}')).valueFields,
    ).toEqual(['v']);
    expect(
      loadCorrelation(correlation('type: value_count, rules: [a], condition: {gte: 2, field: [v, w]}')).valueFields,
    ).toEqual(['v', 'w']);
  });

  it('bounds that contradict each other get no advice about silent groups', () => {
    const content = correlation('type: event_count, rules: [a], condition: {gt: 5, lt: 5}');
    expect(problemsOf(`${ABCD}---\n${content}`)[0]).toMatch(/no number meets these bounds$/);
  });

  it.each([
    ['type: nope, rules: [a]', 'value_invalid', 'value_median'],
    ['rules: [a]', 'value_invalid', "'type'"],
    ['type: event_count, condition: {gte: 1}', 'key_missing', "'rules'"],
    ['type: event_count, rules: [], condition: {gte: 1}', 'key_missing', "'rules'"],
    ['type: event_count, rules: [a], condition: {}', 'key_missing', 'gte'],
    ['type: event_count, rules: [a], condition: 5', 'key_missing', 'condition'],
    ['type: event_count, rules: [a], condition: {gte: -1}', 'value_invalid', 'whole'],
    ['type: event_count, rules: [a], condition: {gte: "5"}', 'value_invalid', 'whole'],
    ['type: event_count, rules: [a], condition: {gte: 1000000}', 'limit_exceeded', '10000'],
    ['type: event_count, rules: [a], condition: {gte: 5, lt: 5}', 'value_invalid', 'no number'],
    ['type: event_count, rules: [a], condition: {gt: 5, lt: 7, neq: 6}', 'value_invalid', 'no number'],
    ['type: event_count, rules: [a], condition: {eq: 5, neq: 5}', 'value_invalid', 'no number'],
    ['type: value_count, rules: [a], condition: {eq: 0, field: v}', 'value_invalid', 'x-corr.expect'],
    ['type: event_count, rules: [a], condition: {lt: 1}', 'value_invalid', 'x-corr.expect'],
    ['type: event_count, rules: [a], condition: {eq: 0}', 'value_invalid', 'x-corr.expect'],
    ['type: event_count, rules: [a], condition: {gte: 5, field: v}', 'key_unknown', 'field'],
    ['type: event_count, rules: [a], condition: {gte: 5, nope: v}', 'key_unknown', 'nope'],
    ['type: event_count, rules: [a], condition: {gte: 5, percentile: 5}', 'key_unknown', 'percentile'],
    ['type: value_sum, rules: [a], condition: {gte: 5}', 'key_missing', 'field'],
    ['type: value_sum, rules: [a], condition: {gte: 0, field: v}', 'value_invalid', 'always true'],
    ['type: value_sum, rules: [a], condition: {gt: 5, lte: 5, field: v}', 'value_invalid', 'no number'],
    ['type: value_avg, rules: [a], condition: {gte: 5, field: [v, w]}', 'value_invalid', 'one'],
    ['type: value_avg, rules: [a], condition: {gte: .inf, field: v}', 'value_invalid', 'number'],
    ['type: value_percentile, rules: [a], condition: {gte: 5, field: v}', 'key_missing', 'rank'],
    ['type: value_percentile, rules: [a], condition: {gte: 5, field: v, percentile: 101}', 'value_invalid', '0 to 100'],
    ['type: value_rarity, rules: [a], condition: {gt: 100, field: v}', 'value_invalid', 'no number'],
    ['type: event_count, rules: [a], group-by: [u, u], condition: {gte: 2}', 'value_invalid', 'twice'],
    [
      'type: event_count, rules: [a], group-by: [1, 2, 3, 4, 5, 6, 7, 8, 9], condition: {gte: 2}',
      'limit_exceeded',
      'group-by',
    ],
    ['type: event_count, rules: [a], aliases: {u: v}, condition: {gte: 2}', 'value_invalid', 'alias'],
  ])('%s is refused', (body, code, words) => {
    const found = problems(body);
    expect(
      found.some((problem) => problem.includes(` ${code} `) && problem.includes(words)),
      found.join('\n'),
    ).toBe(true);
  });
});

it('an alias that leaves a rule out or names a stranger is a warning', () => {
  const aliases = 'aliases: {u: {a: user, zz: name}, v: {a: x, b: y}}';
  const set = load(
    `${ABCD}---\n${correlation(`type: event_count, rules: [a, b], group-by: [u], ${aliases}, condition: {gte: 2}`)}`,
  );
  expect(set.warnings.map(({ message }) => message.split(':')[0])).toEqual([
    "alias 'u' says nothing of 'b'",
    "alias 'u' names 'zz', which is no rule of this correlation",
  ]);
});

describe('timespans', () => {
  it.each([
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1d', DAY_MS],
    ['2w', 14 * DAY_MS],
    ['90d', 90 * DAY_MS],
  ])('%s', (text, spanMs) => {
    const yaml = `title: x\nname: x\ncorrelation: {type: event_count, rules: [a], timespan: ${text}, condition: {gte: 2}}\n`;
    const set = load(`${ABCD}---\n${yaml}`);
    expect(set.correlations[0]?.definition.spanMs).toBe(spanMs);
    expect(set.warnings.length).toBe(spanMs > DAY_MS ? 1 : 0);
  });

  it.each(['5M', '1y', '91d', '0s', '5', 'm', '5 m', '-5m', '1.5h', '999999999w'])('%s is refused', (text) => {
    const yaml = `title: x\nname: x\ncorrelation: {type: event_count, rules: [a], timespan: ${text}, condition: {gte: 2}}\n`;
    expect(problemsOf(`${ABCD}---\n${yaml}`)[0]).toContain('timespan');
  });

  it('is needed', () => {
    expect(
      problemsOf(`${ABCD}---\ntitle: x\ncorrelation: {type: event_count, rules: [a], condition: {gte: 2}}\n`)[0],
    ).toContain('timespan');
  });
});

describe('temporal', () => {
  const step = (index: number) => ({ op: 'step', step: index });
  const never = (index: number) => ({ op: 'not', of: step(index) });

  it.each([
    ['rules: [a, b, c]', { op: 'at_least', count: 3, steps: [0, 1, 2] }, 'arrival'],
    ['rules: [a, b, c], condition: {gte: 2}', { op: 'at_least', count: 2, steps: [0, 1, 2] }, 'arrival'],
    ['rules: [a, b, c], condition: {gt: 1}', { op: 'at_least', count: 2, steps: [0, 1, 2] }, 'arrival'],
    ['rules: [a, b], condition: a and b', { op: 'and', of: [step(0), step(1)] }, 'arrival'],
    ['rules: [a, b], condition: a OR b', { op: 'or', of: [step(0), step(1)] }, 'arrival'],
    ['rules: [a, b], condition: a and not b', { op: 'and', of: [step(0), never(1)] }, 'watermark'],
    ['rules: [a, b, c], condition: a and not (b or c)', { op: 'and', of: [step(0), never(1), never(2)] }, 'watermark'],
    [
      'rules: [a, b, c], condition: a and not all of them',
      { op: 'and', of: [step(0), { op: 'or', of: [never(0), never(1), never(2)] }] },
      'watermark',
    ],
    ['rules: [a, b, c], condition: 1 of them', { op: 'or', of: [step(0), step(1), step(2)] }, 'arrival'],
    ['rules: [a, b, c], condition: all of *', { op: 'and', of: [step(0), step(1), step(2)] }, 'arrival'],
    ['condition: a and not b', { op: 'and', of: [step(0), never(1)] }, 'watermark'],
    ['rules: [a], condition: a and b', { op: 'and', of: [step(0), step(1)] }, 'arrival'],
    ['rules: [a, a, b]', { op: 'at_least', count: 2, steps: [0, 1] }, 'arrival'],
  ])('%s', (body, temporal, decided) => {
    expect(definitionOf(`type: temporal, ${body}`)).toMatchObject({ temporal, decided, bounds: [], ordered: [] });
  });

  it('a condition may call rules by id or by name, whatever the list does', () => {
    const withId = ABCD.replace('name: b\n', 'name: b\nid: the-id\n');
    const set = load(`${withId}---\n${correlation('type: temporal, rules: [a, the-id], condition: a and not b')}`);
    expect(set.correlations[0]).toMatchObject({ steps: [0, 1], definition: { temporal: { op: 'and' } } });
  });

  it.each([
    ['rules: [a, b], condition: not a', 'condition_syntax', 'does happen'],
    ['rules: [a, b], condition: a or not b', 'condition_syntax', 'does happen'],
    ['rules: [a, b], condition: not (a and b)', 'condition_syntax', 'does happen'],
    ['rules: [a, b], condition: a and', 'condition_syntax', 'missing'],
    ['rules: [a, b], condition: a and 1 of z*', 'condition_syntax', 'z*'],
    ['rules: [a, b], condition: a and nope', 'reference_unknown', 'nope'],
    ['rules: [a, b], condition: {gte: 3}', 'value_invalid', '1 to 2'],
    ['rules: [a, b], condition: {gte: 0}', 'value_invalid', '1 to 2'],
    ['rules: [a, b], condition: {lt: 2}', 'unsupported', 'a and not b'],
    ['rules: [a, b], condition: [a]', 'value_invalid', 'temporal'],
    ['rules: [a, b, c, d, e, f, g, h, i, j, k]', 'limit_exceeded', '10'],
    ['rules: [a, b], x-corr: {runs: {a: 2}}', 'unsupported', 'runs'],
    ['rules: [a, b], x-corr: {until: c}', 'unsupported', 'until'],
  ])('%s is refused', (body, code, words) => {
    const found = problems(`type: temporal, ${body}`);
    expect(
      found.some((problem) => problem.includes(` ${code} `) && problem.includes(words)),
      found.join('\n'),
    ).toBe(true);
  });
});

describe('temporal_ordered', () => {
  const ordered = (body: string) =>
    definitionOf(`type: temporal_ordered, ${body}`).ordered.map(
      ({ step, runs, negated }) => `${negated ? 'not ' : ''}${step}${runs > 1 ? `x${runs}` : ''}`,
    );

  it.each([
    ['rules: [a, b]', ['0', '1']],
    ['rules: [a, a]', ['0', '1']],
    ['rules: [a, not b, c]', ['0', 'not 1', '2']],
    ['condition: a and not b and c', ['0', 'not 1', '2']],
    ['rules: [a, b, c], condition: c and not b and a', ['0', 'not 1', '2']],
    ['rules: [a, b], condition: {gte: 2}', ['0', '1']],
    ['rules: [a, b], x-corr: {runs: {a: 5}}', ['0x5', '1']],
    ['rules: [a], x-corr: {runs: {a: 5}}', ['0x5']],
    ['rules: [a, not b]', ['0', 'not 1']],
  ])('%s', (body, steps) => {
    expect(ordered(body)).toEqual(steps);
  });

  it('names its detections in the order of the steps, until at the end', () => {
    const rule = loadCorrelation(
      correlation(
        'type: temporal_ordered, rules: [b, not c, a], x-corr: {until: [d, c], strict: true, gap: 1m, reuse: true}',
      ),
    );
    expect(rule.steps).toEqual([1, 2, 0, 3, 2]);
    expect(rule.definition).toMatchObject({
      until: [3, 4],
      strict: true,
      gapMs: 60_000,
      reuse: true,
      decided: 'watermark',
    });
    expect(rule).toMatchObject({ type: 'temporal_ordered', threshold: 3, strict: true });
  });

  it.each([
    ['rules: [a]', 'value_invalid', 'two'],
    ['rules: [not a, not b]', 'value_invalid', 'does happen'],
    ['condition: a or b', 'condition_syntax', "'and'"],
    ['condition: a and not (b and c)', 'condition_syntax', "'and'"],
    ['rules: [a, b], condition: {gte: 1}', 'unsupported', 'all steps'],
    ['rules: [a, b], condition: 5', 'value_invalid', 'text'],
    ['rules: [a, b], x-corr: {runs: {c: 2}}', 'reference_unknown', "'c'"],
    ['rules: [a, b], x-corr: {runs: {a: 0}}', 'value_invalid', 'whole'],
    ['rules: [a, b], x-corr: {until: nope}', 'reference_unknown', 'nope'],
    ['rules: [a, b, c, d, a, b, c, d, a, b], x-corr: {until: c}', 'limit_exceeded', '10'],
  ])('%s is refused', (body, code, words) => {
    const found = problems(`type: temporal_ordered, ${body}`);
    expect(
      found.some((problem) => problem.includes(` ${code} `) && problem.includes(words)),
      found.join('\n'),
    ).toBe(true);
  });
});

describe('x-corr', () => {
  const COUNT = 'type: event_count, rules: [a], group-by: [u]';
  it.each([
    [
      `${COUNT}, condition: {gte: 2}, x-corr: {window: tumbling}`,
      { window: { kind: 'tumbling' }, decided: 'watermark' },
    ],
    [
      `${COUNT}, condition: {gte: 2}, x-corr: {window: session, gap: 10m}`,
      { window: { kind: 'session', gapMs: 600_000 }, gapMs: null },
    ],
    [`${COUNT}, condition: {gte: 2}, x-corr: {on_match: every}`, { onMatch: 'every', decided: 'watermark' }],
    [`${COUNT}, condition: {gte: 2}, x-corr: {on_match: reset}`, { onMatch: 'reset', decided: 'watermark' }],
    [
      `${COUNT}, condition: {gte: 2}, x-corr: {suppress: 1h}`,
      { onMatch: 'suppress', suppressMs: 3_600_000, decided: 'arrival' },
    ],
    [
      `${COUNT}, condition: {lt: 2}, x-corr: {expect: [b, a, 5]}`,
      { expect: ['["n:5"]', '["s:a"]', '["s:b"]'], window: { kind: 'tumbling' } },
    ],
    [`${COUNT}, condition: {eq: 0}, x-corr: {expect: [a]}`, { bounds: [{ relation: 'eq', value: 0 }] }],
    ['type: event_count, rules: [a], condition: {lt: 1}, x-corr: {expect: true}', { expect: ['[]'] }],
    [
      'type: event_count, rules: [a], group-by: [u, v], condition: {lt: 1}, x-corr: {expect: [[a, 1], {v: 2, u: b}]}',
      { expect: ['["s:a","n:1"]', '["s:b","n:2"]'] },
    ],
  ])('%s', (body, wanted) => {
    expect(definitionOf(body)).toMatchObject(wanted);
  });

  it('may stand beside the correlation, but not in both places', () => {
    const beside = correlation('type: event_count, rules: [a], condition: {gte: 2}') + 'x-corr: {on_match: every}\n';
    expect(loadCorrelation(beside).definition.onMatch).toBe('every');
    const both =
      correlation('type: event_count, rules: [a], condition: {gte: 2}, x-corr: {suppress: 1h}') +
      'x-corr: {on_match: every}\n';
    expect(problemsOf(`${ABCD}---\n${both}`)[0]).toContain('once');
  });

  it.each([
    [`${COUNT}, condition: {gte: 2}, x-corr: {nope: 1}`, 'key_unknown', 'nope'],
    [`${COUNT}, condition: {gte: 2}, x-corr: 5`, 'value_invalid', 'map'],
    [`${COUNT}, condition: {gte: 2}, x-corr: {type: value_mode}`, 'value_invalid', 'value_rarity'],
    [`${COUNT}, condition: {gte: 2}, x-corr: {window: hopping}`, 'value_invalid', 'tumbling'],
    [`${COUNT}, condition: {gte: 2}, x-corr: {window: session}`, 'key_missing', 'gap'],
    [`${COUNT}, condition: {gte: 2}, x-corr: {gap: 5m}`, 'value_invalid', 'session'],
    [`${COUNT}, condition: {gte: 2}, x-corr: {on_match: always}`, 'value_invalid', 'reset'],
    [`${COUNT}, condition: {gte: 2}, x-corr: {on_match: every, suppress: 1h}`, 'value_invalid', 'suppress'],
    [`${COUNT}, condition: {gte: 2}, x-corr: {suppress: 91d}`, 'limit_exceeded', '90 days'],
    [`${COUNT}, condition: {gte: 2}, x-corr: {suppress: 1M}`, 'value_invalid', 'months'],
    [`${COUNT}, condition: {gte: 2}, x-corr: {strict: true}`, 'unsupported', 'strict'],
    [`${COUNT}, condition: {gte: 2}, x-corr: {reuse: true}`, 'unsupported', 'reuse'],
    [`${COUNT}, condition: {gte: 2}, x-corr: {null_group: 1}`, 'value_invalid', 'true or false'],
    [`${COUNT}, condition: {gte: 2}, x-corr: {expect: [a]}`, 'value_invalid', 'silent'],
    [`${COUNT}, condition: {lt: 2}, x-corr: {expect: [[a, b]]}`, 'value_invalid', 'a value for each of: u'],
    [`${COUNT}, condition: {lt: 2}, x-corr: {expect: [{w: b}]}`, 'value_invalid', 'a value for each of: u'],
    [`${COUNT}, condition: {lt: 2}, x-corr: {expect: true}`, 'value_invalid', 'lists the groups'],
    [`${COUNT}, condition: {lt: 2}, x-corr: {expect: [a], window: session, gap: 1m}`, 'value_invalid', 'tumbling'],
  ])('%s is refused', (body, code, words) => {
    const found = problems(body);
    expect(
      found.some((problem) => problem.includes(` ${code} `) && problem.includes(words)),
      found.join('\n'),
    ).toBe(true);
  });
});
