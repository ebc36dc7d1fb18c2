import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type ApprovalPolicy,
  approvalsOf,
  approve,
  approvedBy,
  isApproved,
  parseApprovalPolicy,
} from './activation-approval.ts';
import type { RuleActivation } from './generated/records.ts';

const ACTIVATION: RuleActivation = {
  schema_rev: 1,
  activation_id: 'a1',
  ruleset_id: 'r1',
  lateness_ms: 1,
  clock_allowance_ms: 2,
  sources_version: 3,
  sources: [{ topic: 't', topic_id: 'id', partition: 0, effective_at: 0 }],
  effective_at: 4,
  created_at: 5,
  principal: 'ada',
  groups_max: 1,
  bytes_max: 1,
  organization_groups_max: 1,
  organization_bytes_max: 1,
  rule_groups_max: 1,
  rule_bytes_max: 1,
  reason: null,
  breakers: [],
  based_on: null,
  matches_topic_id: null,
  matches_partitions: null,
};
const pair = (keyId: string) => ({ keyId, name: keyId.toUpperCase(), ...generateKeyPairSync('ed25519') });
const [ada, bob, eve] = [pair('ada'), pair('bob'), pair('eve')];
const policy: ApprovalPolicy = { approvals: 2, keys: [ada, bob] };

describe('approvals of activations', () => {
  it('count different keys of the policy; times may differ, nothing else', () => {
    const both = [approve(ACTIVATION, ada), approve({ ...ACTIVATION, effective_at: 99, created_at: 98 }, bob)];
    expect(approvedBy(ACTIVATION, both, policy)).toEqual(['ADA', 'BOB']);
    expect(isApproved(ACTIVATION, both, policy)).toBe(true);
    for (const changed of [
      { ruleset_id: 'r2' },
      { lateness_ms: 9 },
      { reason: 'because' },
      { activation_id: 'a2' },
      { sources: [] },
    ]) {
      expect(isApproved({ ...ACTIVATION, ...changed }, both, policy)).toBe(false);
    }
  });

  it('one key twice is one; strangers and forged signatures are none; without a policy all is approved', () => {
    expect(isApproved(ACTIVATION, [approve(ACTIVATION, ada), approve(ACTIVATION, ada)], policy)).toBe(false);
    expect(isApproved(ACTIVATION, [approve(ACTIVATION, ada), approve(ACTIVATION, eve)], policy)).toBe(false);
    const forged = { key_id: 'bob', signature: approve(ACTIVATION, ada).signature };
    expect(isApproved(ACTIVATION, [approve(ACTIVATION, ada), forged], policy)).toBe(false);
    expect(isApproved(ACTIVATION, [], null)).toBe(true);
  });

  it('headers that hold none give none', () => {
    for (const text of ['', 'x', '{}', '[1]', '[{"key_id":1}]']) expect(approvalsOf(Buffer.from(text))).toEqual([]);
    expect(approvalsOf(Buffer.from(JSON.stringify([approve(ACTIVATION, ada)])))).toHaveLength(1);
  });

  it('a keys file is read with care', () => {
    const pem = ada.publicKey.export({ type: 'spki', format: 'pem' });
    const key = { key_id: 'ada', public_key: pem };
    expect(parseApprovalPolicy(JSON.stringify({ keys: [key] }))).toMatchObject({
      approvals: 1,
      keys: [{ name: 'ada' }],
    });
    for (const wrong of [
      {},
      { keys: [] },
      { keys: [key], approvals: 2 },
      { keys: [key, key], approvals: 1 },
      { keys: [{ key_id: 'x' }] },
    ]) {
      expect(() => parseApprovalPolicy(JSON.stringify(wrong))).toThrow(RangeError);
    }
  });
});
