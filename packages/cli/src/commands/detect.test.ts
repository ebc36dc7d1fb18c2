import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../../..');
const MAIN = join(ROOT, 'packages/cli/src/main.ts');
const DATA = join(ROOT, 'testdata');
const folder = mkdtempSync(join(tmpdir(), 'tracehound-detect-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Ended = { readonly code: number | null; readonly out: string; readonly err: string };

function tracehound(args: readonly string[], input: Uint8Array | string = ''): Promise<Ended> {
  const child = spawn(process.execPath, ['--conditions=@tracehound/source', MAIN, ...args], {
    env: { ...process.env, NO_COLOR: '1' },
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  // A command that refuses its options does not read.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise((done, failed) => {
    child.on('error', failed);
    child.on('close', (code) => done({ code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }));
  });
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const parse = (out: string): Record<string, unknown>[] =>
  out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const SSH_RULES = join(DATA, 'auth-elastic/ssh-rules.yml');
const SSH_EVENTS = join(DATA, 'auth-elastic/events.jsonl');

describe('tracehound detect', { timeout: 60_000 }, () => {
  it('with --enrich, rules about the past of an account work on a file', async () => {
    const login = (id: string, time: string) =>
      JSON.stringify({
        event_id: id,
        event_type: 'auth.login.success',
        occurred_at: time,
        organization_id: 'acme',
        actor: { type: 'user', id: 'mia' },
        source: { platform: 'web' },
      });
    const path = file(
      'logins.ndjson',
      `${login('a', '2026-01-01T00:00:00Z')}\n${login('b', '2026-03-05T00:00:00Z')}\n${login('c', '2026-03-06T00:00:00Z')}\n`,
    );
    const detect = ['detect', '--rules', join(ROOT, 'rules/detections/auth/login-dormant.yml'), '--events', path];
    const [plain, enriched, threads, alone] = await Promise.all([
      tracehound(detect),
      tracehound([...detect, '--enrich']),
      tracehound([...detect, '--enrich', '--jobs', '2']),
      tracehound([...detect, '--geo-db', 'x.mmdb']),
    ]);
    expect(plain.out).toBe('');
    expect(parse(enriched.out).map(({ event_ids }) => event_ids)).toEqual([['b']]);
    expect(threads).toMatchObject({ code: 2, out: '' });
    expect(threads.err).toContain('leave --jobs at 1');
    expect(alone.code).toBe(2);
  });

  it('finds the same in a file, a packed pipe and with more threads', async () => {
    const detect = ['detect', '--rules', SSH_RULES];
    const events = readFileSync(SSH_EVENTS);
    // Enough for several blocks: the same days again, at other times and under other ids.
    const many = Array.from({ length: 6 }, (_, n) =>
      events
        .toString()
        .replaceAll('"time":"2015-', `"time":"20${20 + n}-`)
        .replaceAll('"id":"', `"id":"${n}-`),
    ).join('');
    const path = file('many.ndjson', many);
    const [whole, packed, parallel] = await Promise.all([
      tracehound([...detect, '--events', path]),
      tracehound(detect, gzipSync(many)),
      tracehound([...detect, '--events', path, '--jobs', '3']),
    ]);
    expect(parse(whole.out)).toHaveLength(6 * 113);
    expect([packed.out === whole.out, parallel.out === whole.out]).toEqual([true, true]);
    expect([whole.code, packed.code, parallel.code]).toEqual([0, 0, 0]);
  });

  it('explains in tables too: the condition and its values, or what was asked and the evidence', async () => {
    const rules = file('a-is-1.yml', 'title: A\nlogsource: {product: x}\ndetection: {s: {a: 1}, condition: s}\n');
    const table = ['--format', 'table', '--explain'];
    const [single, chain] = await Promise.all([
      tracehound(['detect', '--rules', rules, ...table], '{"a":1}\n'),
      tracehound(['detect', '--rules', SSH_RULES, '--events', SSH_EVENTS, ...table]),
    ]);
    expect(single.out).toMatch(/line:1\n {2}✓ a is "1" {2}\(is 1\)\n$/);
    expect(chain.out.split('\n').slice(1, 5)).toEqual([
      expect.stringContaining('SSH failure then success'),
      '  asked: ssh_failed, then ssh_accepted',
      expect.stringMatching(/^ {4}2015-03-29T10:42:45\.000Z {2}1616\.0 {2}ssh_failed$/),
      expect.stringMatching(/^ {4}2015-03-29T10:43:01\.000Z {2}1617\.0 {2}ssh_accepted$/),
    ]);
  });

  it('runs the rules of a profile with what they stand on, and names the profiles there are', async () => {
    const rule = (name: string, profile: string) =>
      `title: ${name}\nname: ${name}\nlogsource: {product: x}\ndetection: {s: {a: 1}, condition: s}\ncustom: {profile: ${profile}}\n`;
    const rules = file('profiles.yml', `${rule('one', 'default')}---\n${rule('two', 'extended')}`);
    const [one, none] = await Promise.all([
      tracehound(['detect', '--rules', rules, '--profile', 'default'], '{"a":1}\n'),
      tracehound(['detect', '--rules', rules, '--profile', 'nope'], '{"a":1}\n'),
    ]);
    expect(parse(one.out).map((row) => row['rule_title'])).toEqual(['one']);
    expect([none.code, none.err.trim()]).toEqual([
      2,
      'tracehound: --profile nope: no rule has this profile; there are: default, extended',
    ]);
  });

  it('fills placeholders in from the command line and from files, on every thread', async () => {
    const rules = file(
      'expand.yml',
      'title: An administrator\nlogsource: {product: x}\ndetection: {s: {user|expand: "%admins%"}, condition: s}\n',
    );
    const lists = file('lists.yml', 'admins: [root, 007]\n');
    const events = file(
      'users.ndjson',
      ['root', '007', '7', 'eve', 'ada'].map((user) => `{"user":"${user}"}\n`).join(''),
    );
    const detect = ['detect', '--rules', rules, '--events', events];
    const args = [...detect, '--expand', lists, '--expand', 'admins=ada'];
    const [filled, parallel, empty] = await Promise.all([
      tracehound(args),
      tracehound([...args, '--jobs', '2']),
      tracehound(detect),
    ]);
    expect(parse(filled.out).map((row) => row['event_ids'])).toEqual([['line:1'], ['line:2'], ['line:5']]);
    expect(parallel.out).toBe(filled.out);
    expect([empty.code, empty.err]).toEqual([2, expect.stringContaining('placeholder_unresolved')]);
  });

  it('meets the pairs of SigmaHQ rules over CloudTrail that another engine found', async () => {
    const { out, code } = await tracehound([
      ...['detect', '--rules', join(DATA, 'sigma-rules/rules/cloud/aws')],
      ...['--events', join(DATA, 'cloudtrail-stratus/events.jsonl'), '--logsource', 'product=aws,service=cloudtrail'],
    ]);
    expect(code).toBe(0);
    const rows = parse(out);
    const pairs = new Set(rows.map((row) => `${row['rule_id']} ${(row['event_ids'] as string[])[0]}`));
    expect(pairs).toEqual(pairsOf(join(DATA, 'cloudtrail-stratus/expected-sigmahq.json')));
    expect(rows).toHaveLength(80);
  });

  it('maps fields by pipelines, shipped and own, in every thread', async () => {
    const own = file('mine.yml', 'transformations:\n  - {type: field_name_mapping, mapping: {event_type: kind}}\n');
    const events = readFileSync(SSH_EVENTS, 'utf8').replaceAll('"event_type"', '"kind"');
    const rules = file('by-source.yml', readFileSync(SSH_RULES, 'utf8').replaceAll('[ip]', '[source.ip]'));
    const flags = ['detect', '--rules', rules, '--pipeline', 'sshd', own, '--events'];
    const [alone, parallel] = await Promise.all([
      tracehound([...flags, file('mapped.ndjson', events)]),
      tracehound([...flags, file('again.ndjson', events), '--jobs', '2']),
    ]);
    expect(parse(alone.out)).toHaveLength(113);
    expect(parallel.out).toBe(alone.out);
    const unmapped = await tracehound([...flags, file('unmapped.ndjson', events.replaceAll('"ip"', '"addr"'))]);
    expect(parse(unmapped.out)).toHaveLength(0);
  });

  it('names refused rules and lines that are no events, and goes on', async () => {
    const good = 'title: Good\nlogsource: {product: x}\ndetection: {s: {a: 1}, condition: s}\nauthor: Ada\n';
    const rules = file(
      'rules.yml',
      `${good}---\ntitle: Bad\nlogsource: {product: x}\ndetection: {s: {a|nope: 1}, condition: s}\n`,
    );
    const { out, err, code } = await tracehound(['detect', '--rules', rules, '--explain'], '{"a":1}\nnope\n');
    expect(code).toBe(0);
    expect(parse(out)).toMatchObject([
      {
        kind: 'detection',
        rule_title: 'Good',
        author: 'Ada',
        event_ids: ['line:1'],
        explain: { op: 'test', matched: true, field: 'a', values: [1] },
      },
    ]);
    expect(err).toContain('rules.yml:8:17 modifier_unknown');
    expect(err).toContain('line 2: not valid JSON');
    expect(err).toContain('1 event without a time');
  });

  it.each([
    ['rules that are not there', ['--rules', '/none'], 'does not exist'],
    ['an input that is not there', ['--rules', SSH_RULES, '--events', '/none'], 'cannot be read'],
    ['a lateness without a unit', ['--rules', SSH_RULES, '--lateness', '5'], 'write a number and'],
    ['a log source without a key', ['--rules', SSH_RULES, '--logsource', 'aws'], 'write product='],
    ['no rules', [], "required option '--rules"],
  ])('exit code 2 and one sentence for %s', async (_, args, sentence) => {
    const { out, err, code } = await tracehound(['detect', ...args]);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(sentence);
  });

  it('prints a table and one JSON array', async () => {
    const detect = ['detect', '--rules', SSH_RULES, '--events', SSH_EVENTS, '--format'];
    const [table, json] = await Promise.all([tracehound([...detect, 'table']), tracehound([...detect, 'json'])]);
    expect(table.out.split('\n')[0]).toMatch(/^AT +KIND +LEVEL +RULE +COUNT {2}GROUP$/);
    expect(JSON.parse(json.out)).toHaveLength(113);
  });

  it('on SIGINT prints what was decided and says so', async () => {
    const child = spawn(process.execPath, ['--conditions=@tracehound/source', MAIN, 'detect', '--rules', SSH_RULES]);
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    // A second signal would end it at once. It waits for more bytes, which do not come.
    child.stdout.once('data', () => child.kill('SIGINT'));
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString();
    });
    child.stdin.on('error', () => {});
    child.stdin.write(readFileSync(SSH_EVENTS));
    const code = await new Promise((done) => void child.on('close', done));
    expect(code).toBe(130);
    expect(parse(out).length).toBeGreaterThan(0);
    expect(err).toContain('interrupted');
  });
});

/** Pairs of rule and event of an `expected*.json`. */
function pairsOf(path: string): ReadonlySet<string> {
  const { matches } = JSON.parse(readFileSync(path, 'utf8')) as { matches: Record<string, string[]> };
  return new Set(Object.entries(matches).flatMap(([rule, events]) => events.map((event) => `${rule} ${event}`)));
}

describe('tracehound rules explain, backtest', { timeout: 60_000 }, () => {
  it('explains an event', async () => {
    const event = '{"event_type":"auth.accepted2","id":"7"}';
    const { out, code } = await tracehound(['rules', 'explain', SSH_RULES, '--event', event, '--rule', 'ssh_accepted']);
    expect(code).toBe(0);
    expect(out).toBe(
      `SSH accepted (${SSH_RULES}:12) does not match event 7\n` +
        '  ✗ event_type is "auth.accepted"  (is "auth.accepted2")\n' +
        '  to match it would need: event_type is "auth.accepted"\n',
    );
  });

  it('shows the near miss of a correlation', async () => {
    const { out } = await tracehound([
      ...['rules', 'explain', SSH_RULES, '--events', SSH_EVENTS, '--format', 'ndjson'],
      ...['--rule', 'SSH password spraying by source', '--groups', '1'],
    ]);
    expect(parse(out)[0]).toMatchObject({
      groups: [{ holds: false, reached: '4 values of user, asked for: gte 5', would_fire_with: ['condition gte: 4'] }],
    });
  });

  it('sets old and new rules side by side', async () => {
    const stricter = file('new.yml', readFileSync(SSH_RULES, 'utf8').replace('{gte: 5}', '{gte: 7}'));
    const { out, code } = await tracehound([
      ...['backtest', '--rules', stricter, '--against', SSH_RULES, '--events', SSH_EVENTS, '--format', 'json'],
      ...['--from', '2015-04-01T00:00:00Z', '--to', '2015-04-05T00:00:00Z'],
    ]);
    expect(code).toBe(0);
    const report = JSON.parse(out) as { gained: number; lost: number; changed: number; rows: unknown[] };
    expect(report.gained).toBe(0);
    expect(report.lost).toBeGreaterThan(5);
    expect(report.rows).toHaveLength(report.lost + report.changed);
  });
});
