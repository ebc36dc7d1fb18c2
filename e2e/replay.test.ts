import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import {
  type BacktestTopicFlags,
  type Deployment,
  type PlayResult,
  type ReplayFlags,
  runBacktestTopic,
  runExplainAlert,
  runReplay,
} from '@tracehound/cli';
import { testStack } from '@tracehound/testkit';
import { expect, it } from 'vitest';
import { playOn, ROOT, scenarioOf } from './play-on.fixture.ts';

type Ran = { readonly code: number; readonly lines: readonly string[]; readonly notes: readonly string[] };

/** `tracehound replay` on the topics of a deployment. */
async function replay(deployment: Deployment, namespace: string, flags: Partial<ReplayFlags>): Promise<Ran> {
  let text = '';
  const notes: string[] = [];
  const stdout = new Writable({
    write: (chunk: Buffer, _, done) => {
      text += chunk.toString();
      done();
    },
  });
  const terminal = {
    out: (line: string) => void (text += `${line}\n`),
    note: (line: string) => void notes.push(line),
    noteColours: false,
    outColours: false,
    width: 120,
  };
  const { kafka, admin, codec } = deployment;
  const context = { kafka, admin, codec, namespace, terminal, stdout, now: Date.now };
  const code = await runReplay({ format: 'ndjson', ...flags }, context);
  return { code, lines: text.split('\n').filter((line) => line !== ''), notes };
}

const RULES = join(ROOT, 'e2e/scenarios/ssh-bruteforce/rules');

/** `tracehound backtest --topic` on the topics of a deployment. */
async function backtest(deployment: Deployment, namespace: string, flags: Partial<BacktestTopicFlags>) {
  const lines: string[] = [];
  const notes: string[] = [];
  const terminal = { out: (text: string) => void lines.push(text), note: (text: string) => void notes.push(text) };
  const { kafka, admin, codec } = deployment;
  const context = { kafka, admin, codec, namespace, terminal, now: Date.now };
  const code = await runBacktestTopic({ rules: [RULES], format: 'json', ...flags }, context);
  return { code, lines, notes, report: () => JSON.parse(lines[0] ?? '') };
}

/** Where the topics end that a verb could speak on; the others get markers all the time. */
async function endsOf({ admin, topic }: Deployment): Promise<string> {
  const ends: string[] = [];
  for (const name of [
    'security.alerts',
    'security.shadow',
    'security.late',
    'detection.activations',
    'detection.rules',
  ])
    for (const { partition, high } of await admin.offsets(topic(name))) ends.push(`${name}/${partition}@${high}`);
  return ends.join();
}

/** The rules of the scenario, and a draft of them that asks for twice as many failures and lacks a rule. */
async function checkBacktest(deployment: Deployment, namespace: string, finals: number): Promise<void> {
  const ends = await endsOf(deployment);
  const equal = await backtest(deployment, namespace, {});
  expect(equal.code).toBe(0);
  expect(equal.report()).toMatchObject({
    partial: false,
    alerts: { before: finals, after: finals, added: 0, removed: 0, changed: 0 },
  });

  const folder = mkdtempSync(join(tmpdir(), 'tracehound-draft-'));
  try {
    const documents = readFileSync(join(RULES, 'ssh-rules.yml'), 'utf8').split('---\n');
    const draft = documents
      .filter((document) => !document.includes('title: SSH failure then success'))
      .map((document) => document.replace('gte: 5}', 'gte: 10}'));
    expect(draft).toHaveLength(documents.length - 1);
    writeFileSync(join(folder, 'draft.yml'), draft.join('---\n'));
    const { report } = await backtest(deployment, namespace, { rules: [folder] });
    const { alerts, rules } = report();
    // `tracehound detect` over the file of the scenario finds 102 and 11 with its rules, 10 and none with the draft.
    expect(rules).toMatchObject([
      { rule_title: 'SSH brute force by source', before: 102, after: 10, same: 0, changed: 10, added: 0, removed: 92 },
      { rule_title: 'SSH failure then success', before: 11, after: 0, same: 0, changed: 0, added: 0, removed: 11 },
      // No correlation of the draft stands on it any more: it speaks for itself.
      { rule_title: 'SSH accepted', kind: 'detection', before: 0, after: 226, added: 226, removed: 0 },
    ]);
    expect(rules[0].examples.removed).toHaveLength(3);
    expect(alerts).toEqual({ before: finals, after: 10, added: 0, removed: 103, changed: 10 });
    // The other way round the same is gained.
    const reverse = await backtest(deployment, namespace, { rules: [RULES], against: [folder] });
    expect(reverse.report().alerts).toEqual({ before: 10, after: finals, added: 103, removed: 0, changed: 10 });

    const estimate = await backtest(deployment, namespace, { rules: [folder], dryRun: true, format: 'table' });
    expect(estimate.lines.join()).toMatch(/^at most [\d,]+ records, .*; this was only an estimate$/m);
    expect(await endsOf(deployment), 'a backtest writes nothing').toBe(ends);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

it('E2 replay of the topics says what the services said, and finds a draft that would say otherwise', async () => {
  const stack = await testStack();
  const namespace = stack.namespace();
  const { kafkaBrokers, registryUrl, redisStateUrl, redisEdgeUrl, postgresUrl } = stack;
  const inspect = async (deployment: Deployment, { log, events }: PlayResult): Promise<void> => {
    const finals = new Set(log.filter(({ kind }) => kind === 'FINAL').map(({ alert_id }) => alert_id));
    const equal = await replay(deployment, namespace, { diffLive: true, format: 'table' });
    expect(equal, equal.lines.join('\n')).toMatchObject({
      code: 0,
      lines: [`final alerts: ${finals.size} the same, 0 missing live, 0 only live`],
    });
    expect(equal.notes.join()).toContain(`${events.length.toLocaleString('en-US')} events`);

    const results = await replay(deployment, namespace, {});
    const correlations = results.lines.map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'correlation');
    expect(correlations).toHaveLength(finals.size);

    const [some] = correlations;
    const one = await replay(deployment, namespace, { rule: some.rule_id });
    expect(new Set(one.lines.map((line) => JSON.parse(line).rule_id))).toEqual(new Set([some.rule_id]));

    const timeline = await replay(deployment, namespace, { trace: 'f'.repeat(32), format: 'table' });
    expect(timeline.lines).toEqual(['no events of that trace in this range']);

    const estimate = await replay(deployment, namespace, { dryRun: true, format: 'table' });
    expect(estimate.lines.at(-3)).toMatch(/^at most [\d,]+ records, .*; this was only an estimate$/);
    expect(estimate.lines.at(-2)).toMatch(/^measured.* bytes a record unpacked$/);

    // An analyst asks why: every alert comes out of its own evidence again.
    for (const id of [...finals].slice(0, 12)) {
      const out: string[] = [];
      const terminal = { out: (line: string) => void out.push(line), note: () => undefined, outColours: false };
      const { kafka, admin, codec } = deployment;
      const context = { kafka, admin, codec, namespace, terminal, now: Date.now };
      expect(await runExplainAlert({ alert: id.slice(0, 12), format: 'table' }, context), out.join('\n')).toBe(0);
      expect(out.at(-1)).toBe('✓ the evidence alone gives this alert, under this id');
    }

    await checkBacktest(deployment, namespace, finals.size);

    const draft = await replay(deployment, namespace, { diffLive: true, rules: ['rules/detections'] });
    expect(draft.code).toBe(1);
    expect(draft.lines.filter((line) => JSON.parse(line).change === 'extra')).toHaveLength(finals.size);
  };
  await playOn({
    addresses: { kafkaBrokers, registryUrl, redisStateUrl, redisEdgeUrl, postgresUrl },
    namespace,
    scenario: scenarioOf('ssh-bruteforce'),
    inspect,
  });
});
