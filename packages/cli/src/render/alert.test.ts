import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { type AlertView, renderAlert } from './alert.ts';

const T0 = Date.UTC(2026, 0, 1, 9, 30);

function entry(
  id: string,
  atMs: number,
  changes: Partial<AlertView['timeline'][number]> = {},
): AlertView['timeline'][number] {
  return {
    event_id: id,
    at: T0 + atMs,
    platform: 'rust-cli',
    service: null,
    event_type: 'auth.mfa.failed',
    outcome: 'FAILURE',
    actor: { type: 'user', id: 'u-42' },
    trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
    span_id: '00f067aa0ba902b7',
    ...changes,
  };
}

function alert(changes: Partial<AlertView> = {}): AlertView {
  return {
    alert_id: '0123456789abcdef0123456789abcdef',
    organization_id: 'acme',
    status: 'open',
    severity: 'high',
    title: 'Failed verifications, then export elsewhere',
    rule_id: 'rule-1',
    kind: 'OPEN',
    revision: 4,
    group: [{ field: 'trace_id', value: '4bf92f3577b34da6a3ce929d0e0e4736' }],
    count: { value: 4, exact: false },
    first_at: T0,
    last_at: T0 + 605_000,
    fired_at: T0 + 606_000,
    why: 'All steps of the pattern in order within 10 minutes for trace_id = 4bf92f3577b34da6a3ce929d0e0e4736.',
    description: 'Verification fails on one platform and succeeds on another; then data leaves.',
    rule: {
      id: 'rule-1',
      title: 'Failed verifications, then export elsewhere',
      level: 'high',
      type: 'temporal_ordered',
      author: 'Tracehound',
      status: 'stable',
      tags: ['attack.t1110', 'attack.t1556'],
      ruleset_id: 'f00',
      timespan_ms: 600_000,
    },
    triage: null,
    exceptions: [],
    timeline: [
      entry('e1', 0),
      entry('e2', 400, {
        platform: 'javascript',
        service: 'web',
        event_type: 'auth.mfa.succeeded',
        outcome: 'SUCCESS',
      }),
      entry('e3', 5_000, {
        platform: 'python',
        event_type: 'data.exported',
        outcome: 'SUCCESS',
        actor: null,
        span_id: null,
      }),
    ],
    evidence_missing: 1,
    event_ids: ['e1', 'e2', 'e3', 'e4', 'e5', 'e6', 'e7'],
    flags: [],
    members: [],
    deliveries: [
      {
        delivery_id: 'msg_1',
        alert_id: '0123456789abcdef0123456789abcdef',
        organization_id: 'acme',
        receiver: 'analyst-webhook',
        channel: 'webhook',
        reason: 'opened',
        thin: false,
        state: 'sent',
        attempts: 2,
        http_status: 204,
        error_code: null,
        created_at: T0,
        delivered_at: T0 + 1,
        after_ack_ms: 143,
      },
      {
        delivery_id: 'msg_2',
        alert_id: '0123456789abcdef0123456789abcdef',
        organization_id: 'acme',
        receiver: 'pager',
        channel: 'webhook',
        reason: 'completed',
        thin: true,
        state: 'dead',
        attempts: 1,
        http_status: 410,
        error_code: 'gone',
        created_at: T0,
        delivered_at: null,
        after_ack_ms: null,
      },
    ],
    link: 'http://127.0.0.1:8080/v1/alerts/0123456789abcdef0123456789abcdef',
    ...changes,
  };
}

describe('renderAlert', () => {
  test('golden: plain text, 100 columns', () => {
    expect(renderAlert(alert())).toBe(
      ` HIGH   Failed verifications, then export elsewhere  [open]

  Why       All steps of the pattern in order within 10 minutes for trace_id =
            4bf92f3577b34da6a3ce929d0e0e4736.
            Verification fails on one platform and succeeds on another; then data leaves.
  Entity    trace_id = 4bf92f3577b34da6a3ce929d0e0e4736
  When      2026-01-01 09:30:00 UTC to 09:40:05 UTC (605 seconds)
  Count     >= 4
  Rule      rule-1 · temporal ordered · stable · by Tracehound
  Tags      attack.t1110, attack.t1556
  Alert     0123456789abcdef0123456789abcdef of acme

  Timeline
    2026-01-01 UTC
    09:30:00  rust-cli        auth.mfa.failed     failure  user u-42  span 00f067aa0ba902b7
              javascript/web  auth.mfa.succeeded  success  user u-42  span 00f067aa0ba902b7
    09:30:05  python          data.exported       success  -
    1 more are not in the audit store yet

  Evidence  e1
            e2
            e3
            e4
            e5
            e6
            and 1 more
  Delivered analyst-webhook  sent     2 attempts, HTTP 204, 143 ms after acknowledgement
            pager            dead     completed (thin), 1 attempt, HTTP 410, gone
  Link      http://127.0.0.1:8080/v1/alerts/0123456789abcdef0123456789abcdef`,
    );
  });

  test('golden: the triage guide of the rule', () => {
    const text = renderAlert(
      alert({
        triage: {
          meaning: 'Someone holds the password and hunts for a weaker second factor.',
          false_positives: ['A person who changes phones on the day of an export.'],
          next_steps: [
            'Call the person on a known number and ask whether the failures and the export were theirs, both of them',
            'End the sessions',
          ],
        },
      }),
    );
    expect(text).toContain(
      `of acme

  Triage    Someone holds the password and hunts for a weaker second factor.
  Known false positives
    -   A person who changes phones on the day of an export.
  Next steps
    1.  Call the person on a known number and ask whether the failures and the export were theirs,
        both of them
    2.  End the sessions

  Timeline
`,
    );
    const nextOnly = { meaning: null, false_positives: [], next_steps: ['\x1b[2JLook.'] };
    expect(renderAlert(alert({ triage: nextOnly }))).toContain('of acme\n\n  Next steps\n    1.  Look.\n\n  Timeline');
  });

  test('golden: filters and overrides behind the rule', () => {
    const parts = { id: 'f1', path: 'f.yml', line: 1, rules: ['r'], owner: 'ada', organization: null };
    const robots = { ...parts, kind: 'filter', title: 'Robots', reason: 'ticket\x1b[2J 9', expires: null } as const;
    const large = { ...robots, kind: 'override', title: 'Large', organization: 'acme', reason: null } as const;
    // The day on which the alert fired decides, not the day on which somebody looks.
    const ended = { ...large, expires: '2026-01-01T00:00:00.000Z' } as const;
    expect(renderAlert(alert({ exceptions: [robots, ended] }))).toContain(
      `by Tracehound
  But for   filter 'Robots' of ada has no end: ticket 9
            override 'Large' in acme of ada expired 2026-01-01: no reason given
  Tags `,
    );
    expect(renderAlert(alert({ exceptions: null }))).toContain('But for   not known: the rule set of the alert could');
  });

  test('colours add nothing but colours', () => {
    const coloured = renderAlert(alert(), { colours: true });
    expect(coloured).toContain('\x1b[1;37;41m HIGH \x1b[0m');
    expect(stripVTControlCharacters(coloured)).toBe(renderAlert(alert()));
    expect(renderAlert(alert(), { colours: false })).not.toContain('\x1b');
  });

  test('three platforms have three colours', () => {
    const coloured = renderAlert(alert(), { colours: true });
    expect(coloured).toMatch(/\x1b\[36mrust-cli/);
    expect(coloured).toMatch(/\x1b\[35mjavascript/);
    expect(coloured).toMatch(/\x1b\[33mpython/);
  });

  test('a narrow terminal wraps and drops spans', () => {
    const lines = renderAlert(alert({ title: 'word '.repeat(30).trim() }), { width: 72 }).split('\n');
    const wrapped = lines.slice(
      0,
      lines.findIndex((line) => line.includes('Evidence')),
    );
    expect(Math.max(...wrapped.map((line) => line.length))).toBeLessThanOrEqual(72);
    expect(lines.join('\n')).not.toContain('span 00f067aa0ba902b7');
  });

  test('event data cannot steer the terminal or forge a line', () => {
    const evil = '\x1b]0;owned\x07\x1b[2J\nLink forged\r\u202e';
    const text = renderAlert(
      alert({
        title: evil,
        why: evil,
        timeline: [entry('e', 0, { event_type: evil, platform: evil })],
        event_ids: [evil],
      }),
      { colours: false },
    );
    for (const forbidden of ['\x1b', '\x07', '\r', '\u202e']) expect(text).not.toContain(forbidden);
    expect(text.split('\n').filter((line) => line.startsWith('Link forged'))).toEqual([]);
  });

  test('without evidence and deliveries it says so', () => {
    const text = renderAlert(
      alert({ timeline: [], evidence_missing: 3, deliveries: [], group: [], kind: 'FINAL', flags: ['recovered'] }),
    );
    expect(text).toContain('3 events are not in the audit store yet');
    expect(text).toContain('Delivered to nobody');
    expect(text).toContain('Entity    the organization');
    expect(text).toContain('[open, final]');
    expect(text).toContain('Note      recovered');
  });
});
