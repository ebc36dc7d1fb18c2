import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type ApprovalPolicy, approve, parseApprovalPolicy } from './activation-approval.ts';
import { type ApprovalVerdict, type HeldActivations, judgeActivation } from './breaker-approval.ts';
import type { RuleActivation } from './generated/records.ts';

const NOW = 1_000_000;
const NOTICE = 8_000;
const pair = (keyId: string) => ({ keyId, name: keyId, ...generateKeyPairSync('ed25519') });
const [ada, bob, tripper] = [pair('ada'), pair('bob'), pair('tripper')];
const policy: ApprovalPolicy = { approvals: 2, keys: [ada, bob], breakerKeys: [tripper] };

const OLD = { organization_id: 'acme', rule_id: 'old', from: NOW, until: NOW + 300_000 };
const ENDED = { organization_id: 'acme', rule_id: 'ended', from: 0, until: NOW - 1 };
const NEW = { organization_id: 'mallory', rule_id: 'many', from: NOW + NOTICE, until: NOW + NOTICE + 600_000 };

const IN_FORCE: RuleActivation = {
  schema_rev: 1,
  activation_id: 'a1',
  ruleset_id: 'r1',
  lateness_ms: 1,
  clock_allowance_ms: 2,
  sources_version: 3,
  sources: [{ topic: 't', topic_id: 'id', partition: 0, effective_at: 0 }],
  effective_at: 0,
  created_at: 5,
  principal: 'ada',
  groups_max: 1,
  bytes_max: 1,
  organization_groups_max: 1,
  organization_bytes_max: 1,
  rule_groups_max: 1,
  rule_bytes_max: 1,
  reason: null,
  breakers: [ENDED, OLD],
  based_on: null,
  matches_topic_id: 'm',
  matches_partitions: 4,
};
const ANNOUNCED: RuleActivation = { ...IN_FORCE, activation_id: 'a2', ruleset_id: 'r2', effective_at: NOW + 900_000 };
const TRIPPED: RuleActivation = {
  ...IN_FORCE,
  activation_id: 'b1',
  effective_at: NOW + NOTICE,
  created_at: NOW,
  principal: 'system:breaker',
  reason: 'flood',
  based_on: 'a1',
  breakers: [OLD, NEW],
};

function held(...log: readonly RuleActivation[]): HeldActivations {
  return {
    newest: log.at(-1),
    isKnown: (id) => log.some(({ activation_id }) => activation_id === id),
    at: (timeMs) => log.findLast(({ effective_at }) => effective_at <= timeMs),
  };
}

function judge(
  change: Partial<RuleActivation>,
  { by = [tripper], log = held(IN_FORCE) }: { by?: (typeof ada)[]; log?: HeldActivations } = {},
): ApprovalVerdict {
  const activation = { ...TRIPPED, ...change };
  const approvals = by.map((key) => approve(activation, key));
  return judgeActivation({ activation, approvals, appendTimeMs: NOW }, policy, log);
}

describe('X7 what a breaker key may do', () => {
  it('trip a rule, and let go of breakers that have ended', () => {
    expect(judge({})).toBe('breaker');
    expect(judge({ breakers: [ENDED, OLD, NEW] })).toBe('breaker');
    expect(judge({}, { by: [ada, tripper] })).toBe('breaker');
  });

  it.each<[string, Partial<RuleActivation>]>([
    ['another rule set', { ruleset_id: 'r2' }],
    ['lateness', { lateness_ms: 2 }],
    ['clock allowance', { clock_allowance_ms: 3 }],
    ['version of sources', { sources_version: 4 }],
    ['sources', { sources: [] }],
    ['groups', { groups_max: 2 }],
    ['bytes', { bytes_max: 2 }],
    ['groups of an organization', { organization_groups_max: 2 }],
    ['bytes of an organization', { organization_bytes_max: 2 }],
    ['groups of a rule', { rule_groups_max: 2 }],
    ['bytes of a rule', { rule_bytes_max: 2 }],
    ['topic of matches', { matches_topic_id: 'other' }],
    ['partitions of matches', { matches_partitions: 8 }],
    ['a field of a later release', { later: 1 } as Partial<RuleActivation>],
    ['no breaker it is based on', { based_on: null }],
    ['a breaker that stands taken out', { breakers: [NEW] }],
    ['a breaker that stands made shorter', { breakers: [{ ...OLD, until: NOW + 1 }, NEW] }],
    ['a second entry that takes the place of one', { breakers: [OLD, NEW, { ...OLD, until: NOW + NOTICE + 1 }] }],
    ['a breaker of hours', { breakers: [OLD, { ...NEW, until: NEW.from + 600_001 }] }],
    ['a breaker of the far future', { breakers: [OLD, { ...NEW, from: NOW + 15_001, until: NOW + 15_002 }] }],
    ['too many', { breakers: [OLD, ...Array.from({ length: 100 }, (_, n) => ({ ...NEW, rule_id: `r${n}` }))] }],
    ['holding only later, when others may have applied something', { effective_at: NOW + 15_001 }],
  ])('not: %s', (_, change) => {
    expect(judge(change)).toBe('breaker_refused');
    // As two approvers may.
    expect(judge(change, { by: [ada, bob] })).toBe('approved');
  });

  it('not: an announced set put into force early; its copy at its own time counts', () => {
    const log = held(IN_FORCE, ANNOUNCED);
    expect(judge({ ruleset_id: 'r2', based_on: 'a2' }, { log })).toBe('breaker_refused');
    expect(judge({ based_on: 'a2' }, { log })).toBe('breaker');
    const first: RuleActivation = { ...TRIPPED, based_on: 'a2' };
    const second = { ...ANNOUNCED, activation_id: 'b2', breakers: TRIPPED.breakers, based_on: 'b1' };
    const after: HeldActivations = { ...held(IN_FORCE, first, ANNOUNCED), newest: first };
    expect(judge(second, { log: after })).toBe('breaker');
  });

  it('not: approve, alone or as the second approver; nor is a forged signature one', () => {
    expect(judge({ ruleset_id: 'r2' }, { by: [ada, tripper] })).toBe('breaker_refused');
    expect(judge({}, { by: [ada] })).toBe('not_approved');
    expect(judge({}, { by: [{ ...pair('tripper') }] })).toBe('not_approved');
    const approvals = [approve(TRIPPED, tripper)];
    const changed = { ...TRIPPED, reason: 'another' };
    const judged = judgeActivation({ activation: changed, approvals, appendTimeMs: NOW }, policy, held(IN_FORCE));
    expect(judged).toBe('not_approved');
    expect(judge({}, { log: held() })).toBe('breaker_refused');
  });

  it('races and copies are told from attempts', () => {
    expect(judge({}, { log: held(IN_FORCE, { ...IN_FORCE, activation_id: 'a9' }) })).toBe('stale');
    expect(judge({ effective_at: NOW + 4_999 })).toBe('too_soon');
    expect(judge({}, { log: held(IN_FORCE, TRIPPED) })).toBe('duplicate');
  });

  it('a key that has ended signs nothing more; what it signed before still holds', () => {
    const approvals = [approve(TRIPPED, tripper)];
    const judgedUntil = (untilMs: number) =>
      judgeActivation(
        { activation: TRIPPED, approvals, appendTimeMs: NOW },
        { ...policy, breakerKeys: [{ ...tripper, untilMs }] },
        held(IN_FORCE),
      );
    expect(judgedUntil(NOW + 1)).toBe('breaker');
    expect(judgedUntil(NOW)).toBe('not_approved');
  });

  it('the keys file tells the roles apart, and counts approvals without breaker keys', () => {
    const entry = ({ keyId, publicKey }: typeof ada, role?: string) => ({
      key_id: keyId,
      public_key: publicKey.export({ type: 'spki', format: 'pem' }),
      ...(role === undefined ? {} : { role }),
    });
    const parsed = parseApprovalPolicy(JSON.stringify({ keys: [entry(ada), entry(tripper, 'breaker')] }));
    expect(parsed.keys.map(({ keyId }) => keyId)).toEqual(['ada']);
    expect(parsed.breakerKeys?.map(({ keyId }) => keyId)).toEqual(['tripper']);
    const ending = { ...entry(tripper, 'breaker'), until: '2027-01-31T10:00:00Z' };
    const [ended] = parseApprovalPolicy(JSON.stringify({ keys: [entry(ada), ending] })).breakerKeys ?? [];
    expect(ended?.untilMs).toBe(Date.UTC(2027, 0, 31, 10));
    for (const wrong of [
      { keys: [entry(ada), { ...ending, until: 'soon' }] },
      { keys: [{ ...entry(ada), until: '2027-01-31T10:00:00Z' }] },
      { approvals: 2, keys: [entry(ada), entry(tripper, 'breaker')] },
      { keys: [entry(tripper, 'breaker')] },
      { keys: [entry(ada, 'root')] },
      { keys: [entry(ada), { ...entry(ada, 'breaker'), key_id: 'again' }] },
    ]) {
      expect(() => parseApprovalPolicy(JSON.stringify(wrong))).toThrow(RangeError);
    }
  });
});
