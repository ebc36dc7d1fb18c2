import { expect, it } from 'vitest';
import { createHomes } from './homes.ts';

it('R-208 of all deployments with the same entries exactly one tells of an organization', () => {
  const entries = ['acme=us', 'a=b=us', '*=eu'];
  const eu = createHomes(entries, 'eu');
  const us = createHomes(entries, 'us');
  for (const organization of ['acme', 'a=b', 'globex', 'platform']) {
    expect(eu.isHere(organization)).toBe(!us.isHere(organization));
  }
  expect(us.isHere('acme')).toBe(true);
  expect(us.isHere('a=b')).toBe(true);
  expect(eu.isHere('globex')).toBe(true);
});

it('a deployment that stands alone tells of all, and an organization has one home', () => {
  expect(createHomes([], 'local').isHere('acme')).toBe(true);
  expect(createHomes(['acme=us'], 'eu').isHere('globex')).toBe(true);
  expect(() => createHomes(['acme=us', 'acme=eu'], 'eu')).toThrow("'acme' is named twice");
});
