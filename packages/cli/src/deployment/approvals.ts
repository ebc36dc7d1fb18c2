import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { AvroCodec } from '@tracehound/avro';
import {
  APPROVALS_HEADER,
  type Approval,
  type ApprovalPolicy,
  approvalsOf,
  judgeActivation,
  parseApprovalPolicy,
  type RuleActivation,
} from '@tracehound/event-model';
import type { KafkaAdmin, KafkaClient } from '@tracehound/kafka';
import { UsageError } from '../usage-error.ts';

/** A private key, and the id under which a deployment knows its public half. */
export type ApproverKey = { readonly keyId: string; readonly privateKey: KeyObject };

/** `KEY_ID=FILE`: the file holds an Ed25519 key in PEM, as `rules keygen` writes it. @throws UsageError */
export function readApproverKey(text: string): ApproverKey {
  const at = text.indexOf('=');
  if (at <= 0) throw new UsageError(`--key '${text}': write KEY_ID=FILE`);
  const privateKey = createPrivateKey(readFileSync(text.slice(at + 1), 'utf8'));
  if (privateKey.asymmetricKeyType !== 'ed25519')
    throw new UsageError(`--key '${text}': the file holds no Ed25519 key`);
  return { keyId: text.slice(0, at), privateKey };
}

/** Writes the private key for its owner alone; returns the entry for the keys file. @throws when the file is there already. */
export function makeApproverKey(keyId: string, file: string): { readonly key_id: string; readonly public_key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
  return { key_id: keyId, public_key: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
}

/** As the services read it: TRACEHOUND_RULE_KEYS_FILE. Null: anybody who may write to the topic may activate. */
export function policyFromEnvironment(env: NodeJS.ProcessEnv = process.env): ApprovalPolicy | null {
  const file = env['TRACEHOUND_RULE_KEYS_FILE'];
  return file === undefined || file === '' ? null : parseApprovalPolicy(readFileSync(file, 'utf8'));
}

/** An activation record with what its header says of approvals. */
export type ActivationRecord = { readonly activation: RuleActivation; readonly approvals: readonly Approval[] };

type LoggedActivation = ActivationRecord & { readonly appendTimeMs: number };

type Source = {
  readonly kafka: KafkaClient;
  readonly codec: Pick<AvroCodec, 'decode'>;
  readonly admin: KafkaAdmin;
  readonly topic: string;
};

/** All of them in log order, whoever signed. */
export async function readActivationRecords({ kafka, codec, admin, topic }: Source): Promise<LoggedActivation[]> {
  const found: LoggedActivation[] = [];
  for (const { partition, low, high } of await admin.offsets(topic)) {
    if (low >= high) continue;
    for await (const record of kafka.read({ topic, partition }, { from: low, until: high })) {
      if (record.value === null) continue;
      const decoded = await codec.decode(record.value);
      if (decoded.name !== 'tracehound.pipeline.v1.RuleActivation') continue;
      const approvals = approvalsOf(record.headers[APPROVALS_HEADER]);
      found.push({ activation: decoded.value, approvals, appendTimeMs: record.appendTimeMs });
    }
  }
  return found;
}

/**
 * Activations that hold, in log order: enough keys have signed (or a breaker key, and nothing but breakers is added), of copies the
 * first, and no changed copy of one that was no longer the latest.
 */
export async function readActivations(source: Source): Promise<RuleActivation[]> {
  const policy = policyFromEnvironment();
  const held = new Map<string, RuleActivation>();
  for (const record of await readActivationRecords(source)) {
    const { activation } = record;
    const known = [...held.values()];
    const newest = known.at(-1);
    const verdict = judgeActivation(record, policy, {
      newest,
      isKnown: (id) => held.has(id),
      at: (timeMs) => activationAt(known, timeMs),
    });
    if (held.has(activation.activation_id) || (verdict !== 'approved' && verdict !== 'breaker')) continue;
    if (activation.based_on !== null && activation.based_on !== newest?.activation_id) continue;
    held.set(activation.activation_id, activation);
  }
  return [...held.values()];
}

/** The one in force at an append time, of activations in log order (X7): of equal times the later record, before all the first. */
function activationAt(known: readonly RuleActivation[], timeMs: number): RuleActivation | undefined {
  // A sort keeps the order of the log among equals.
  const timeline = known.toSorted((a, b) => a.effective_at - b.effective_at);
  return timeline.findLast(({ effective_at }) => effective_at <= timeMs) ?? known[0];
}
