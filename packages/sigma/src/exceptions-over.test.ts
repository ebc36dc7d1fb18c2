import { expect, test } from 'vitest';
import { exceptionJson, exceptionsBehind, exceptionsOver, exceptionText } from './exceptions-over.ts';
import { loadRuleSet } from './rule-set.ts';

const OWNED = 'custom: {owner: ada, reason: ticket 9, expires: 2027-01-31}';
const detection = (name: string): string =>
  `title: ${name}\nname: ${name}\nlogsource: {product: tracehound}\ndetection: {s: {event_type: ${name}}, condition: s}`;
const filter = (title: string, rule: string): string =>
  `title: ${title}\nfilter: {rules: [${rule}], s: {actor.id: robot}, condition: s}\n${OWNED}`;
const inAcme = (asked: string): string =>
  `title: 'By ${asked}'\nfilter: {rules: [b], s: {${asked}, actor.id: robot}, condition: not s}\n${OWNED}`;
const override = (organization: string): string =>
  `title: Large in ${organization}\noverride: {rule: many, organization: ${organization}, condition: {gte: 9}}\n${OWNED}`;
const SET = loadRuleSet([
  {
    path: 'r.yml',
    content: [
      ...[
        detection('a'),
        detection('b'),
        filter('Robots of a', 'a'),
        filter('Robots of b', 'b'),
        inAcme('intake_org|cased: acme'),
        inAcme('intake_org: acme'),
      ],
      'title: Many\nname: many\ncorrelation: {type: event_count, rules: [a], group-by: [actor.id], timespan: 1m, condition: {gte: 3}}',
      'title: Then\nname: then\ncorrelation: {type: temporal_ordered, rules: [many, b], group-by: [actor.id], timespan: 1m}',
      ...[override('acme'), override('globex')],
    ].join('\n---\n'),
  },
]);

const titles = (exceptions: readonly { readonly title: string }[]): string[] => exceptions.map(({ title }) => title);

test('an alert was decided by the filters below its rule, and by what holds in its organization only', () => {
  const over = (name: string, organization: string): string[] => {
    const base = SET.correlations.findIndex((rule) => rule.name === name);
    const rule = SET.correlations[SET.inOrganization(base, organization)];
    const found = rule === undefined ? [] : exceptionsOver(SET, rule, organization);
    expect(exceptionsBehind(SET, { ruleId: name, organization })).toEqual(found);
    return titles(found);
  };
  expect(over('many', 'hooli')).toEqual(['Robots of a']);
  expect(over('many', 'acme')).toEqual(['Robots of a', 'Large in acme']);
  expect(over('then', 'globex')).toEqual(['Robots of a', 'Robots of b', 'By intake_org: acme', 'Large in globex']);
  // Other spellings of acme are left out by what does not say `cased`.
  expect(over('then', 'hooli')).toEqual(['Robots of a', 'Robots of b', 'By intake_org: acme']);
  expect(over('then', 'acme')).toContain('By intake_org|cased: acme');
});

test('a finding was decided by the filters of its detection; a rule that is not there by nothing', () => {
  expect(titles(exceptionsBehind(SET, { ruleId: 'b', organization: 'acme' }))).toEqual([
    'Robots of b',
    'By intake_org|cased: acme',
    'By intake_org: acme',
  ]);
  expect(exceptionsBehind(SET, { ruleId: 'nobody', organization: 'acme' })).toEqual([]);
});

test('who answers, why and until when are told', () => {
  const acme = SET.exceptions.find(({ title }) => title === 'Large in acme');
  const end = Date.UTC(2027, 0, 31);
  if (acme === undefined) throw new Error('the override is not there');
  expect(exceptionText(acme, end - 1)).toBe("override 'Large in acme' in acme of ada expires 2027-01-31: ticket 9");
  expect(exceptionText(acme, end)).toBe("override 'Large in acme' in acme of ada expired 2027-01-31: ticket 9");
  expect(
    exceptionText({ ...acme, kind: 'filter', organization: null, owner: null, reason: null, expiresMs: null }, end),
  ).toBe("filter 'Large in acme' of nobody has no end: no reason given");
  expect(exceptionJson(acme)).toMatchObject({ id: acme.uid, expires: '2027-01-31T00:00:00.000Z', rules: ['many'] });
});
