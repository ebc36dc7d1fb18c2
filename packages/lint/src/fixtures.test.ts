import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatFinding } from './check.ts';
import { CHECKS } from './checks/all.ts';
import { lintRules } from './lint.ts';

const DIRECTORY = join(import.meta.dirname, '../fixtures');
const OPTIONS = { matchesRetentionMs: 14 * 86_400_000, today: '2026-01-20' };

/**
 * Codes without fixture: the loader reports them, but at each such line a check of ours says more exactly what is
 * wrong and stands in its place.
 */
const STOOD_IN_FOR = new Map([
  ['load-reference-ambiguous', 'name-duplicate'],
  ['load-duplicate-rule', 'id-duplicate'],
  ['load-reference-cycle', 'correlation-chain-depth'],
  // Follows from what is wrong with another rule, which is reported there.
  ['load-reference-refused', 'any error of the rule it refers to'],
]);

function findingsOf(code: string, file: 'good.yml' | 'bad.yml'): readonly string[] {
  const content = readFileSync(join(DIRECTORY, code, file), 'utf8');
  return lintRules([{ path: file, content }], OPTIONS).findings.map(formatFinding);
}

describe('fixtures', () => {
  test('every check has a good and a bad one, and there are no others', () => {
    const codes = CHECKS.map(({ code }) => code).filter((code) => !STOOD_IN_FOR.has(code));
    expect(readdirSync(DIRECTORY).toSorted()).toEqual(codes.toSorted());
    for (const code of codes) expect(existsSync(join(DIRECTORY, code, 'good.yml')), code).toBe(true);
  });

  test('codes are unique, and there are at least 60', () => {
    expect(new Set(CHECKS.map(({ code }) => code)).size).toBe(CHECKS.length);
    expect(CHECKS.length).toBeGreaterThanOrEqual(60);
  });

  test.each(readdirSync(DIRECTORY))('%s: the bad fixture reports exactly that', (code) => {
    const findings = findingsOf(code, 'bad.yml');
    expect(findings).not.toEqual([]);
    expect(findings.filter((finding) => !finding.includes(` ${code} `))).toEqual([]);
  });

  test.each(readdirSync(DIRECTORY))('%s: the good fixture reports nothing', (code) => {
    expect(findingsOf(code, 'good.yml')).toEqual([]);
  });
});
