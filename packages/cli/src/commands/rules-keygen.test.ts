import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseApprovalPolicy } from '@tracehound/event-model';
import { afterAll, describe, expect, it } from 'vitest';
import { readApproverKey } from '../deployment/approvals.ts';
import { UsageError } from '../usage-error.ts';
import { runRulesKeygen } from './rules-keygen.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracehound-keygen-'));
afterAll(() => rmSync(folder, { recursive: true }));

function entryOf(keyId: string, role?: string): Readonly<Record<string, string>> {
  const lines: string[] = [];
  expect(runRulesKeygen({ keyId, file: join(folder, keyId), role }, { out: (line) => void lines.push(line) })).toBe(0);
  return JSON.parse(lines.join(''));
}

describe('tracehound rules keygen', () => {
  it('prints entries that a keys file takes as they are, with the role where one is asked for', () => {
    const keys = [entryOf('ada'), entryOf('tripper', 'breaker')];
    expect(keys.map(({ role }) => role)).toEqual([undefined, 'breaker']);
    const policy = parseApprovalPolicy(JSON.stringify({ approvals: 1, keys }));
    expect(policy.keys.map(({ keyId }) => keyId)).toEqual(['ada']);
    expect(policy.breakerKeys?.map(({ keyId }) => keyId)).toEqual(['tripper']);
    expect(statSync(join(folder, 'tripper')).mode & 0o777).toBe(0o600);
    expect(readApproverKey(`tripper=${join(folder, 'tripper')}`).keyId).toBe('tripper');
  });

  it('refuses a role nobody knows, and a file that is there, and writes nothing', () => {
    for (const role of ['approver', 'Breaker', '']) {
      expect(() => entryOf('mallory', role)).toThrow(UsageError);
      expect(() => entryOf('mallory', role)).toThrow(/--role .*: there is breaker;/);
    }
    expect(existsSync(join(folder, 'mallory'))).toBe(false);
    entryOf('bob');
    const before = readFileSync(join(folder, 'bob'), 'utf8');
    expect(() => entryOf('bob', 'breaker')).toThrow(/EEXIST/);
    expect(readFileSync(join(folder, 'bob'), 'utf8')).toBe(before);
  });
});
