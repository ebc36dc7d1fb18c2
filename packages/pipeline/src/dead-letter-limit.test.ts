import { describe, expect, it, vi } from 'vitest';
import { DeadLetterLimit, DeadLetterLimitError } from './dead-letter-limit.ts';

const OPTIONS = { lettersMin: 100, shareMax: 0.5, windowRecords: 1_000 };

describe('DeadLetterLimit', () => {
  it('lets poison among good records pass for ever', () => {
    const limit = new DeadLetterLimit(OPTIONS, 'SHARE');
    for (let batch = 0; batch < 1_000; batch++) limit.admit(100, 50);
  });

  it('lets few dead letters pass, however many they are of all', () => {
    const limit = new DeadLetterLimit(OPTIONS, 'SHARE');
    for (let record = 0; record < 99; record++) limit.admit(1, 1);
    expect(() => limit.admit(1, 1)).toThrow(DeadLetterLimitError);
  });

  it('refuses the same batch as often as it comes, and goes on when it can be read', () => {
    const onRefused = vi.fn();
    const limit = new DeadLetterLimit({ ...OPTIONS, onRefused }, 'SHARE');
    limit.admit(400, 0);
    for (let round = 0; round < 3; round++) {
      expect(() => limit.admit(500, 500)).toThrow('500 of 900 records would be dead letters');
    }
    expect(onRefused).toHaveBeenCalledTimes(3);
    limit.admit(500, 0);
    limit.admit(300, 300);
  });

  it('forgets good records of long ago', () => {
    const limit = new DeadLetterLimit(OPTIONS, 'SHARE');
    limit.admit(1_000_000, 0);
    limit.admit(500, 0);
    expect(() => limit.admit(600, 600)).toThrow(DeadLetterLimitError);
  });

  it('refuses nothing at a share of 1', () => {
    const limit = new DeadLetterLimit({ ...OPTIONS, shareMax: 1 }, 'SHARE');
    limit.admit(10_000, 10_000);
  });
});
