import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { INTAKE_TOPICS } from '@tracehound/event-model';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { afterAll, describe, expect, it } from 'vitest';
import { type BacktestTopicContext, type BacktestTopicFlags, runBacktestTopic } from './backtest-topic.ts';
import { publishRuleSet } from './rules.ts';
import { applyTopics } from './topics.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracehound-backtest-'));
afterAll(() => rmSync(folder, { recursive: true }));

const detection = (name: string, type: string): string =>
  `title: ${name}\nid: ${name}\nname: ${name}\nlogsource: {product: tracehound}\ndetection: {s: {event_type: ${type}}, condition: s}\n`;
const many = ({ gte = 3, span = '1m' } = {}): string =>
  `title: Many\nid: many\ncorrelation: {type: event_count, rules: [failure], group-by: [actor.id], timespan: ${span}, condition: {gte: ${gte}}}\n`;

const FAILURE = detection('failure', 'auth.login.failure');
const RULES = [FAILURE, many(), detection('alone', 'auth.login.success')];

let files = 0;
function ruleFile(documents: readonly string[]): string {
  const path = join(folder, `${files++}.yml`);
  writeFileSync(path, documents.join('---\n'));
  return path;
}

const MINUTE_MS = 60_000;
const BASE_MS = 20_000 * 86_400_000;
const at = (minute: number): string => new Date(BASE_MS + minute * MINUTE_MS).toISOString();

type Login = { readonly minute: number; readonly actor: string; readonly org?: string; readonly trace?: string };

/** A deployment in memory with the rules in force; a login is on the log at the time it happens. */
async function deployment(rules: readonly string[] = RULES) {
  let nowMs = BASE_MS;
  const memory = createMemoryKafka({ now: () => nowMs });
  const kafka = memory.client();
  await applyTopics({ kafka, namespace: '', profile: 'local' });
  const registry = createMemoryRegistry();
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare(['tracehound.events.v1.AuthenticationEvent']);
  const publish = (documents: readonly string[], effectiveAtMs: number) =>
    publishRuleSet({
      kafka,
      codec,
      files: [{ path: 'set.yml', content: documents.join('---\n') }],
      principal: 'ada',
      effectiveAtMs,
    });
  await publish(rules, 0);
  const producer = await kafka.producer();
  const admin = await kafka.admin();
  let sent = 0;
  async function login(type: 'failure' | 'success', { minute, actor, org = 'acme', trace }: Login): Promise<void> {
    nowMs = BASE_MS + minute * MINUTE_MS;
    const value = codec.encode('tracehound.events.v1.AuthenticationEvent', {
      envelope: {
        event_id: `e${sent}`,
        event_type: `auth.login.${type}`,
        family: 'auth',
        category: 'authentication',
        event_time: nowMs,
        event_time_source: 'OCCURRED',
        received_at: nowMs,
        intake_org: org,
        cluster_id: 'local',
        actor: { type: 'USER', id: actor },
        source: { platform: 'test' },
        ...(trace === undefined ? {} : { trace: { trace_id: trace } }),
      },
    });
    await producer.sendTo({ topic: 'security.events', partition: sent++ % 4 }, [{ key: null, value }]);
  }
  /** So many failed logins, a second apart. */
  async function burst(count: number, first: Login): Promise<void> {
    for (let n = 0; n < count; n++) await login('failure', { ...first, minute: first.minute + n / 60 });
  }
  /** A marker on every partition: time has come so far. */
  async function until(minute: number): Promise<void> {
    nowMs = BASE_MS + minute * MINUTE_MS;
    for (const topic of INTAKE_TOPICS)
      for (const { partition } of await admin.offsets(topic))
        await producer.sendTo({ topic, partition }, [{ key: null, value: null, headers: { th_marker: 'idle' } }]);
  }
  const context = { kafka, admin, codec, namespace: '', now: () => nowMs };
  async function backtest(flags: Partial<BacktestTopicFlags>, more: Partial<BacktestTopicContext> = {}) {
    const lines: string[] = [];
    const notes: string[] = [];
    const terminal = { out: (text: string) => void lines.push(text), note: (text: string) => void notes.push(text) };
    const all = { rules: [ruleFile(rules)], format: 'json', ...flags } as const;
    const code = await runBacktestTopic(all, { ...context, terminal, ...more });
    return { code, lines, notes, json: () => JSON.parse(lines[0] ?? '') };
  }
  return { memory, login, burst, until, backtest, publish };
}

const counts = (before: number, after: number, added: number, removed: number, changed: number) => ({
  before,
  after,
  added,
  removed,
  changed,
});

/** Two bursts: of four, and of three that begins with the first minute of the range used below. */
async function twoBursts() {
  const world = await deployment();
  await world.until(0);
  await world.burst(4, { minute: 1, actor: 'u1', trace: 'a'.repeat(32) });
  await world.login('success', { minute: 2, actor: 'u1' });
  await world.burst(3, { minute: 60, actor: 'u2', org: 'globex' });
  await world.login('success', { minute: 61, actor: 'u2', org: 'globex' });
  await world.until(120);
  return world;
}

describe('a backtest over the topics', () => {
  it('of the rules in force finds no difference, and writes nothing', async () => {
    const { backtest, memory } = await twoBursts();
    const sizes = async () => {
      const topics = [
        ...INTAKE_TOPICS,
        'security.alerts',
        'security.matches',
        'security.shadow',
        'detection.activations',
      ];
      return topics.map((topic) => memory.records(topic).length);
    };
    const before = await sizes();
    const { code, json, notes } = await backtest({});
    expect(code).toBe(0);
    expect(json()).toMatchObject({
      partial: false,
      alerts: counts(2, 2, 0, 0, 0),
      matches: counts(2, 2, 0, 0, 0),
      rules: [
        { rule_id: 'many', before: 2, same: 2 },
        { rule_id: 'alone', before: 2, same: 2 },
      ],
    });
    expect(notes[0]).toMatch(/^compared with the rules in force, set [0-9a-f]{12}$/);
    expect(await sizes()).toEqual(before);
  });

  it('tells what a stricter draft removes, and a laxer one adds', async () => {
    const { backtest } = await twoBursts();
    const stricter = await backtest({ rules: [ruleFile([FAILURE, many({ gte: 4 })])] });
    expect(stricter.json()).toMatchObject({
      // One fires an event later.
      alerts: counts(2, 1, 0, 1, 1),
      // The rule that speaks for itself is not in the draft.
      matches: counts(2, 0, 0, 2, 0),
    });
    const [rule] = stricter.json().rules;
    expect(rule.examples.removed).toMatchObject([
      { organization_id: 'globex', group: { 'actor.id': 'u2' }, count: 3, event_ids: ['e5', 'e6', 'e7'] },
    ]);
    const laxer = await backtest({ rules: [ruleFile(RULES)], against: [ruleFile([FAILURE, many({ gte: 4 })])] });
    expect(laxer.json()).toMatchObject({ alerts: counts(1, 2, 1, 0, 1), matches: counts(0, 2, 2, 0, 0) });
  });

  it('calls changed what both say otherwise of the same group and time', async () => {
    const world = await deployment();
    await world.until(0);
    // A burst, and a straggler that only a longer window counts with it.
    await world.burst(3, { minute: 1, actor: 'u1' });
    await world.burst(1, { minute: 3, actor: 'u1' });
    await world.until(120);
    const { json } = await world.backtest({
      rules: [ruleFile([FAILURE, many({ gte: 4, span: '5m' }), RULES[2] as string])],
    });
    expect(json()).toMatchObject({ alerts: counts(1, 1, 0, 0, 1), rules: [{ rule_id: 'many', changed: 1 }] });
    const [{ examples }] = json().rules;
    expect(examples.changed).toMatchObject([{ count: 4 }]);
  });

  it('of one organization, one trace, a range: alerts decided in it, with windows whole from before', async () => {
    const { backtest } = await twoBursts();
    const draft = { rules: [ruleFile([FAILURE, many({ gte: 2 })])] };
    expect((await backtest({ ...draft, organization: 'globex' })).json()).toMatchObject({
      alerts: counts(1, 1, 0, 0, 1),
    });
    expect((await backtest({ trace: 'a'.repeat(32) })).json()).toMatchObject({ alerts: counts(1, 1, 0, 0, 0) });
    expect((await backtest({ trace: 'b'.repeat(32) })).json()).toMatchObject({ alerts: counts(0, 0, 0, 0, 0) });
    // It begins in the middle of the second burst.
    const range = await backtest({ from: at(60 + 2 / 60) });
    expect(range.json()).toMatchObject({ alerts: counts(1, 1, 0, 0, 0), matches: counts(1, 1, 0, 0, 0) });
    expect((await backtest({ to: at(30) })).json()).toMatchObject({ matches: counts(1, 1, 0, 0, 0) });
    await expect(backtest({ from: at(2), to: at(1) })).rejects.toThrow('--from must lie before --to');
  });

  it('no window of the range is new because the other side has not decided it yet', async () => {
    const world = await deployment();
    await world.until(0);
    await world.burst(3, { minute: 60, actor: 'u1' });
    // Decided with a span of a minute, open with a longer one.
    await world.until(66);
    const draft = [FAILURE, many({ span: '30m' }), RULES[2] as string];
    expect((await world.backtest({ rules: [ruleFile(draft)] })).json()).toMatchObject({
      alerts: counts(1, 1, 0, 0, 0),
    });
  });

  it('tells which set it takes when the rules changed in the range', async () => {
    const world = await twoBursts();
    await world.publish([FAILURE, many({ gte: 4 })], BASE_MS + 30 * MINUTE_MS);
    const { json, notes } = await world.backtest({ rules: [ruleFile([FAILURE, many({ gte: 4 })])] });
    expect(json()).toMatchObject({ alerts: counts(1, 1, 0, 0, 0) });
    expect(notes.slice(0, 2).join('\n')).toMatch(/since .*T00:30:00.000Z\n1 other set in force earlier in the range/);
  });

  it('X11 pairs what chains say by the events they stand on', async () => {
    const chain =
      'title: Broke in\nid: chain\ncorrelation: {type: temporal_ordered, rules: [many_failures, success], group-by: [actor.id], timespan: 5m}\n';
    const rules = (gte: number): string[] => [
      FAILURE,
      detection('success', 'auth.login.success'),
      many({ gte }).replace('correlation:', 'name: many_failures\ncorrelation:'),
      chain,
    ];
    const world = await deployment(rules(3));
    await world.until(0);
    for (const [minute, actor] of [
      [1, 'u1'],
      [60, 'u2'],
    ] as const) {
      await world.burst(actor === 'u1' ? 4 : 3, { minute, actor });
      await world.login('success', { minute: minute + 1, actor });
    }
    await world.until(3_000);
    const same = await world.backtest({ rules: [ruleFile(rules(3))] });
    const row = (report: { rules: { rule_id: string }[] }) => report.rules.find(({ rule_id }) => rule_id === 'chain');
    expect(row(same.json())).toMatchObject({ before: 2, same: 2 });
    const stricter = await world.backtest({ rules: [ruleFile(rules(4))] });
    expect(row(stricter.json())).toMatchObject({ before: 2, after: 1, removed: 1, added: 0 });
  });

  it('holds what waits for the other side no longer than that side could still speak', async () => {
    const world = await deployment();
    await world.until(0);
    const DAYS = 120;
    for (let day = 0; day < DAYS; day++) {
      const minute = day * 24 * 60 + 1;
      await world.burst(3, { minute, actor: 'u1' });
      for (let n = 0; n < 80; n++) await world.login('success', { minute: minute + n, actor: 'u2' });
    }
    await world.until(DAYS * 24 * 60 + 3_000);
    const draft = [ruleFile([FAILURE, many({ gte: 4 }), RULES[2] as string])];
    const { json, notes } = await world.backtest({ rules: draft, pendingMax: 60 });
    expect(json()).toMatchObject({ alerts: counts(DAYS, 0, 0, DAYS, 0), matches: counts(9_600, 9_600, 0, 0, 0) });
    expect(json().rules[0].examples.removed).toHaveLength(3);
    expect(notes.join()).not.toContain('before their time');
    const hurried = await world.backtest({ rules: draft, pendingMax: 5 });
    expect(hurried.json()).toMatchObject({ alerts: counts(DAYS, 0, 0, DAYS, 0) });
    expect(hurried.notes.at(-1)).toMatch(/^\d+ alerts compared before their time/);
  });

  it('interrupted, tells a part and says so', async () => {
    const { backtest } = await twoBursts();
    let looks = 0;
    const stopped = () => ++looks > 12;
    const { code, json, notes } = await backtest({}, { stopped });
    expect(code).toBe(130);
    expect(json()).toMatchObject({ partial: true, matches: counts(1, 1, 0, 0, 0) });
    expect(notes.at(-1)).toContain('interrupted');
    looks = 0;
    const lines = await backtest({ format: 'ndjson' }, { stopped });
    expect(lines.lines.map((line) => JSON.parse(line)).at(-1)).toMatchObject({ kind: 'total', partial: true });
    looks = 0;
    expect((await backtest({ format: 'table' }, { stopped })).lines.at(-1)).toMatch(/; partial: it was interrupted/);
  });

  it('estimates through both rule sets without a report', async () => {
    const { backtest } = await twoBursts();
    const { code, json } = await backtest({ dryRun: true });
    expect(code).toBe(0);
    expect(json()).toMatchObject({ kind: 'estimate', records_max: 19, sample: { is_all: true, records: 19 } });
  });
});
