import { type Approval, type ApprovalPolicy, approvedBy, isApproved } from './activation-approval.ts';
import type { RuleActivation } from './generated/records.ts';

/** X7: least time between the append of a breaker's activation and the moment it holds, ms. */
const NOTICE_MS_MIN = 5_000;
/** Most: a copy that holds much later could bring back what others have replaced by then, ms. */
const NOTICE_MS_MAX = 15_000;
/** Longest time that one breaker withholds matches, ms. */
export const BREAKER_MS_MAX = 600_000;
/** Breakers of one activation; as the correlator bounds them. */
const BREAKERS_MAX = 100;

/** What a breaker's activation may say anew; every other field, also one that a later release adds, stays. */
const MAY_DIFFER: ReadonlySet<string> = new Set<keyof RuleActivation>([
  'activation_id',
  'effective_at',
  'created_at',
  'principal',
  'reason',
  'based_on',
  'breakers',
]);

/** The activations that hold so far, as a reader of the log knows them. */
export type HeldActivations = {
  /** The one accepted last, in log order. */
  readonly newest: RuleActivation | undefined;
  isKnown(activationId: string): boolean;
  /** The one in force at an append time, of those known so far. */
  at(appendTimeMs: number): RuleActivation | undefined;
};

/**
 * - `approved`: enough keys that may put rules into force have signed.
 * - `breaker`: a breaker key has signed, and the activation does nothing but trip rules.
 * - `duplicate`, `stale`, `too_soon`: as `breaker`, but known already, based on what is not the latest, or with too short a notice.
 * - `breaker_refused`: a breaker key has signed something else.
 * - `not_approved`: neither.
 */
export type ApprovalVerdict =
  | 'approved'
  | 'breaker'
  | 'duplicate'
  | 'stale'
  | 'too_soon'
  | 'breaker_refused'
  | 'not_approved';

/**
 * Whether an activation counts (X7): a function of the record, the log before it and the keys file, so that every reader of the log
 * says the same.
 */
export function judgeActivation(
  {
    activation,
    approvals,
    appendTimeMs,
  }: {
    readonly activation: RuleActivation;
    readonly approvals: readonly Approval[];
    readonly appendTimeMs: number;
  },
  policy: ApprovalPolicy | null,
  held: HeldActivations,
): ApprovalVerdict {
  if (isApproved(activation, approvals, policy)) return 'approved';
  const keys = policy?.breakerKeys?.filter(({ untilMs }) => untilMs === undefined || appendTimeMs < untilMs) ?? [];
  if (approvedBy(activation, approvals, { keys }).length === 0) return 'not_approved';
  // The same record again, after a lost acknowledgement, is no attempt at anything.
  if (held.isKnown(activation.activation_id)) return 'duplicate';
  const before = held.at(activation.effective_at);
  if (before === undefined || activation.based_on === null) return 'breaker_refused';
  if (!onlyTrips(activation, before, appendTimeMs)) return 'breaker_refused';
  if (activation.based_on !== held.newest?.activation_id) return 'stale';
  return activation.effective_at < appendTimeMs + NOTICE_MS_MIN ? 'too_soon' : 'breaker';
}

/** Whether one of the breaker keys has signed it, whatever it says and whenever. */
export function isBreakerSigned(
  activation: RuleActivation,
  approvals: readonly Approval[],
  policy: ApprovalPolicy | null,
): boolean {
  return policy !== null && approvedBy(activation, approvals, { keys: policy.breakerKeys ?? [] }).length > 0;
}

/**
 * Whether `next` is what held at its time anyway, with breakers added. Compared with what would be in force at that time and not with
 * `based_on`, so that a set announced for later cannot be put into force early.
 */
function onlyTrips(next: RuleActivation, before: RuleActivation, appendTimeMs: number): boolean {
  const keepsTime = next.effective_at === before.effective_at;
  if (!keepsTime && next.effective_at > appendTimeMs + NOTICE_MS_MAX) return false;
  if (unchangedPart(next) !== unchangedPart(before)) return false;
  if (next.breakers.length > BREAKERS_MAX) return false;
  const old = new Set(before.breakers.map(textOf));
  const added = next.breakers.filter((one) => !old.has(textOf(one)));
  const kept = new Set(next.breakers.map(textOf));
  // One that ends before the copy holds has no say any more, and may go.
  if (before.breakers.some((one) => one.until > next.effective_at && !kept.has(textOf(one)))) return false;
  // A second entry of one rule and organization would take the place of the first.
  if (new Set(next.breakers.map(ruleOf)).size < next.breakers.length) return false;
  return added.every(
    ({ from, until }) => from <= appendTimeMs + NOTICE_MS_MAX && until > from && until - from <= BREAKER_MS_MAX,
  );
}

type Breaker = RuleActivation['breakers'][number];

function ruleOf({ organization_id, rule_id }: Breaker): string {
  return JSON.stringify([organization_id, rule_id]);
}

function unchangedPart(activation: RuleActivation): string {
  return textOf(Object.fromEntries(Object.entries(activation).filter(([name]) => !MAY_DIFFER.has(name))));
}

/** The same text for the same value, whatever the order of its fields. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );
}
