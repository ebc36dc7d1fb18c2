import type { RuleActivation } from '@tracehound/event-model';

/**
 * Most groups of an engine, and most bytes of its state (an estimate made from the state alone), before groups are let go
 * and a range is degraded (X14). They decide results, so they come from the activation that a batch names (X7), never from
 * the process. Each matches partition has an engine of its own: the limits count per partition.
 */
export type EngineLimits = {
  readonly groupsMax: number;
  readonly bytesMax: number;
  /** Of one organization, over all its correlations. */
  readonly organizationGroupsMax: number;
  readonly organizationBytesMax: number;
  /** Of one correlation in one organization. */
  readonly ruleGroupsMax: number;
  readonly ruleBytesMax: number;
};

/** Most groups of an engine: 2 million are about 700 MB of memory. */
export const GROUPS_MAX_DEFAULT = 2_000_000;

/** Most bytes of state of an engine: 1 GiB. */
export const BYTES_MAX_DEFAULT: number = 2 ** 30;

/** One rule takes at most half of an engine, one organization three quarters: the rest stays for the others. */
export const ENGINE_LIMITS: EngineLimits = {
  groupsMax: GROUPS_MAX_DEFAULT,
  bytesMax: BYTES_MAX_DEFAULT,
  organizationGroupsMax: 1_500_000,
  organizationBytesMax: BYTES_MAX_DEFAULT * 0.75,
  ruleGroupsMax: 1_000_000,
  ruleBytesMax: BYTES_MAX_DEFAULT / 2,
};

/** The limits as an activation carries them. */
export type ActivationLimits = Pick<
  RuleActivation,
  | 'groups_max'
  | 'bytes_max'
  | 'organization_groups_max'
  | 'organization_bytes_max'
  | 'rule_groups_max'
  | 'rule_bytes_max'
>;

export const ACTIVATION_LIMITS: ActivationLimits = {
  groups_max: ENGINE_LIMITS.groupsMax,
  bytes_max: ENGINE_LIMITS.bytesMax,
  organization_groups_max: ENGINE_LIMITS.organizationGroupsMax,
  organization_bytes_max: ENGINE_LIMITS.organizationBytesMax,
  rule_groups_max: ENGINE_LIMITS.ruleGroupsMax,
  rule_bytes_max: ENGINE_LIMITS.ruleBytesMax,
};

export function engineLimitsOf(activation: ActivationLimits): EngineLimits {
  return {
    groupsMax: activation.groups_max,
    bytesMax: activation.bytes_max,
    organizationGroupsMax: activation.organization_groups_max,
    organizationBytesMax: activation.organization_bytes_max,
    ruleGroupsMax: activation.rule_groups_max,
    ruleBytesMax: activation.rule_bytes_max,
  };
}

/** Reason of a degraded range in which groups were let go for a limit. */
export const STATE_PRESSURE = 'state_pressure';

/** Reason of a degraded range in which a breaker withheld matches. */
export const BREAKER = 'breaker';

/** Most breakers of an activation: so many are looked at with every batch. */
export const BREAKERS_MAX = 100;

/** Event times may be ahead of append times by so much: intake caps them (X2), less than this. */
const AHEAD_MS_MAX = 3_600_000;

/** A correlation that takes no matches of one organization; times are event times. */
export type Breaker = {
  readonly organization: string;
  readonly ruleId: string;
  readonly cause: string;
  readonly fromMs: number;
  /** As the range before it without what windows make of it: the engine knows their spans. */
  readonly toMs: number;
};

/** What the breakers of an activation may have kept from windows. */
export function breakersOf(activation: Pick<RuleActivation, 'breakers' | 'lateness_ms'>): readonly Breaker[] {
  return activation.breakers.map(({ organization_id, rule_id, from, until }) => ({
    organization: organization_id,
    ruleId: rule_id,
    cause: `${BREAKER}:${from}`,
    fromMs: from - activation.lateness_ms,
    toMs: until + AHEAD_MS_MAX,
  }));
}
