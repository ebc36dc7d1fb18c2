import { Writable } from 'node:stream';
import { type Deployment, type PlayResult, type ReplayFlags, runExplainAlert, runReplay } from '@tracehound/cli';
import { testStack } from '@tracehound/testkit';
import { expect, it } from 'vitest';
import { playOn, scenarioOf } from './play-on.fixture.ts';

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
