import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { ACTIVATION_LIMITS } from '@tracehound/correlation';
import type { RuleActivation } from '@tracehound/event-model';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { SigmaError } from '@tracehound/sigma';
import { afterAll, describe, expect, it } from 'vitest';
import { readActivations } from '../deployment/approvals.ts';
import { UsageError } from '../usage-error.ts';
import { ruleTopics, writeActivation } from './rules.ts';
import { runBreakerClear, runBreakerList } from './rules-breaker.ts';
import { runRulesHealth } from './rules-health.ts';
import { runRulesKeygen } from './rules-keygen.ts';
import {
  type RulesLive,
  runRulesApply,
  runRulesApprove,
  runRulesDiff,
  runRulesRollback,
  runRulesStatus,
} from './rules-live.ts';
import { applyTopics } from './topics.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracehound-rules-'));
afterAll(() => rmSync(folder, { recursive: true }));

const detection = (name: string, type: string, title = name): string =>
  `title: ${title}\nid: ${name}\nname: ${name}\nlogsource: {product: tracehound}\ndetection: {s: {event_type: ${type}}, condition: s}\n`;
const count = (span: string): string =>
  `title: Many\nid: many\ncorrelation: {type: event_count, rules: [a], group-by: [actor.id], timespan: ${span}, condition: {gte: 3}}\n`;

let files = 0;
function ruleFile(...documents: readonly string[]): string {
  const path = join(folder, `${files++}.yml`);
  writeFileSync(path, documents.join('---\n'));
  return path;
}

async function deployment() {
  let nowMs = 1_000_000;
  const memory = createMemoryKafka({ now: () => nowMs });
  const kafka = memory.client();
  await applyTopics({ kafka, namespace: '', profile: 'local' });
  const registry = createMemoryRegistry();
  await registerRecords(registry);
  const lines: string[] = [];
  const live: RulesLive = {
    kafka,
    admin: await kafka.admin(),
    codec: createAvroCodec({ registry }),
    namespace: '',
    terminal: { out: (text) => void lines.push(...text.split('\n')), note: () => undefined },
    principal: 'ada',
    now: () => nowMs,
  };
  const said = async (run: Promise<number>) => {
    lines.length = 0;
    return { code: await run, lines: [...lines] };
  };
  return { live, memory, said, pass: (ms: number) => void (nowMs += ms) };
}

describe('rules of a deployment', () => {
  it('are applied, compared, listed and taken back', async () => {
    const { live, memory, said, pass } = await deployment();
    const [first, second] = [
      ruleFile(detection('a', 'auth.login.failure'), detection('b', 'data.exported'), count('1m')),
      ruleFile(detection('a', 'auth.login.failure', 'Renamed'), detection('c', 'data.exported'), count('2m')),
    ];
    const begun = await said(runRulesApply({ paths: [first], lateness: '5m', format: 'table' }, live));
    expect(begun.lines.slice(0, -1)).toEqual([
      '+ a',
      '+ b',
      '+ Many',
      '3 rules added, 0 removed, 0 changed, 0 only in words',
    ]);
    expect(begun.lines.at(-1)).toMatch(/^set [0-9a-f]{12} takes effect at 1970-01-01T00:00:00.000Z, in 0 seconds$/);

    expect(await said(runRulesDiff({ paths: [first], format: 'table' }, live))).toMatchObject({ code: 0 });
    expect(await said(runRulesDiff({ paths: [second], format: 'table' }, live))).toEqual({
      code: 1,
      lines: ['+ c', '- b', '~ Many', '" Renamed', '1 rule added, 1 removed, 1 changed, 1 only in words'],
    });

    pass(60_000);
    const applied = await said(runRulesApply({ paths: [second], format: 'json' }, live));
    const { ruleset_id: secondId, ...rest } = JSON.parse(applied.lines[0] as string);
    expect(rest).toMatchObject({ published: true, effective_at: new Date(1_068_000).toISOString(), removed: ['b'] });
    const again = await said(runRulesApply({ paths: [second], format: 'table' }, live));
    expect(again.lines).toEqual([`set ${secondId.slice(0, 12)} is what was applied last: nothing was written`]);

    const states = async (history?: true) =>
      JSON.parse(
        (await said(runRulesStatus({ format: 'json', ...(history ? { history } : {}) }, live))).lines[0] as string,
      ).map(
        (row: { state: string; lateness_ms: number; principal: string }) =>
          `${row.state} ${row.lateness_ms} ${row.principal}`,
      );
    expect(await states()).toEqual(['in force 300000 ada', 'announced 300000 ada']);
    pass(60_000);
    expect(await states()).toEqual(['in force 300000 ada']);
    expect(await states(true)).toEqual(['past 300000 ada', 'in force 300000 ada']);

    const back = await said(runRulesRollback({ format: 'table' }, live));
    expect(back.lines.slice(0, -1)).toEqual([
      '+ b',
      '- c',
      '~ Many',
      '" a',
      '1 rule added, 1 removed, 1 changed, 1 only in words',
    ]);
    pass(60_000);
    expect(await said(runRulesDiff({ paths: [first], format: 'table' }, live))).toMatchObject({ code: 0 });
    await said(runRulesRollback({ to: secondId.slice(0, 8), format: 'table' }, { ...live, principal: 'grace' }));
    pass(60_000);
    const table = await said(runRulesStatus({ history: true, format: 'table' }, live));
    expect(table.lines).toHaveLength(5);
    expect(table.lines.at(-1)).toMatch(new RegExp(`^${secondId.slice(0, 12)}  in force  .*2 \\+ 1 .* 300 s .*grace`));
    expect(memory.records('detection.rules')).toHaveLength(2);
  });

  it('keep the mirrored sources of before unless told; told of none, they are taken out', async () => {
    const { live, said, pass } = await deployment();
    const mirrored = ['eu.security.events'];
    await applyTopics({ kafka: live.kafka, namespace: '', profile: 'local', mirrored });
    const file = (title: string): string => ruleFile(detection('a', 'auth.login.failure', title));
    const topicsAfter = async (title: string, told: Partial<RulesLive>) => {
      pass(60_000);
      await said(runRulesApply({ paths: [file(title)], format: 'json' }, { ...live, ...told }));
      const latest = (await readActivations({ ...live, topic: ruleTopics('').activations })).at(-1);
      return { version: latest?.sources_version, topics: [...new Set(latest?.sources.map(({ topic }) => topic))] };
    };
    const own = ['security.events', 'security.telemetry'];
    expect(await topicsAfter('one', {})).toEqual({ version: 1, topics: own });
    expect(await topicsAfter('two', { mirrored })).toEqual({ version: 2, topics: [...own, ...mirrored] });
    expect(await topicsAfter('three', {})).toEqual({ version: 2, topics: [...own, ...mirrored] });
    expect(await topicsAfter('four', { mirrored: [] })).toEqual({ version: 3, topics: own });
    await expect(
      runRulesApply({ paths: [file('five')], format: 'json' }, { ...live, mirrored: ['eu.x'] }),
    ).rejects.toThrow("'eu.x' must end with .security.events or .security.telemetry");
  });

  it('with a filter that has expired are refused; health tells which is about to, and what never spoke', async () => {
    const { live, memory, said, pass } = await deployment();
    const filter = (expires: string): string =>
      ruleFile(
        detection('a', 'auth.login.failure'),
        count('1m'),
        `title: Build robots\nlogsource: {product: tracehound}\nfilter: {rules: [a], s: {actor.id: robot}, condition: not s}\ncustom: {owner: ada, reason: ticket 9, expires: ${expires}}\n`,
      );
    await expect(runRulesApply({ paths: [filter('1970-01-01')], format: 'table' }, live)).rejects.toThrow(
      /'Build robots' expired on 1970-01-01/,
    );
    await expect(runRulesApply({ paths: [filter('soon')], format: 'table' }, live)).rejects.toThrow(SigmaError);
    await said(runRulesApply({ paths: [filter('1970-01-05')], format: 'table' }, live));
    const producer = await live.kafka.producer();
    await live.codec.prepare(['tracehound.pipeline.v1.CorrelationAlert']);
    const value = live.codec.encode('tracehound.pipeline.v1.CorrelationAlert', {
      ...{ alert_id: 'x', revision: 1, kind: 'OPEN', organization_id: 'acme', cluster_id: 'c', group: [], count: 1 },
      ...{ count_exact: true, first_at: 1, last_at: 2, event_ids: [], matches_partition: 0, watermark: 0 },
      rule: {
        rule_id: 'many',
        title: 'Many',
        level: 'high',
        type: 'event_count',
        semantic_hash: 'h',
        ruleset_id: 's',
        timespan_ms: 1,
      },
    });
    await producer.send('security.alerts', [
      { key: 'acme|x', value },
      { key: 'acme|x', value },
    ]);
    expect(memory.records('security.alerts')).toHaveLength(2);
    const table = await said(runRulesHealth({ format: 'table' }, live));
    expect(table.code).toBe(0);
    expect(table.lines[1]).toMatch(/^Many +medium +live +1970-01-01T00:16:40\.000Z +1 +1 +1$/);
    expect(table.lines.at(-1)).toBe("filter 'Build robots' of ada expires 1970-01-05: ticket 9");

    await said(runRulesApply({ paths: [ruleFile(detection('a', 'auth.login.failure'))], format: 'table' }, live));
    pass(10 * 86_400_000);
    const notes: string[] = [];
    const noting = { ...live, terminal: { ...live.terminal, note: (text: string) => void notes.push(text) } };
    expect(await said(runRulesRollback({ format: 'table' }, noting))).toMatchObject({ code: 0 });
    expect(notes).toEqual([expect.stringMatching(/'Build robots' expired on 1970-01-05: remove it/)]);
    pass(60_000);
    const ill = await said(runRulesHealth({ format: 'table' }, live));
    expect(ill).toMatchObject({ code: 1 });
    expect(ill.lines.at(-1)).toBe("filter 'Build robots' of ada expired 1970-01-05: ticket 9");
  });

  it('warm up what changes its meaning, and only that; a rollback takes the place of the cut-over', async () => {
    const { live, said, pass, memory } = await deployment();
    const first = [ruleFile(detection('a', 'auth.login.failure'), count('1m'))];
    const second = [ruleFile(detection('a', 'auth.login.failure'), count('2m'))];
    const status = async (): Promise<string[]> =>
      (await said(runRulesStatus({ format: 'table' }, live))).lines.join('\n').split('\n').slice(1);
    await said(runRulesApply({ paths: first, format: 'table' }, live));
    pass(60_000);
    await said(runRulesApply({ paths: first, warmUp: 'auto', format: 'table' }, live));
    expect(memory.records('detection.activations')).toHaveLength(1);
    const { lines } = await said(runRulesApply({ paths: second, warmUp: 'auto', format: 'table' }, live));
    // Notice, the longest window, and what clocks may differ by.
    expect(lines.at(-1)).toMatch(/in 189 seconds$/);
    pass(10_000);
    expect(await status()).toEqual([
      expect.stringMatching(/in force .* 1 \+ 1, 1 warming up /),
      expect.stringMatching(/announced .* 1 \+ 1 /),
    ]);
    await said(runRulesRollback({ format: 'table' }, live));
    pass(10_000);
    const [inForce, ...announced] = await status();
    expect(inForce).toMatch(/in force .* 1 \+ 1 /);
    expect(announced.map((line) => line.slice(0, 12))).toContain(inForce?.slice(0, 12));
    pass(200_000);
    expect((await status()).map((line) => line.slice(0, 12))).toEqual([inForce?.slice(0, 12)]);
  });

  it('with an override nobody answers for are refused; diff and status name the organization', async () => {
    const { live, said, pass } = await deployment();
    const rules = [detection('a', 'auth.login.failure'), count('1m')];
    const override = (custom: string): string =>
      ruleFile(
        ...rules,
        `title: Acme is large\noverride: {rule: many, organization: acme, condition: {gte: 40}}\n${custom}`,
      );
    const owned = override('custom: {owner: ada, reason: ticket 12, expires: 1970-01-05}\n');
    await expect(runRulesApply({ paths: [override('')], format: 'table' }, live)).rejects.toThrow(SigmaError);
    await said(runRulesApply({ paths: [ruleFile(...rules)], format: 'table' }, live));
    const diff = await said(runRulesDiff({ paths: [owned], format: 'table' }, live));
    expect(diff.lines).toEqual(['+ Many, in acme', '1 rule added, 0 removed, 0 changed, 0 only in words']);
    await said(runRulesApply({ paths: [owned], format: 'table' }, live));
    pass(60_000);
    const status = await said(runRulesStatus({ format: 'table' }, live));
    expect(status.lines.join('\n')).toMatch(/1 \+ 1, 1 overridden/);
    expect(status.lines.at(-1)).toMatch(
      /^[0-9a-f]{12} in force: override 'Acme is large' in acme of ada expires 1970-01-05: ticket 12$/,
    );
    const [row] = JSON.parse((await said(runRulesStatus({ format: 'json' }, live))).lines[0] as string);
    expect(row.exceptions).toEqual([
      expect.objectContaining({
        organization: 'acme',
        rules: ['many'],
        owner: 'ada',
        expires: '1970-01-05T00:00:00.000Z',
      }),
    ]);
    const health = await said(runRulesHealth({ format: 'table' }, live));
    expect(health.lines.at(-1)).toBe("override 'Acme is large' in acme of ada expires 1970-01-05: ticket 12");
    expect(health.lines.filter((line) => line.startsWith('Many '))).toHaveLength(1);
  });

  it('wait for a second approver where the deployment asks for one', async () => {
    const { live, memory, said } = await deployment();
    const out: string[] = [];
    for (const name of ['ada', 'bob', 'eve']) {
      runRulesKeygen({ keyId: name, file: join(folder, `${name}.pem`) }, { out: (line) => void out.push(line) });
    }
    const [ada, bob] = out.map((line) => JSON.parse(line) as object);
    const keysFile = join(folder, 'keys.json');
    writeFileSync(keysFile, JSON.stringify({ approvals: 2, keys: [ada, bob] }));
    process.env['TRACEHOUND_RULE_KEYS_FILE'] = keysFile;
    try {
      const key = (name: string): string[] => [`${name}=${join(folder, `${name}.pem`)}`];
      const paths = [ruleFile(detection('a', 'auth.login.failure'))];
      const topic = ruleTopics('').activations;
      await said(runRulesApply({ paths, format: 'table', key: key('ada'), reason: 'ticket 7' }, live));
      expect(await readActivations({ ...live, topic })).toEqual([]);
      expect(await said(runRulesApprove({ key: key('eve'), format: 'table' }, live))).toMatchObject({ code: 1 });
      const approved = await said(runRulesApprove({ key: key('bob'), format: 'table' }, live));
      expect(approved).toMatchObject({ code: 0, lines: [expect.stringContaining('approved by ada and bob')] });
      const [held, ...others] = await readActivations({ ...live, topic });
      expect(others).toEqual([]);
      expect(held).toMatchObject({ principal: 'ada', reason: 'ticket 7' });
      await expect(runRulesApprove({ key: key('bob'), format: 'table' }, live)).rejects.toThrow(UsageError);
      expect(memory.records('detection.activations').length).toBe(3);
    } finally {
      delete process.env['TRACEHOUND_RULE_KEYS_FILE'];
    }
  });

  it('stay as they are when a set is refused: broken, or with a horizon the log does not go back to', async () => {
    const { live, memory, said } = await deployment();
    await said(runRulesApply({ paths: [ruleFile(detection('a', 'auth.login.failure'))], format: 'table' }, live));
    await expect(runRulesApply({ paths: [ruleFile('title: broken\n')], format: 'table' }, live)).rejects.toThrow(
      SigmaError,
    );
    const long = ruleFile(detection('a', 'auth.login.failure'), count('10d'));
    await expect(runRulesApply({ paths: [long], format: 'table' }, live)).rejects.toMatchObject({
      problems: [
        { code: 'unsupported', message: expect.stringContaining('needs 40 days of security.matches, which keeps 35') },
      ],
    });
    expect(memory.records('detection.activations')).toHaveLength(1);
  });

  it('carry limits of state, and keep those and a reason with the activation', async () => {
    const { live, said, pass } = await deployment();
    const [first, second] = [1, 2].map((n) => ruleFile(detection(`a${n}`, 'auth.login.failure'))) as [string, string];
    const latest = async () =>
      (await readActivations({ ...live, topic: ruleTopics('').activations })).at(-1) as RuleActivation;
    await said(runRulesApply({ paths: [first], format: 'table' }, live));
    expect(await latest()).toMatchObject({ ...ACTIVATION_LIMITS, reason: null });
    pass(60_000);
    const limit = ['rule-groups=1000', 'organization-bytes=5000000'];
    await said(runRulesApply({ paths: [first], limit, force: 'incident 7', format: 'table' }, live));
    const changed = { ...ACTIVATION_LIMITS, rule_groups_max: 1_000, organization_bytes_max: 5_000_000 };
    expect(await latest()).toMatchObject({ ...changed, reason: 'incident 7' });
    pass(60_000);
    // What nobody says stays.
    await said(runRulesApply({ paths: [second], format: 'table' }, live));
    expect(await latest()).toMatchObject({ ...changed, reason: null });
    for (const wrong of ['rule-groups', 'rules=5', 'rule-groups=0', 'rule-groups=1e3'])
      await expect(runRulesApply({ paths: [first], limit: [wrong], format: 'table' }, live)).rejects.toThrow(
        UsageError,
      );
  });

  it('keep their breakers over another set, until these are cleared', async () => {
    const { live, said, pass } = await deployment();
    const [first, second] = [1, 2].map((n) => ruleFile(detection(`a${n}`, 'auth.login.failure'))) as [string, string];
    await said(runRulesApply({ paths: [first], format: 'table' }, live));
    const topic = ruleTopics('').activations;
    const known = () => readActivations({ ...live, topic });
    const producer = await live.kafka.producer();
    /** As stage A publishes it. */
    const trip = async (organization_id: string, based_on: string | null) => {
      const latest = (await known()).at(-1) as RuleActivation;
      const breakers = [
        ...latest.breakers,
        { organization_id, rule_id: 'many', from: live.now(), until: live.now() + 600_000 },
      ];
      const copy = { ...latest, activation_id: organization_id, effective_at: live.now() + 8_000, breakers, based_on };
      await writeActivation(producer, topic, { codec: live.codec, activation: copy, approvals: [] });
    };
    pass(60_000);
    await trip('mallory', (await known()).at(-1)?.activation_id ?? null);
    // A copy of an activation that is no longer the latest does not count.
    await trip('acme', 'gone');
    await said(runRulesApply({ paths: [second], format: 'table' }, live));
    expect((await known()).map(({ breakers }) => breakers.length)).toEqual([0, 1, 1]);
    const list = async () => JSON.parse((await said(runBreakerList({ format: 'json' }, live))).lines[0] as string);
    expect(await list()).toMatchObject([{ organization_id: 'mallory', rule_id: 'many' }]);
    await expect(runBreakerClear({ org: 'acme', format: 'table' }, live)).rejects.toThrow('no such breaker');
    const cleared = await said(runBreakerClear({ org: 'mallory', rule: 'many', format: 'table' }, live));
    expect(cleared).toMatchObject({ code: 0, lines: [expect.stringMatching(/^1 breaker cleared from /)] });
    expect((await known()).at(-1)).toMatchObject({ breakers: [], principal: 'ada', reason: 'cleared 1 breaker' });
    expect((await said(runBreakerList({ format: 'table' }, live))).lines).toEqual(['no rule is tripped']);
    await producer.close();
  });

  it('are not there before the first apply', async () => {
    const { live } = await deployment();
    await expect(runRulesRollback({ format: 'table' }, live)).rejects.toThrow('no rules were ever activated');
    await expect(runRulesStatus({ format: 'table' }, live)).rejects.toThrow('no rules were ever activated');
    await runRulesApply({ paths: [ruleFile(detection('a', 'auth.login.failure'))], format: 'table' }, live);
    await expect(runRulesRollback({ format: 'table' }, live)).rejects.toThrow('no other set before');
    await expect(runRulesRollback({ to: 'ffff', format: 'table' }, live)).rejects.toThrow('no such set');
  });
});
