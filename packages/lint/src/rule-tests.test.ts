import { loadRuleSet } from '@tracehound/sigma';
import { describe, expect, test } from 'vitest';
import { junitXml } from './junit.ts';
import { RuleTestFileError, readRuleTestFile } from './rule-test-file.ts';
import { runRuleTest } from './rule-tests.ts';

const FAILED = `title: Login failed
id: 5f0c5f0e-7f86-4d0c-9a4c-0b7d6d1c0001
name: login_failed
logsource: {product: tracehound, service: auth}
detection:
  selection: {event_type: auth.login.failure}
  condition: selection
level: informational
`;
const MANY = `title: Many logins failed
id: 5f0c5f0e-7f86-4d0c-9a4c-0b7d6d1c0002
name: many_failed
correlation:
  type: event_count
  rules: [login_failed]
  group-by: [actor.id]
  timespan: 5m
  condition: {gte: 5}
level: high
`;
const RULES = loadRuleSet([
  { path: 'failed.yml', content: FAILED },
  { path: 'many.yml', content: MANY },
]);
const HEAD =
  'defaults: {organization_id: acme, source: {platform: web}, event_type: auth.login.failure, actor: {id: u1}}\n';

function outcomesOf(tests: string): readonly (readonly string[])[] {
  const file = readRuleTestFile('x.test.yml', `${HEAD}tests:\n${tests}`);
  return file.tests.map((one) => runRuleTest(one, RULES).failures);
}

describe('running tests', () => {
  test('a correlation is found by name, group, evidence, count and time', () => {
    expect(
      outcomesOf(`
  - name: five within the window
    events: [{at: 0s, id: e1, repeat: {count: 5, every: 10s}}]
    expect: [{rule: many_failed, group: {actor.id: u1}, event_ids: [e1.0, e1.1, e1.2, e1.3, e1.4], alerts: 1, at: 40s}]
    only: true
  - name: four are too few
    events: [{at: 0s, id: e1, repeat: {count: 4, every: 10s}}]
    expect: [{rule: login_failed, event_ids: [e1.3]}]
    forbid: [many_failed]
    only: true
  - name: five, one of them a millisecond too late
    events: [{at: 0s}, {at: 300001ms, repeat: {count: 4, every: 0s}}]
    forbid: [many_failed]
  - name: two people
    events: [{at: 0s, repeat: {count: 4, every: 1s}}, {at: 1s, actor: {id: u2}}]
    forbid: [many_failed]
  - name: two organizations
    events: [{at: 0s, repeat: {count: 4, every: 1s}}, {at: 1s, organization_id: globex}]
    forbid: [many_failed]`),
    ).toEqual([[], [], [], [], []]);
  });

  test.each(['shuffle', 'reverse', '[e1.3, e1.1]'])('arrival %s changes nothing within the lateness', (arrival) => {
    expect(
      outcomesOf(`
  - name: any order
    arrival: ${arrival}
    events: [{at: 0s, id: e1, repeat: {count: 5, every: 60s}}]
    expect: [{rule: many_failed, alerts: 1, event_ids: [e1.0, e1.1, e1.2, e1.3, e1.4]}]`),
    ).toEqual([[]]);
  });

  test('an event beyond the stated lateness takes no part', () => {
    expect(
      outcomesOf(`
  - name: backwards
    arrival: reverse
    lateness: 1m
    events: [{at: 0s, id: e1, repeat: {count: 5, every: 60s}}]
    forbid: [many_failed]`),
    ).toEqual([[]]);
  });

  test('a second copy of an event changes nothing', () => {
    expect(
      outcomesOf(`
  - name: copies
    events: [{at: 0s, id: e1}, {at: 0s, id: e1}, {at: 1s, id: e2, repeat: {count: 3, every: 1s}}]
    expect: [{rule: login_failed, event_ids: [e1], alerts: 1}]
    forbid: [many_failed]`),
    ).toEqual([[]]);
  });

  test('third-party events carry their own log source', () => {
    const rules = loadRuleSet([
      {
        path: 'okta.yml',
        content:
          'title: Okta\nname: okta\nlogsource: {product: okta, service: okta}\ndetection:\n  selection: {eventType: user.session.start}\n  condition: selection\n',
      },
    ]);
    const file = readRuleTestFile(
      'x.test.yml',
      `tests:
  - name: native fields
    events:
      - {id: a, external: true, log_source: {product: okta, service: okta}, event: {eventType: user.session.start}}
      - {id: b, external: true, log_source: {product: aws, service: cloudtrail}, event: {eventType: user.session.start}}
    expect: [{rule: okta, event_ids: [a]}, {rule: okta, alerts: 1}]`,
    );
    expect(file.tests.map((one) => runRuleTest(one, rules).failures)).toEqual([[]]);
  });
});

test('copies of a repeated event differ where they say {n}', () => {
  const [one] = readRuleTestFile(
    'x.test.yml',
    "tests:\n  - name: n\n    events: [{at: 0s, id: e, a: ['r{n}', {b: 'x{n}{n}'}], c: 7, repeat: {count: 2, every: 1s}}, {at: 0s, a: '{n}'}]\n    forbid: [x]\n",
  ).tests;
  expect(one?.events.map(({ id, fields }) => [id, fields['a'], fields['c']])).toEqual([
    ['e.0', ['r0', { b: 'x00' }], 7],
    ['e.1', ['r1', { b: 'x11' }], 7],
    [expect.any(String), '{n}', undefined],
  ]);
});

describe('failures say what was expected, what came, and the nearest miss', () => {
  test('nothing came: how often each step matched', () => {
    const [[failure]] = outcomesOf(`
  - name: too few
    events: [{at: 0s, id: e1, repeat: {count: 4, every: 10s}}]
    expect: [{rule: many_failed, group: {actor.id: u1}}]`) as [[string]];
    expect(failure).toBe(
      [
        `expected 'many_failed' group {"actor.id":"u1"}`,
        `got      nothing from 'many_failed'`,
        `nearest  step 'login_failed' matched 4 of 4 events: e1.0, e1.1, e1.2, e1.3`,
      ].join('\n'),
    );
  });

  test('something else came: the nearest one and where it differs', () => {
    const [[failure]] = outcomesOf(`
  - name: other time
    events: [{at: 0s, id: e1, repeat: {count: 5, every: 10s}}]
    expect: [{rule: many_failed, group: {actor.id: u1}, at: 50s}]`) as [[string]];
    expect(failure).toContain(
      `nearest  'many_failed' group {"actor.id":"u1"} event_ids [e1.0, e1.1, e1.2, e1.3, e1.4] at 40s`,
    );
    expect(failure).toContain('differs  in at');
  });

  test('forbidden, unexpected and unknown rules', () => {
    const failures = outcomesOf(`
  - name: forbidden
    events: [{at: 0s, repeat: {count: 5, every: 10s}}]
    forbid: [many_failed]
  - name: unexpected
    events: [{at: 0s, repeat: {count: 5, every: 10s}}]
    only: true
  - name: misspelt
    events: [{at: 0s}]
    forbid: [many_faild]
  - name: too many
    events: [{at: 0s, id: a}, {at: 1s, id: b}]
    expect: [{rule: login_failed, alerts: 1}]`);
    expect(failures[0]?.[0]).toMatch(/^forbidden 'many_failed' fired once\n/);
    expect(failures[1]?.[0]).toMatch(/^unexpected 'many_failed' group/);
    expect(failures[2]?.[0]).toBe("no rule is called 'many_faild'; did you mean 'many_failed'?");
    expect(failures[3]?.[0]).toContain('got      2 of them');
  });
});

describe('reading tests', () => {
  const read = (content: string) => () => readRuleTestFile('x.test.yml', content);

  test('defaults are merged object by object, and null takes one away', () => {
    const { tests } = readRuleTestFile(
      'x.test.yml',
      `${HEAD}tests:\n  - name: n\n    now: 2026-02-01T00:00:00Z\n    events: [{at: 1h30m, source: {service: api}, actor: null}]\n    forbid: [r]\n`,
    );
    expect(tests[0]?.events).toEqual([
      {
        id: 'e1',
        timeMs: Date.parse('2026-02-01T01:30:00Z'),
        fields: {
          organization_id: 'acme',
          source: { platform: 'web', service: 'api' },
          event_type: 'auth.login.failure',
        },
      },
    ]);
  });

  test.each([
    ['', "x.test.yml:1:1 a test file is a map with 'tests'"],
    ['tests: []', "x.test.yml:1:8 'tests' is a list of at least one test"],
    ['test: 1', "x.test.yml:1:1 there is no key 'test' here; did you mean 'tests'?"],
    [
      'tests:\n  - name: a\n    events: [{}]',
      "x.test.yml:2:5 the test says neither 'expect' nor 'forbid': it could not fail",
    ],
    [
      'tests:\n  - name: a\n    events: []\n    forbid: [r]',
      "x.test.yml:3:13 'events' is a list of at least one event",
    ],
    ['tests:\n  - name: a\n    events: [{at: soon}]\n    forbid: [r]', /^x.test.yml:3:19 'at' is a duration/],
    ['tests:\n  - name: a\n    events: [{repeat: {count: 0, every: 1s}}]\n    forbid: [r]', /'repeat' is/],
    ['tests:\n  - name: a\n    arrival: random\n    events: [{}]\n    forbid: [r]', /'arrival' is shuffle/],
    ['tests:\n  - name: a\n    lateness: -5m\n    events: [{}]\n    forbid: [r]', /'lateness' is a duration/],
    ['tests:\n  - name: a\n    expect: [{rule: r, alert: 1}]\n    events: [{}]', /did you mean 'alerts'/],
    ['a: [', /x.test.yml:1/],
  ])('%j is refused in one sentence', (content, message) => {
    expect(read(content)).toThrow(RuleTestFileError);
    expect(read(content)).toThrow(message);
  });
});

test('JUnit XML escapes what tests hold', () => {
  const xml = junitXml([
    {
      path: 'a/b.test.yml',
      seconds: 0.5,
      outcomes: [
        { name: 'fine', line: 2, failures: [] },
        { name: '<"&>', line: 9, failures: ['expected \u0007 <x>\ngot nothing'] },
      ],
    },
  ]);
  expect(xml).toContain('<testsuites name="tracehound rules test" tests="2" failures="1" time="0.500">');
  expect(xml).toContain('name="fine" file="a/b.test.yml" line="2" time="0.250"/>');
  expect(xml).toContain('name="&lt;&quot;&amp;&gt;"');
  expect(xml).toContain('<failure message="expected  &lt;x&gt;">expected  &lt;x&gt;\ngot nothing</failure>');
});
