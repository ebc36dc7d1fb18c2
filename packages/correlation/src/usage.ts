import type { Windows } from './windows.ts';

/** One correlation in one organization: live groups, estimated bytes, and whether it is degraded (X14). */
export type RuleUsage = {
  readonly ruleId: string;
  readonly organization: string;
  readonly groups: number;
  readonly bytes: number;
  readonly isDegraded: boolean;
};

export function usageOf({ table, losses }: Pick<Windows, 'table' | 'losses'>): readonly RuleUsage[] {
  const used = new Map<string, RuleUsage>();
  for (const { organization, families } of table.tenants.values()) {
    for (const { instance, size: groups, bytes } of families) {
      const ruleId = instance.rule.uid;
      used.set(`${instance.key}|${organization}`, { ruleId, organization, groups, bytes, isDegraded: false });
    }
  }
  for (const { instanceKey: key, organization } of losses.list()) {
    const known = used.get(`${key}|${organization}`);
    const ruleId = known?.ruleId ?? table.instances.get(key)?.rule.uid ?? key;
    const { groups = 0, bytes = 0 } = known ?? {};
    used.set(`${key}|${organization}`, { ruleId, organization, groups, bytes, isDegraded: true });
  }
  return [...used.values()];
}
