import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';
import { runRulesCoverage } from './rules-coverage.ts';
import { runRulesLint } from './rules-lint.ts';
import { runRulesList } from './rules-list.ts';
import { runRulesTest } from './rules-test.ts';

const RULE = `title: A login failed
id: 5f0c5f0e-7f86-4d0c-9a4c-0b7d6d1c0001
name: login_failed
status: test
description: Someone tried a door of the platform and was refused.
author: Tracehound
date: 2026-01-15
tags: [attack.credential-access, attack.t1110]
logsource: {product: tracehound, service: auth}
detection:
  selection: {event_type: auth.login.failure}
  condition: selection
falsepositives: [A user who mistypes the password]
level: low
`;
const TESTS = `tests:
  - name: fires
    events: [{id: e1, event_type: auth.login.failure}]
    expect: [{rule: login_failed, event_ids: [e1]}]
`;

let folder = '';
const put = (path: string, content: string): string => {
  const full = join(folder, path);
  mkdirSync(join(full, '..'), { recursive: true });
  writeFileSync(full, content);
  return full;
};

function createTerminal(outColours = false): Terminal & { readonly outs: string[]; readonly notes: string[] } {
  const outs: string[] = [];
  const notes: string[] = [];
  return {
    outs,
    notes,
    out: (text) => void outs.push(text),
    note: (text) => void notes.push(text),
    noteColours: false,
    outColours,
    width: 100,
  };
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tracehound-rules-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('rules lint', () => {
  const lint = (terminal: Terminal, options: Partial<Parameters<typeof runRulesLint>[0]> = {}): Promise<number> =>
    runRulesLint({ paths: [folder], format: 'table', level: 'info', strict: false, ...options }, terminal);

  test('clean rules: exit 0, nothing on stdout', async () => {
    put('a.yml', RULE);
    put('a.test.yml', 'not: a rule\n');
    const terminal = createTerminal();
    expect(await lint(terminal)).toBe(0);
    expect(terminal.outs).toEqual([]);
    expect(terminal.notes).toEqual(['1 rule in 1 file: 0 errors, 0 warnings, 0 remarks']);
  });

  test('an error: exit 1 and file:line:column CODE message', async () => {
    const path = put('deep/a.yaml', RULE.replace('login.failure', 'login.failed'));
    const terminal = createTerminal();
    expect(await lint(terminal)).toBe(1);
    expect(terminal.outs).toEqual([
      `${path}:11:27 catalogue-event-type-unknown the catalogue has no 'auth.login.failed'`,
    ]);
  });

  test('a warning: exit 0, with --strict 1, and hidden by --level error', async () => {
    put('a.yml', RULE.replace('id: 5f0c', 'id: x'));
    expect(await lint(createTerminal())).toBe(0);
    expect(await lint(createTerminal(), { strict: true })).toBe(1);
    const terminal = createTerminal();
    expect(await lint(terminal, { level: 'error' })).toBe(0);
    expect(terminal.outs).toEqual([]);
  });

  test('machine formats', async () => {
    put('a.yml', RULE.replace('id: 5f0c', 'id: x'));
    const [lines, whole] = [createTerminal(), createTerminal()];
    await lint(lines, { format: 'ndjson' });
    expect(JSON.parse(lines.outs[0] ?? '')).toMatchObject({ code: 'id-not-uuid', level: 'warning', line: 2 });
    await lint(whole, { format: 'json' });
    expect(JSON.parse(whole.outs[0] ?? '')).toMatchObject({
      rules: 1,
      files: 1,
      counts: { error: 0, warning: 1, info: 0 },
    });
  });

  test('no such path, no rules: one sentence', async () => {
    await expect(lint(createTerminal(), { paths: [join(folder, 'gone')] })).rejects.toThrow(UsageError);
    await expect(lint(createTerminal())).rejects.toThrow('no rule files');
  });
});

describe('rules test', () => {
  const run = (terminal: Terminal, options: Partial<Parameters<typeof runRulesTest>[0]> = {}): Promise<number> =>
    runRulesTest({ paths: [folder], format: 'table', ...options }, terminal);

  test('tests beside the rules pass: exit 0', async () => {
    put('a.yml', RULE);
    const path = put('a.test.yml', TESTS);
    const terminal = createTerminal();
    expect(await run(terminal)).toBe(0);
    expect(terminal.outs).toEqual([`ok    ${path}  1 test`]);
    expect(terminal.notes.at(-1)).toBe('1 test in 1 file: 1 passed, 0 failed');
  });

  test('a test file alone takes the rules beside it, or those it names', async () => {
    put('rules/a.yml', RULE);
    const beside = put('rules/a.test.yml', TESTS);
    const away = put('tests/a.test.yml', `rules: [../rules/a.yml]\n${TESTS}`);
    expect(await run(createTerminal(), { paths: [beside] })).toBe(0);
    expect(await run(createTerminal(), { paths: [away] })).toBe(0);
    expect(
      await run(createTerminal(), { paths: [put('tests/b.test.yml', TESTS)], rules: [join(folder, 'rules')] }),
    ).toBe(0);
  });

  test('a failure: exit 1, the reason, and JUnit', async () => {
    put('a.yml', RULE);
    put('a.test.yml', TESTS.replace('[e1]', '[e2]'));
    const terminal = createTerminal();
    const junit = join(folder, 'junit.xml');
    expect(await run(terminal, { junit })).toBe(1);
    expect(terminal.outs.join('\n')).toContain("nearest  'login_failed' event_ids [e1]");
    expect(readFileSync(junit, 'utf8')).toContain('tests="1" failures="1"');
  });

  test('rules that do not load, and tests that do not read: one sentence', async () => {
    put('a.yml', RULE.replace('condition: selection', 'condition: other'));
    put('a.test.yml', TESTS);
    await expect(run(createTerminal())).rejects.toThrow(/^the rules do not load: .*a\.yml:12/);
    put('a.test.yml', 'tests: 1');
    await expect(run(createTerminal())).rejects.toThrow(UsageError);
  });
});

test('rules list prints one line for each rule', async () => {
  put('a.yml', RULE);
  const terminal = createTerminal();
  expect(await runRulesList({ paths: [folder], format: 'table' }, terminal)).toBe(0);
  expect(terminal.outs[0]?.split('\n')[1]).toMatch(
    /^login_failed {2}detection {2}low {4}test {4}- {8}auth\.login\.failure/,
  );
});

describe('rules coverage', () => {
  test('writes a layer, and colours only where allowed', async () => {
    put('a.yml', RULE);
    const layer = join(folder, 'layer.json');
    const [plain, coloured] = [createTerminal(), createTerminal(true)];
    expect(await runRulesCoverage({ paths: [folder], format: 'table', layer }, plain)).toBe(0);
    expect(JSON.parse(readFileSync(layer, 'utf8'))).toMatchObject({
      versions: { layer: '4.5', attack: '18' },
      techniques: [{ techniqueID: 'T1110', score: 1 }],
    });
    expect(plain.outs.join('\n')).toContain('Credential Access    █░');
    expect(plain.outs.join('\n')).not.toContain('\u001b');
    await runRulesCoverage({ paths: [folder], format: 'table' }, coloured);
    expect(coloured.outs.join('\n')).toContain('\u001b[38;5;');
  });
});
