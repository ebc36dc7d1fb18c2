import { describe, expect, it } from 'vitest';
import type { TraceEvent } from '../replay/replay-run.ts';
import { renderDiff, renderTimeline } from './replay.ts';

const event = (id: string, atMs: number, detections: readonly string[] = []): TraceEvent =>
  ({
    envelope: {
      event_id: id,
      event_time: atMs,
      event_type: 'auth.login.failure',
      outcome: 'FAILURE',
      source: { platform: 'web' },
      actor: { id: 'u1' },
    },
    detections,
  }) as unknown as TraceEvent;

const alert = (title: string) => ({
  kind: 'correlation' as const,
  rule_id: 'r',
  rule_title: title,
  level: 'high',
  author: null,
  at: '1970-01-01T00:00:02.000Z',
  group: { user: 'u1' },
  event_ids: ['b'],
  count: 5,
});

describe('what a replay shows', () => {
  it('a timeline in order of event time, decided alerts before open ones', () => {
    const text = renderTimeline(
      [event('b', 2_000, ['Login failed']), event('a', 1_000)],
      [alert('Burst')],
      [alert('Open')],
    );
    expect(text.split('\n')).toEqual([
      'TIME                      PLATFORM  EVENT               OUTCOME  ACTOR  DETECTIONS',
      '1970-01-01T00:00:01.000Z  web       auth.login.failure  FAILURE  u1',
      '1970-01-01T00:00:02.000Z  web       auth.login.failure  FAILURE  u1     Login failed',
      '',
      'AT                        LEVEL  ALERT  COUNT  GROUP',
      '1970-01-01T00:00:02.000Z  HIGH   Burst  5      user=u1',
      '1970-01-01T00:00:02.000Z  HIGH   Open   5      user=u1  so far',
      '',
      '2 events of the trace, 2 alerts on them',
    ]);
  });

  it('a difference', () => {
    const projection = { organization: 'o', rule: 'r', group: 'g', first_at: 0, last_at: 1, event_ids: ['e'] };
    const diff = { same: 1, missing: [projection], extra: [], degraded: 2 };
    expect(renderDiff(diff, { withAlerts: true }).split('\n')).toEqual([
      'CHANGE   RULE  ORGANIZATION  GROUP  FIRST                     LAST                      EVENTS',
      'missing  r     o             g      1970-01-01T00:00:00.000Z  1970-01-01T00:00:00.001Z  1',
      'final alerts: 1 the same, 1 missing live, 0 only live; 2 in degraded ranges not compared',
    ]);
  });
});
