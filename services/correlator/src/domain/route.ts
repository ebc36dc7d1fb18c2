import { partitionForKey } from '@tracehound/kafka';
import type { CorrelationRule } from '@tracehound/sigma';

/** A window: one correlation, one organization, one group. */
export type WindowKey = {
  readonly rule: Pick<CorrelationRule, 'uid' | 'definition'>;
  readonly organization: string;
  readonly groupKey: string;
};

/**
 * The matches partition that owns a window (X1). The groups of a correlation with `x-corr.expect` stay together per organization:
 * whoever waits for a silent group must see when the others began.
 */
export function partitionOf({ rule, organization, groupKey }: WindowKey, partitions: number): number {
  const group = rule.definition.expect.length > 0 ? '' : groupKey;
  return partitionForKey(`${organization}|${rule.uid}|${group}`, partitions);
}
