import { loadRuleSet } from '@tracehound/sigma';
import { expect, test } from 'vitest';
import { expiredProblems } from './exceptions.ts';

test('what has expired must not be applied', () => {
  const content = `title: Many
name: many
logsource: {product: tracehound}
detection: {s: {event_type: a}, condition: s}
---
title: Robots
filter: {rules: [many], s: {actor.id: robot}, condition: s}
custom: {owner: ada, reason: ticket 9, expires: 2027-01-31}
`;
  const { exceptions } = loadRuleSet([{ path: 'r.yml', content }]);
  const end = Date.UTC(2027, 0, 31);
  expect(expiredProblems(exceptions, end - 1)).toEqual([]);
  expect(expiredProblems(exceptions, end)).toEqual([
    "r.yml: filter 'Robots' expired on 2027-01-31: remove it, or agree on another date",
  ]);
});
