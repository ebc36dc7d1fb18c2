import type { CorrelationRule } from '@tracehound/sigma';
import type { FirmMachine } from './firm/machine.ts';
import type { Group } from './group.ts';
import { compareText } from './hit.ts';
import type { WindowRule } from './window-rule.ts';

/**
 * One meaning of one correlation: state is kept by (uid, semantic hash), so a rule that only changed its title goes
 * on, and one that changed its threshold begins anew while the old instance drains.
 */
export type Instance = {
  readonly key: string;
  /** Set when episodes decide (semantics section 3): sliding, suppress and monotone. */
  readonly window: WindowRule | null;
  /** Episodes open on arrival (X10.8); false where a step is chained: then they speak finals only. */
  readonly opens: boolean;
  /** Other correlations stand on it: it gives them its hits of mode `every` (semantics section 7). */
  isInner: boolean;
  /** How long after the newest evidence a chain hit may come: the span, unless the rule is monotone and sliding. */
  readonly lagMs: number;
  readonly depth: number;
  readonly families: Map<string, Family>;
  /** The rule as the latest match for it saw it: title, tags, rule set id of the alerts. */
  rule: CorrelationRule;
  groups: number;
  /** Event time of the newest hit there was. */
  newestMs: number;
};

/** The groups of one correlation in one organization (X13). */
export type Family = {
  readonly instance: Instance;
  readonly organization: string;
  readonly tenant: Tenant;
  /** Those in memory. */
  readonly groups: Map<string, GroupRef>;
  /** All its groups, cold ones too. */
  size: number;
  /** Estimate over its groups. */
  bytes: number;
  /** `expect` only: least and greatest event time of the rule's hits in the organization (semantics section 8). */
  firstAtMs: number;
  lastAtMs: number;
};

/** What the groups of one organization take, over all correlations: for the limits. */
export type Tenant = {
  readonly organization: string;
  readonly families: Set<Family>;
  groups: number;
  bytes: number;
};

/** The decoded state of a group: episodes or a machine for its alerts, and a machine for its chain hits. */
export type Live = {
  readonly episodes: Group | null;
  readonly firm: FirmMachine | null;
  readonly chain: FirmMachine | null;
  used: boolean;
};

/** Where a packed group stands in the queue of those that may go cold: not at all, in its place, or there with a second chance. */
type QueueState = 'out' | 'waits' | 'used';

/** `GroupRef.place` of a group that is not packed. */
export const NOWHERE = -1;

/** `GroupRef.place` of a cold group (`ColdGroups`): only the store has its state. */
export const COLD = -2;

/** A group in memory; its state is decoded in `live`, or packed at `place`. */
export class GroupRef {
  readonly family: Family;
  readonly groupKey: string;
  live: Live | null = null;
  place: number = NOWHERE;
  queueState: QueueState = 'out';
  heapIndex = -1;
  /** Lower bound of the watermark at which it must be looked at. */
  dueMs = 0.5;
  isDirty = false;
  /**
   * What can be known without decoding it: `silent`, nothing but hits that make nothing true, so that it is over at `dueMs`;
   * `exact`, `dueMs` is no mere bound.
   */
  outlook: 'silent' | 'exact' | 'bound' = 'bound';
  /** For the limits, all three functions of the state: estimated bytes, completed steps, and how lately it grew. */
  weight = 0;
  steps = 0;
  /** In whole seconds: a small integer takes no room of its own. */
  freshSeconds = 0;
  /** While `silent`: ms from the first hit to the newest. */
  ageMs = 0;

  constructor(family: Family, groupKey: string) {
    this.family = family;
    this.groupKey = groupKey;
  }

  /** While `silent`: time of the newest hit. */
  get newestMs(): number {
    return this.dueMs - this.family.instance.rule.definition.spanMs - 1;
  }

  /** Only the store has its state. Nothing but a match, or the end of its last window, concerns such a group. */
  get isCold(): boolean {
    return this.place === COLD;
  }

  get id(): string {
    return groupIdOf(this.family, this.groupKey);
  }
}

export function groupIdOf({ instance, organization }: Family, groupKey: string): string {
  return `${instance.key}|${organization}|${groupKey}`;
}

/** By rule, then by organization. */
export function compareFamilies(a: Family, b: Family): number {
  return (
    compareText(a.instance.rule.uid, b.instance.rule.uid) ||
    compareText(a.instance.rule.semanticHash, b.instance.rule.semanticHash) ||
    compareText(a.organization, b.organization)
  );
}
