import { describe, expect, it } from 'vitest';
import { ABCD, correlation, load, problemsOf } from './rule-text.fixture.ts';

const COUNT = correlation('type: event_count, rules: [a], group-by: [u], condition: {gte: 3}', 'many');
const filter = (custom: string, rules = '[a]'): string =>
  `title: Robots\nid: f1\nlogsource: {product: test}\nfilter: {rules: ${rules}, s: {u: robot}, condition: s}\n${custom}`;
const override = (custom: string): string =>
  `title: Acme is large\nid: o1\noverride: {rule: many, organization: acme, condition: {gte: 4}}\n${custom}`;
const OWNED = 'custom: {owner: ada, reason: ticket 9, expires: 2027-01-31}\n';
const set = (...documents: readonly string[]) => load([ABCD, COUNT, ...documents].join('---\n'));
const problems = (document: string) => problemsOf([ABCD, COUNT, document].join('---\n'));

describe('filters and overrides of a set', () => {
  it('are named with who answers for them, and with the rules they reach', () => {
    const owned = { owner: 'ada', reason: 'ticket 9', expiresMs: Date.UTC(2027, 0, 31) };
    expect(set(override(OWNED), filter(OWNED, '[b, nobody]')).exceptions).toEqual([
      {
        kind: 'filter',
        uid: 'f1',
        title: 'Robots',
        path: 'r.yml',
        line: 30,
        organization: null,
        rules: ['b'],
        ...owned,
      },
      {
        kind: 'override',
        uid: 'o1',
        title: 'Acme is large',
        path: 'r.yml',
        line: 25,
        organization: 'acme',
        rules: ['many'],
        ...owned,
      },
    ]);
    expect(set(filter(OWNED, 'any')).exceptions[0]?.rules).toEqual(['a', 'b', 'c', 'd']);
    expect(set(filter(OWNED, '[nobody]')).exceptions[0]?.rules).toEqual([]);
  });

  it.each([
    '',
    'custom: {owner: ada, reason: ticket 9}\n',
    'custom: {owner: ada, expires: 2027-01-31}\n',
    'custom: {reason: ticket 9, expires: 2027-01-31}\n',
    "custom: {owner: ' ', reason: ticket 9, expires: 2027-01-31}\n",
  ])('an override needs owner, reason and end wherever it is loaded: %j', (custom) => {
    expect(problems(override(custom))).toEqual([expect.stringMatching(/key_missing an override needs custom/)]);
  });

  it('a filter may have none, as Sigma has it; with some, the rest is missed in a warning', () => {
    expect(set(filter('')).warnings).toEqual([]);
    const { warnings, exceptions } = set(filter('custom: {owner: ada}\n'));
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringMatching(/has no reason, no expires$/)]);
    expect(exceptions[0]).toMatchObject({ owner: 'ada', reason: null, expiresMs: null });
  });

  it.each(['soon', '2027-02-30', '31.1.2027', '2027-01-31T10:00:00', '2027-13-01'])(
    'an end that is no date, or another one on each machine, is refused: %s',
    (expires) => {
      const custom = `custom: {owner: ada, reason: ticket 9, expires: '${expires}'}\n`;
      for (const document of [filter(custom), override(custom)]) {
        expect(problems(document)).toEqual([expect.stringMatching(/value_invalid custom\.expires is no date/)]);
      }
    },
  );

  it('X7 an end that has passed changes nothing by itself: the same files are the same rules at any time', () => {
    const past = set(override(OWNED.replace('2027', '1999')), filter(OWNED.replace('2027', '1999')));
    const future = set(override(OWNED), filter(OWNED));
    expect(past.correlations.map(({ semanticHash }) => semanticHash)).toEqual(
      future.correlations.map(({ semanticHash }) => semanticHash),
    );
    expect(past.inOrganization(0, 'acme')).toBe(1);
  });
});
