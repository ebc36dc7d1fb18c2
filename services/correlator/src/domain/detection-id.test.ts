import { expect, it } from 'vitest';
import { detectionId } from './detection-id.ts';

it('X9 a detection id tells its parts apart, wherever their borders lie', () => {
  const base = { organizationId: 'acme', ruleId: 'r1', semanticHash: 'h', eventId: 'e' };
  expect(detectionId(base)).toMatch(/^[0-9a-f]{32}$/);
  expect(detectionId({ ...base })).toBe(detectionId(base));
  expect(detectionId({ ...base, ruleId: 'r1h', semanticHash: '' })).not.toBe(detectionId(base));
  expect(detectionId({ ...base, organizationId: 'umbrella' })).not.toBe(detectionId(base));
});

it('X9 a detection id is SHA-256 over the parts in UTF-8, each behind its length in bytes', () => {
  const parts = { organizationId: 'acmé', ruleId: 'r1', semanticHash: 'h', eventId: 'e😀' };
  expect(detectionId(parts)).toBe('64702a957f64525b68305d93c386b61d');
});
