import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testStack } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import { ROOT } from './play-on.fixture.ts';

type Run = { code: number | null; stdout: string; stderr: string };

/** `tracehound` as a user runs it, on the servers of this test run, in a namespace of its own. */
async function tracehound(args: readonly string[]): Promise<Run> {
  const stack = await testStack();
  return new Promise((done) => {
    const child = spawn(
      process.execPath,
      [
        '--conditions=@tracehound/source',
        '--disable-warning=ExperimentalWarning',
        join(ROOT, 'packages/cli/src/main.ts'),
        ...args,
      ],
      {
        cwd: ROOT,
        env: {
          ...process.env,
          TRACEHOUND_NAMESPACE: stack.namespace(),
          TRACEHOUND_HOME: mkdtempSync(join(tmpdir(), 'tracehound-home-')),
          NO_COLOR: '1',
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const run: Run = { code: null, stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      run.stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      run.stderr += chunk.toString();
    });
    child.on('close', (code) => done({ ...run, code }));
  });
}

type Summary = {
  ok: boolean;
  events: { sent: number; accepted: number; distinct: number };
  alerts: { count: number; by_kind: Record<string, number>; final: { rule: string }[] };
  audit_rows: { events: number };
  deliveries: { sent: number; webhooks: number; received: number };
  checks: { name: string; ok: boolean; detail: string }[];
};

function summaryOf(run: Run): Summary {
  expect(run.code, `${run.stderr}\n${run.stdout}`).toBe(0);
  return JSON.parse(run.stdout) as Summary;
}

describe('recorded attacks, end to end', () => {
  it('cross-platform: one alert for one attacker on three platforms, none for the counter-examples', async () => {
    const summary = summaryOf(await tracehound(['up', '--once', '--format', 'json']));
    expect(summary.checks.filter((check) => !check.ok)).toEqual([]);
    expect(summary.checks.map((check) => check.name)).toContain('what must not alert does not');
    expect(summary.alerts.count).toBe(3);
    expect(summary.events.accepted).toBe(summary.events.sent);
    expect(summary.audit_rows.events).toBe(summary.events.sent);
    expect(summary.deliveries.received).toBe(3);
  });

  it('ssh-bruteforce: the alerts equal those SQL computes from the audit rows', async () => {
    const summary = summaryOf(await tracehound(['up', '--scenario', 'ssh-bruteforce', '--once', '--format', 'json']));
    expect(summary.checks.filter((check) => !check.ok)).toEqual([]);
    expect(summary.checks.map((check) => check.name)).toContain('alerts equal those SQL computes from the audit rows');
    expect(summary.events.sent).toBe(2903);
    expect(summary.audit_rows.events).toBe(2903);
    // 102 episodes of guessing by 101 addresses (one address comes back after a day), 11 of a success after failures.
    expect(summary.alerts.final).toHaveLength(113);
    expect(summary.deliveries.received).toBe(summary.deliveries.webhooks);
  });

  it('okta-admin: four alerts tell the takeover', async () => {
    const summary = summaryOf(await tracehound(['up', '--scenario', 'okta-admin', '--once', '--format', 'json']));
    expect(summary.checks.filter((check) => !check.ok)).toEqual([]);
    expect(summary.alerts.final).toHaveLength(4);
    expect(summary.events.sent).toBe(17);
  });

  it('prints the story for people: timeline by platform, rule, delivery, audit', async () => {
    const run = await tracehound(['up', '--once']);
    expect(run.code, run.stderr).toBe(0);
    for (const word of ['rust-cli', 'javascript', 'python', 'user-4711', 'Audited', 'Delivered', '✓']) {
      expect(run.stdout).toContain(word);
    }
    expect(run.stdout).not.toContain('\u001b[');
  });

  it('a service that stays dead makes --once exit 1', async () => {
    const run = await tracehound(['up', '--once', '--restarts', '0', '--fault', 'correlator=b:after-emit']);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain('correlator');
    expect(run.stderr).toContain('stayed dead');
  });

  it('an unknown scenario is one clear sentence and exit 2', async () => {
    const run = await tracehound(['up', '--scenario', 'nope', '--once']);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain("no scenario 'nope': give one of cross-platform, okta-admin, ssh-bruteforce");
  });
});
