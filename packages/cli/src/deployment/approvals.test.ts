import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { approve, type RuleActivation } from '@tracehound/event-model';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { afterAll, expect, it } from 'vitest';
import { ruleTopics, writeActivation } from '../commands/rules.ts';
import { type RulesLive, runRulesApply, runRulesApprove } from '../commands/rules-live.ts';
import { applyTopics } from '../commands/topics.ts';
import { makeApproverKey, readActivations, readApproverKey } from './approvals.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracehound-approvals-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('X7 a breaker key trips rules and changes nothing else for the commands either', async () => {
  let nowMs = 1_000_000;
  const kafka = createMemoryKafka({ now: () => nowMs }).client();
  await applyTopics({ kafka, namespace: '', profile: 'local' });
  const registry = createMemoryRegistry();
  await registerRecords(registry);
  const live: RulesLive = {
    kafka,
    admin: await kafka.admin(),
    codec: createAvroCodec({ registry }),
    namespace: '',
    terminal: { out: () => undefined, note: () => undefined },
    principal: 'ada',
    now: () => nowMs,
  };
  const path = (name: string): string => join(folder, name);
  const [ada, tripper] = ['ada', 'tripper'].map((id) => makeApproverKey(id, path(`${id}.pem`)));
  writeFileSync(path('keys.json'), JSON.stringify({ keys: [ada, { ...tripper, role: 'breaker' }] }));
  const rule = 'title: a\nid: a\nlogsource: {product: tracehound}\ndetection: {s: {event_type: x}, condition: s}\n';
  writeFileSync(path('a.yml'), rule);
  const key = [`ada=${path('ada.pem')}`];
  const signer = readApproverKey(`tripper=${path('tripper.pem')}`);
  process.env['TRACEHOUND_RULE_KEYS_FILE'] = path('keys.json');
  const producer = await kafka.producer();
  try {
    await runRulesApply({ paths: [path('a.yml')], format: 'table', key }, live);
    const topic = ruleTopics('').activations;
    const known = () => readActivations({ ...live, topic });
    const [first] = (await known()) as [RuleActivation];
    nowMs += 60_000;
    const from = nowMs + 8_000;
    const copy: RuleActivation = {
      ...first,
      activation_id: 'tripped',
      effective_at: from,
      breakers: [{ organization_id: 'mallory', rule_id: 'many', from, until: from + 600_000 }],
      based_on: first.activation_id,
    };
    for (const activation of [
      { ...copy, activation_id: 'other lateness', lateness_ms: 1 },
      copy,
      { ...copy, activation_id: 'taken out', breakers: [], based_on: 'tripped' },
    ]) {
      await writeActivation(producer, topic, {
        codec: live.codec,
        activation,
        approvals: [approve(activation, signer)],
      });
    }
    expect((await known()).map(({ activation_id }) => activation_id)).toEqual([first.activation_id, 'tripped']);
    // Nor does what it signed wait for somebody to approve it unseen.
    await expect(runRulesApprove({ key, format: 'table' }, live)).rejects.toThrow('no activation waits');
  } finally {
    await producer.close();
    delete process.env['TRACEHOUND_RULE_KEYS_FILE'];
  }
});
