import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import type { RuleActivation } from './generated/records.ts';

/** Header of an activation record with its signatures. */
export const APPROVALS_HEADER = 'th_approvals';

/** Ed25519 (RFC 8032) over `activationStatement`, base64. */
export type Approval = { readonly key_id: string; readonly signature: string };

/** Who may put rules into force. */
export type ApprovalPolicy = {
  /** Different keys that must have signed: 1, or 2 for a second approver. */
  readonly approvals: number;
  readonly keys: readonly PolicyKey[];
  /** Keys that may trip rules and nothing else (`judgeActivation`); they never count as approvals. */
  readonly breakerKeys?: readonly (PolicyKey & {
    /** Append time from which it signs nothing more, ms. */ readonly untilMs?: number;
  })[];
};

/** What a keys file may say of a key beside nothing, which lets it put rules into force (ADR 17). */
export const KEY_ROLES = ['breaker'] as const;
type KeyRole = (typeof KEY_ROLES)[number];

/** Whether a keys file may give this role. */
export function isKeyRole(role: unknown): role is KeyRole {
  return KEY_ROLES.some((known) => known === role);
}

export type PolicyKey = { readonly keyId: string; readonly name: string; readonly publicKey: KeyObject };

/** Signed by every approver, in this order; a field added later gets a statement of its own version. */
const SIGNED = [
  'activation_id',
  'ruleset_id',
  'lateness_ms',
  'clock_allowance_ms',
  'sources_version',
  'sources',
  'principal',
  'groups_max',
  'bytes_max',
  'organization_groups_max',
  'organization_bytes_max',
  'rule_groups_max',
  'rule_bytes_max',
  'reason',
  'breakers',
  'based_on',
] as const satisfies readonly (keyof RuleActivation)[];
/** Signed too where they are set: activations from before they were have the first statement. */
const SIGNED_2 = ['matches_topic_id', 'matches_partitions'] as const satisfies readonly (keyof RuleActivation)[];

/**
 * What a signature is over: the rules (by content hash), lateness, sources, limits, who and why. Not the times: a second approver
 * signs later than the first, and the activation id can be used only once.
 */
export function activationStatement(activation: RuleActivation): string {
  const isFirst = SIGNED_2.every((name) => activation[name] === null);
  const names = isFirst ? SIGNED : [...SIGNED, ...SIGNED_2];
  const values = names.map((name) => activation[name]);
  return JSON.stringify([`tracehound activation ${isFirst ? 1 : 2}`, ...values], (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

export function approve(
  activation: RuleActivation,
  key: { readonly keyId: string; readonly privateKey: KeyObject },
): Approval {
  const signature = sign(null, Buffer.from(activationStatement(activation)), key.privateKey);
  return { key_id: key.keyId, signature: signature.toString('base64') };
}

/** Names of the different keys whose signatures hold. */
export function approvedBy(
  activation: RuleActivation,
  approvals: readonly Approval[],
  { keys }: Pick<ApprovalPolicy, 'keys'>,
): readonly string[] {
  const statement = Buffer.from(activationStatement(activation));
  const good = keys.filter(({ keyId, publicKey }) =>
    approvals.some(
      ({ key_id, signature }) =>
        key_id === keyId && verify(null, statement, publicKey, Buffer.from(signature, 'base64')),
    ),
  );
  return good.map(({ name }) => name);
}

/** Whether enough keys have signed; without a policy everything is. */
export function isApproved(
  activation: RuleActivation,
  approvals: readonly Approval[],
  policy: ApprovalPolicy | null,
): boolean {
  return policy === null || approvedBy(activation, approvals, policy).length >= policy.approvals;
}

/** Signatures of a record; none for a header that is missing or no list of them. */
export function approvalsOf(header: Buffer | undefined): readonly Approval[] {
  if (header === undefined) return [];
  try {
    const parsed: unknown = JSON.parse(header.toString());
    return Array.isArray(parsed) ? parsed.filter(isApproval) : [];
  } catch {
    return [];
  }
}

function isApproval(value: unknown): value is Approval {
  if (typeof value !== 'object' || value === null) return false;
  const { key_id, signature } = value as Partial<Record<keyof Approval, unknown>>;
  return typeof key_id === 'string' && typeof signature === 'string';
}

/**
 * The text of a keys file: `{"approvals": 2, "keys": [{"key_id": "ada", "name": "Ada", "public_key": "-----BEGIN PUBLIC KEY-----…"}]}`.
 * A key with `"role": "breaker"` may only trip rules, until `"until": "2027-01-31T10:00:00Z"` where that is given; without a role it
 * puts rules into force.
 * @throws RangeError that says what is wrong.
 */
export function parseApprovalPolicy(text: string): ApprovalPolicy {
  const parsed = JSON.parse(text) as { approvals?: unknown; keys?: unknown };
  const { approvals = 1, keys } = parsed;
  if (!Array.isArray(keys) || keys.length === 0) throw new RangeError('a keys file needs a list of keys');
  const found = keys.map(
    (key: { key_id?: unknown; name?: unknown; public_key?: unknown; role?: unknown; until?: unknown }) => {
      if (typeof key.key_id !== 'string' || typeof key.public_key !== 'string') {
        throw new RangeError('a key needs key_id and public_key (PEM)');
      }
      const publicKey = createPublicKey(key.public_key);
      if (publicKey.asymmetricKeyType !== 'ed25519') throw new RangeError(`key ${key.key_id} is no Ed25519 key`);
      if (key.role !== undefined && !isKeyRole(key.role)) {
        throw new RangeError(`the role of key ${key.key_id} must be ${KEY_ROLES.join(' or ')}, or left out`);
      }
      if (key.until !== undefined && (key.role !== 'breaker' || !isInstant(key.until))) {
        throw new RangeError(
          `until of key ${key.key_id} must be an instant such as 2027-01-31T10:00:00Z, of a breaker key`,
        );
      }
      const ends = isInstant(key.until) ? { untilMs: Date.parse(key.until) } : {};
      const name = typeof key.name === 'string' ? key.name : key.key_id;
      return { isBreaker: key.role === 'breaker', key: { keyId: key.key_id, name, publicKey, ...ends } };
    },
  );
  const [breakerKeys, signers] = [true, false].map((wanted) =>
    found.filter(({ isBreaker }) => isBreaker === wanted).map(({ key }) => key),
  ) as [PolicyKey[], PolicyKey[]];
  if (typeof approvals !== 'number' || !Number.isInteger(approvals) || approvals < 1 || approvals > signers.length) {
    throw new RangeError(`approvals must be a whole number from 1 to the ${signers.length} keys that may give them`);
  }
  if (breakerKeys.some((one) => signers.some(({ publicKey }) => publicKey.equals(one.publicKey)))) {
    throw new RangeError('a breaker key must not be one that puts rules into force');
  }
  if (new Set(found.map(({ key }) => key.keyId)).size < found.length) throw new RangeError('two keys share a key_id');
  return { approvals, keys: signers, breakerKeys };
}

function isInstant(value: unknown): value is string {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT.*Z$/.test(value) && !Number.isNaN(Date.parse(value));
}
