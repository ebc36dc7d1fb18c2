import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { finalsOfMatches } from '@tracehound/correlation';
import { type CorrelationAlert, END_OF_INPUT_WATERMARK_MS } from '@tracehound/event-model';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { loadRuleSet, SigmaError } from '@tracehound/sigma';
import { afterAll, describe, expect, it } from 'vitest';
import { eventOf, recoveryMatches } from '../replay/late-events.ts';
import { UsageError } from '../usage-error.ts';
import { publishRuleSet } from './rules.ts';
import { type DraftFilterFlags, runRulesDraftFilter } from './rules-draft-filter.ts';
import { applyTopics } from './topics.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracehound-draft-'));
afterAll(() => rmSync(folder, { recursive: true }));

const NOW_MS = 20_000 * 86_400_000;
const EVENT = 'tracehound.events.v1.AuthenticationEvent';
const ALERT = 'tracehound.pipeline.v1.CorrelationAlert';
const TOPIC = 'security.events';

const FAILED = `title: Failed
id: failed
name: failed
logsource: {product: tracehound, service: auth}
detection: {s: {event_type: auth.login.failure}, condition: s}
`;
const count = (id: string, rule: string): string =>
  `title: ${id}\nid: ${id}\nname: ${id}\ncorrelation: {type: event_count, rules: [${rule}], group-by: [actor.id], timespan: 1m, condition: {gte: 3}, generate: true}\n`;
const RULES = [FAILED, count('many', 'failed'), count('very_many', 'failed')];

/** Failed logins of one account from these addresses, a second apart, and the alert of `many` over them. */
async function alerted(addresses: readonly string[], change: Partial<CorrelationAlert> = {}) {
  const memory = createMemoryKafka({ now: () => NOW_MS });
  const kafka = memory.client();
  await applyTopics({ kafka, namespace: '', profile: 'local' });
  const registry = createMemoryRegistry();
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare([EVENT, ALERT]);
  const files = [{ path: 'set.yml', content: RULES.join('---\n') }];
  await publishRuleSet({ kafka, codec, files, principal: 'ada', effectiveAtMs: 0 });
  const ruleSet = loadRuleSet(files);
  const producer = await kafka.producer();
  const admin = await kafka.admin();
  const topicId = (await admin.topicIds([TOPIC])).get(TOPIC) ?? '';
  const matches = [];
  for (const [offset, address] of addresses.entries()) {
    const value = codec.encode(EVENT, {
      envelope: {
        event_id: `e${offset}`,
        event_type: 'auth.login.failure',
        family: 'auth',
        category: 'authentication',
        event_time: NOW_MS + offset * 1_000,
        event_time_source: 'OCCURRED',
        received_at: NOW_MS,
        intake_org: 'acme',
        cluster_id: 'local',
        actor: { type: 'USER', id: 'Ann' },
        source: { platform: 'test' },
        network: { ip_hash: address },
      },
    });
    await producer.sendTo({ topic: TOPIC, partition: 0 }, [{ key: null, value }]);
    const event = await eventOf(codec, { value });
    if (event !== null)
      matches.push(...recoveryMatches(ruleSet, event, { topic: TOPIC, topicId, partition: 0, offset }));
  }
  const finals = finalsOfMatches({ ruleSet, clusterId: 'local', watermarkMs: END_OF_INPUT_WATERMARK_MS }, matches);
  const found = finals.find(({ rule }) => rule.rule_id === 'many');
  if (found === undefined) throw new Error('the events give no alert');
  const source_ranges = [{ topic: TOPIC, topic_id: topicId, partition: 0, from: 0, to: addresses.length }];
  const alert: CorrelationAlert = { ...found, source_ranges, ...change };
  await producer.sendTo({ topic: 'security.alerts', partition: 0 }, [{ key: null, value: codec.encode(ALERT, alert) }]);

  async function draft(flags: Partial<DraftFilterFlags> = {}) {
    const lines: string[] = [];
    const notes: string[] = [];
    const terminal = { out: (text: string) => void lines.push(text), note: (text: string) => void notes.push(text) };
    const all = { alert: alert.alert_id, owner: 'ada', reason: 'ticket 9', expires: '2099-01-31', ...flags };
    const code = await runRulesDraftFilter(all, { kafka, admin, codec, namespace: '', now: () => NOW_MS, terminal });
    return { code, text: `${lines.join('\n')}\n`, notes };
  }
  return { draft, alert, files };
}

describe('tracehound rules draft-filter', () => {
  it('drafts what the set loads, and says what it leaves out and where else', async () => {
    const { draft, files } = await alerted(['h1', 'h1', 'h1']);
    const { code, text, notes } = await draft();
    expect(code).toBe(0);
    expect(text).toContain('    intake_org|cased: acme\n    actor.id|cased: Ann\n    network.ip_hash|cased: h1\n');
    expect(notes).toEqual([
      'leaves out 3 of 3 events of the evidence: e0, e1, e2',
      'events like these are left out of these rules too: very_many, Failed',
    ]);
    const set = loadRuleSet([...files, { path: 'f.yml', content: text }]);
    expect(set.exceptions).toMatchObject([
      { kind: 'filter', organization: 'acme', owner: 'ada', reason: 'ticket 9', rules: ['failed'] },
    ]);
    expect((await draft()).text).toBe(text);
  });

  it('--preview: all of the evidence gone is no alert, exit 0; enough of it left is one, exit 1', async () => {
    const { draft } = await alerted(['h1', 'h1', 'h1', 'h2'], { event_ids: ['e0', 'e1', 'e2', 'e3'] });
    const all = await draft({ preview: true });
    expect(all.text).not.toContain('ip_hash');
    expect([all.code, all.notes.at(-1)]).toEqual([0, '✓ with the filter the evidence would not have raised the alert']);
    const one = await draft({ preview: true, field: ['network.ip_hash=h2'] });
    expect(one.code).toBe(1);
    expect(one.notes).toEqual([
      'leaves out 1 of 4 events of the evidence: e3',
      'leaves in e0, e1, e2',
      'events like these are left out of these rules too: very_many, Failed',
      '✗ with the filter the evidence would still have raised the alert',
    ]);
  });

  it('--preview says so when the evidence is not whole, or is not all that was counted', async () => {
    const gone = await alerted(['h1', 'h1', 'h1'], { event_ids: ['e0', 'e1', 'e2', 'long-gone'] });
    const { code, notes } = await gone.draft({ preview: true });
    expect(code).toBe(0);
    expect(notes).toContain('1 event of the evidence is no longer in the topics');
    expect(notes.join('\n')).toMatch(
      /cannot say whether.*1 events? of the evidence are no longer.*\n.*backtest --topic/,
    );
    const more = await alerted(['h1', 'h1', 'h1'], { count: 40, count_exact: false });
    expect((await more.draft({ preview: true })).notes.slice(-2)).toEqual([
      '• the 3 events that the alert names would not have raised it; it counted at least 40',
      expect.stringContaining('backtest --topic'),
    ]);
  });

  it('writes to a file that is not there yet', async () => {
    const { draft } = await alerted(['h1', 'h1', 'h1']);
    const out = join(folder, 'f.yml');
    const { text } = await draft();
    expect((await draft({ out })).text.trim()).toBe('');
    expect(readFileSync(out, 'utf8')).toBe(text);
    await expect(draft({ out })).rejects.toThrow('is there already');
  });

  it('refuses what the loader and rules apply refuse, and alerts that nobody raised', async () => {
    const { draft } = await alerted(['h1', 'h1', 'h1']);
    await expect(draft({ expires: 'soon' })).rejects.toThrow(SigmaError);
    await expect(draft({ expires: '2001-01-01' })).rejects.toThrow(/expired on 2001-01-01/);
    await expect(draft({ owner: ' ' })).rejects.toThrow('--owner must say something');
    await expect(draft({ alert: 'ffffffffffff' })).rejects.toThrow('no alert ffffffffffff');
    await expect(draft({ field: ['network.asn'] })).rejects.toThrow(UsageError);
  });

  it('sends to the inner alerts when an alert stands on those alone', async () => {
    const { draft } = await alerted(['h1', 'h1', 'h1'], { event_ids: ['chain:0123456789abcdef'] });
    await expect(draft()).rejects.toThrow('draft from those, --alert 0123456789ab');
  });
});
