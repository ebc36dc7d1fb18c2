import type { CorrelationRule } from '@tracehound/sigma';

/** X14: a range of a rule in which state was dropped, in one group or (`groupKey` null) in any. */
export type OfflineGap = {
  readonly rule: CorrelationRule;
  readonly organization: string;
  readonly groupKey: string | null;
  readonly fromMs: number;
  readonly toMs: number;
  readonly reason: string;
};
