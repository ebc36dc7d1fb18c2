import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { declaredMetrics, metricsOf, ROOT } from './declared-metrics.ts';
import { hasTool, runTool } from './tool-or-install.ts';

const PROMETHEUS = join(ROOT, 'deploy', 'prometheus');
const RULES = join(PROMETHEUS, 'rules', 'tracehound.yml');

const hasPromtool = hasTool('promtool', '--version', 'prometheus');
const name = hasPromtool ? 'promtool' : 'promtool (missing: Debian package prometheus)';

const scratch = mkdtempSync(join(tmpdir(), 'tracehound-rules-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe.skipIf(!hasPromtool)(name, () => {
  it('accepts the scrape configuration and the rules', async () => {
    const result = await runTool('promtool', ['check', 'config', 'prometheus.yml'], PROMETHEUS);
    expect(result, result.output).toMatchObject({ code: 0 });
    expect(result.output).toContain('7 rules found');
  });

  it('runs the unit tests of the rules', async () => {
    const result = await runTool('promtool', ['test', 'rules', 'tests/tracehound.yml'], PROMETHEUS);
    expect(result, result.output).toMatchObject({ code: 0 });
  });

  it.each([
    ['for: 1m', 'for: 5m', 'TracehoundServiceDown'],
    ['verdict!="retry"', 'verdict!="drop"', 'TracehoundVerdictsMissing'],
    ['> 60', '> 600', 'TracehoundWatermarkStalled'],
    ['degraded_rules) > 0', 'degraded_rules) > 2', 'TracehoundRuleDegraded'],
    ['for: 5m', 'for: 20m', 'TracehoundRebuildLong'],
    ['lag_seconds"}) > 30', 'lag_seconds"}) > 300', 'TracehoundBehind'],
  ])('fails those tests when %s becomes %s', async (from, to, alert) => {
    const folder = mkdtempSync(join(scratch, 'mutant-'));
    const tests = readFileSync(join(PROMETHEUS, 'tests', 'tracehound.yml'), 'utf8');
    writeFileSync(join(folder, 'tests.yml'), tests.replace('../rules/tracehound.yml', 'rules.yml'));
    writeFileSync(join(folder, 'rules.yml'), readFileSync(RULES, 'utf8').replaceAll(from, to));
    const result = await runTool('promtool', ['test', 'rules', 'tests.yml'], folder);
    expect(result.code).not.toBe(0);
    expect(result.output).toContain(alert);
  });
});

describe('alert rules', () => {
  it('ask only for metrics that services declare', () => {
    const expressions = ruleExpressions();
    expect(expressions).toHaveLength(7);
    const declared = declaredMetrics();
    for (const expression of expressions) {
      const asked = metricsOf(expression);
      expect(asked.length).toBeGreaterThan(0);
      expect(asked.filter((metric) => !declared.has(metric))).toEqual([]);
    }
  });
});

function ruleExpressions(): readonly string[] {
  const file = parse(readFileSync(RULES, 'utf8')) as { groups: { rules: { expr: string }[] }[] };
  return file.groups.flatMap(({ rules }) => rules.map(({ expr }) => expr));
}
