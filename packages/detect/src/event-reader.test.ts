import { describe, expect, it } from 'vitest';
import { createEventReader, type EventReaderOptions, type ReadEvent } from './event-reader.ts';

const read = (event: Record<string, unknown>, options: EventReaderOptions = {}): ReadEvent =>
  createEventReader(options)(event, 7);

describe('createEventReader', () => {
  it('takes the surest time and id', () => {
    const event = read({ time: '2026-01-01T00:00:00Z', '@timestamp': '2026-01-02T00:00:00Z', uuid: 'u', _id: 'i' });
    expect(event).toMatchObject({ id: 'u', timeMs: Date.UTC(2026, 0, 2), timeSource: 'field', logSource: null });
  });

  it('goes into objects, and past values that are no times', () => {
    const workspace = { id: { time: '2026-01-01T00:00:00Z' }, ts: 'soon' };
    expect(read(workspace)).toMatchObject({ id: 'line:7', timeMs: Date.UTC(2026, 0, 1) });
    const windows = { Event: { System: { TimeCreated: { '#attributes': { SystemTime: '2026-01-01T00:00:00Z' } } } } };
    expect(read(windows).timeMs).toBe(Date.UTC(2026, 0, 1));
  });

  it('looks where it is told to, and nowhere else', () => {
    const event = { a: { b: 1427461689 }, time: '2026-01-01T00:00:00Z', id: 'x', key: 12 };
    expect(read(event, { timeField: 'a.b', idField: 'key' })).toMatchObject({ id: '12', timeMs: 1_427_461_689_000 });
    expect(read(event, { timeField: 'c' }).timeSource).toBe('none');
  });

  it('falls back to the id, then to the event before', () => {
    const reader = createEventReader();
    expect(reader({ id: '017f22e2-79b0-7cc3-98c4-dc0c0c07398f' }, 1)).toMatchObject({ timeSource: 'uuid' });
    expect(reader({}, 2)).toMatchObject({ timeSource: 'none', timeMs: 0x017f22e279b0, id: 'line:2' });
  });

  it('sees an event of ours as the correlator does', () => {
    const event = read({
      event_id: 'e',
      event_type: 'auth.login.failure',
      occurred_at: '2026-01-01T00:00:00Z',
      clock_skew_ms: 1_500,
      organization_id: 'acme',
      source: { platform: 'web', instance: 'w1', seq: 4 },
      actor: { id: 'ada' },
      trace: { trace_id: 'abc' },
      network: { ip: '192.0.2.1' },
      payload: { reason: 'bad', n: 3, 'actor.id': 'forged' },
    });
    expect(event).toMatchObject({
      timeMs: Date.UTC(2026, 0, 1) + 1_500,
      organization: 'acme',
      logSource: { product: 'tracehound', service: 'auth' },
      instance: 'w1',
      sequence: 4,
    });
    const value = (field: string): unknown => event.view.values(field)?.[0];
    expect(['actor.id', 'trace_id', 'reason', 'n', 'outcome', 'payload.reason'].map(value)).toEqual([
      'ada',
      'abc',
      'bad',
      '3',
      'FAILURE',
      'bad',
    ]);
    expect(value('network.ip_hash')).toBeTypeOf('string');
  });

  it('sees a third-party record in its envelope', () => {
    const log_source = { product: 'okta', service: 'okta' };
    const event = read({
      external: true,
      organization_id: 'o',
      log_source,
      event: { eventType: 'x', a: { b: [1, 2] } },
    });
    expect(event.logSource).toEqual({ ...log_source, category: null });
    expect(event.view.values('a.b')).toEqual([1, 2]);
    expect(event.view.values('organization_id')).toEqual(['o']);
  });

  it('leaves somebody else’s log alone, whatever its event_type is called', () => {
    const event = read({ event_type: 'login_failed', organization_id: 'acme', user: 'u' });
    expect(event).toMatchObject({ organization: 'platform', logSource: null });
    expect(event.view.values('organization_id')).toEqual(['acme']);
  });
});
