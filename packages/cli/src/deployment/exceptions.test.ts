import { loadRuleSet } from '@tracehound/sigma';
import { expect, test } from 'vitest';
import { exceptionsOver, exceptionText, expiredProblems } from './exceptions.ts';

const OWNED = 'custom: {owner: ada, reason: ticket 9, expires: 2027-01-31}';
const detection = (name: string): string =>
  `title: ${name}\nname: ${name}\nlogsource: {product: tracehound}\ndetection: {s: {event_type: ${name}}, condition: s}`;
const filter = (title: string, rule: string): string =>
  `title: ${title}\nfilter: {rules: [${rule}], s: {actor.id: robot}, condition: s}\n${OWNED}`;
const override = (organization: string): string =>
  `title: Large in ${organization}\noverride: {rule: many, organization: ${organization}, condition: {gte: 9}}\n${OWNED}`;
const SET = loadRuleSet([
  {
    path: 'r.yml',
    content: [
      ...[detection('a'), detection('b'), filter('Robots of a', 'a'), filter('Robots of b', 'b')],
      'title: Many\nname: many\ncorrelation: {type: event_count, rules: [a], group-by: [actor.id], timespan: 1m, condition: {gte: 3}}',
      'title: Then\nname: then\ncorrelation: {type: temporal_ordered, rules: [many, b], group-by: [actor.id], timespan: 1m}',
      ...[override('acme'), override('globex')],
    ].join('\n---\n'),
  },
]);

test('an alert was decided by the filters below its rule, and by the overrides of its organization only', () => {
  const over = (name: string, organization: string): string[] => {
    const base = SET.correlations.findIndex((rule) => rule.name === name);
    const rule = SET.correlations[SET.inOrganization(base, organization)];
    return rule === undefined ? [] : exceptionsOver(SET, rule).map(({ title }) => title);
  };
  expect(over('many', 'hooli')).toEqual(['Robots of a']);
  expect(over('many', 'acme')).toEqual(['Robots of a', 'Large in acme']);
  expect(over('then', 'globex')).toEqual(['Robots of a', 'Robots of b', 'Large in globex']);
});

test('who answers, why and until when are told, and what has expired must not be applied', () => {
  const [, , acme] = SET.exceptions;
  const end = Date.UTC(2027, 0, 31);
  if (acme === undefined) throw new Error('the override is not there');
  expect(exceptionText(acme, end - 1)).toBe("override 'Large in acme' in acme of ada expires 2027-01-31: ticket 9");
  expect(exceptionText(acme, end)).toBe("override 'Large in acme' in acme of ada expired 2027-01-31: ticket 9");
  expect(expiredProblems(SET.exceptions, end - 1)).toEqual([]);
  expect(expiredProblems([acme], end)).toEqual([
    "r.yml: override 'Large in acme' expired on 2027-01-31: remove it, or agree on another date",
  ]);
});
