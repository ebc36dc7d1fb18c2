import { expect, it } from 'vitest';
import { detectionId } from './detection-id.ts';

it('X9 a detection id tells its parts apart, wherever their borders lie', () => {
  const base = { organizationId: 'acme', ruleId: 'r1', semanticHash: 'h', eventId: 'e' };
  expect(detectionId(base)).toMatch(/^[0-9a-f]{32}$/);
  expect(detectionId({ ...base })).toBe(detectionId(base));
  expect(detectionId({ ...base, ruleId: 'r1h', semanticHash: '' })).not.toBe(detectionId(base));
  expect(detectionId({ ...base, organizationId: 'umbrella' })).not.toBe(detectionId(base));
});
