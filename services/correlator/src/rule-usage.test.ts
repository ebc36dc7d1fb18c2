import type { RuleUsage } from '@tracehound/correlation';
import { createMetrics } from '@tracehound/telemetry';
import { describe, expect, it } from 'vitest';
import { createCorrelatorMetrics } from './metrics.ts';
import { reportUsage } from './rule-usage.ts';

const usage = (ruleId: string, organization: string, groups: number, isDegraded = false): RuleUsage => ({
  ruleId,
  organization,
  groups,
  bytes: groups * 300,
  isDegraded,
});

async function series(text: Promise<string>, name: string): Promise<string[]> {
  return (await text).split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

describe('usage per rule and organization', () => {
  it('adds partitions up, shows the largest and one series for the rest, and forgets who is gone', async () => {
    const registry = createMetrics('correlator');
    const gauges = createCorrelatorMetrics(registry);
    const many = Array.from({ length: 300 }, (_, n) => usage('many', `o${n}`, 1));
    const engines = [
      { usage: () => [usage('count', 'acme', 5), ...many] },
      { usage: () => [usage('count', 'acme', 7, true), usage('count', 'umbrella', 50)] },
    ];
    reportUsage(engines, gauges);
    const groups = await series(registry.text(), 'correlator_rule_groups');
    expect(groups).toHaveLength(21);
    expect(groups).toContain('correlator_rule_groups{organization="umbrella",rule="count"} 50');
    expect(groups).toContain('correlator_rule_groups{organization="acme",rule="count"} 12');
    expect(groups).toContain('correlator_rule_groups{organization="other",rule="other"} 282');
    expect(await series(registry.text(), 'correlator_rule_bytes')).toContain(
      'correlator_rule_bytes{organization="acme",rule="count"} 3600',
    );
    expect(await series(registry.text(), 'correlator_rule_degraded')).toEqual([
      'correlator_rule_degraded{organization="acme",rule="count"} 1',
    ]);
    expect(await series(registry.text(), 'correlator_degraded_rules')).toEqual(['correlator_degraded_rules 1']);
    reportUsage([], gauges);
    expect(await series(registry.text(), 'correlator_rule_degraded')).toEqual([]);
    expect(await series(registry.text(), 'correlator_rule_groups')).toEqual([
      'correlator_rule_groups{organization="other",rule="other"} 0',
    ]);
  });
});
