import { TracehoundError } from '@tracehound/event-model';
import { describe, expect, it } from 'vitest';
import { eventOf } from './late-events.ts';

const codec = (retriable: boolean) => ({
  decode: () => {
    throw new TracehoundError('no schema', { code: 'SEC_TEST_SCHEMA', category: 'network', retriable });
  },
});

describe('the event in a record', () => {
  const record = { value: Buffer.from('x') };

  it('is null for what never can be read, as for markers', async () => {
    expect(await eventOf(codec(false), record)).toBeNull();
    expect(await eventOf(codec(true), { value: null })).toBeNull();
  });

  it('is not left out because the registry is away', async () => {
    await expect(eventOf(codec(true), record)).rejects.toThrow('no schema');
  });
});
