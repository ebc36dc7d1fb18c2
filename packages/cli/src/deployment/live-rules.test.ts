import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createAvroCodec, createMemoryRegistry } from '@tracehound/avro';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { formatProblem, loadRuleSet, type RuleFile, SigmaError } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { publishRuleSet } from '../commands/rules.ts';
import { applyTopics } from '../commands/topics.ts';
import { loadScenario, readRules } from '../scenario/scenario.ts';
import { liveFiles, liveProblems } from './live-rules.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const BASE = `title: Failure
name: failure
logsource: {product: tracehound}
detection: {s: {event_type: auth.login.failed}, condition: s}
`;
const MANY = `title: Many
name: many
correlation: {type: event_count, rules: [failure], group-by: [actor.id], timespan: 1m, condition: {gte: 3}}
`;
const CHAIN = `title: Many, then again
name: again
correlation: {type: event_count, rules: [many], group-by: [actor.id], timespan: 9d, condition: {gte: 2}}
`;
const file = (path: string, content: string): RuleFile => ({ path, content });

describe('rules that could not be rebuilt', () => {
  const problemsOf = (rules: string): readonly string[] =>
    liveProblems(loadRuleSet([file('a.yml', rules)])).map(formatProblem);

  it('are named with the days they need', () => {
    expect(problemsOf(`${BASE}---\n${MANY}---\n${CHAIN}`)).toEqual([
      expect.stringMatching(/^a\.yml:10:1 unsupported 'again' could not be rebuilt: it needs 38 days .* keeps 35/),
    ]);
  });

  it('X11 horizons add up along chains', () => {
    const wide = MANY.replace('1m', '2d');
    const outer = CHAIN.replace('9d', '7d');
    expect(problemsOf(`${BASE}---\n${MANY}---\n${outer}`)).toEqual([]);
    expect(problemsOf(`${BASE}---\n${wide}---\n${outer}`)).toEqual([expect.stringContaining('it needs 36 days')]);
  });

  it('are refused by publishing before anything is written', async () => {
    const memory = createMemoryKafka({ now: () => 0 });
    await applyTopics({ kafka: memory.client(), namespace: '', profile: 'local' });
    const publishing = publishRuleSet({
      kafka: memory.client(),
      codec: createAvroCodec({ registry: createMemoryRegistry() }),
      files: [file('a.yml', `${BASE}---\n${MANY}---\n${CHAIN}`)],
      principal: 'test',
    });
    await expect(publishing).rejects.toThrow(SigmaError);
    await expect(publishing).rejects.toMatchObject({ problems: [{ code: 'unsupported', line: 10 }] });
    expect(memory.records('detection.rules')).toEqual([]);
    expect(memory.records('detection.activations')).toEqual([]);
  });

  it('are left out by file, with what stands on those files', () => {
    const files = [
      file('chain.yml', `${CHAIN}---\n${BASE.replaceAll('failure', 'inside')}`),
      file('many.yml', `${BASE}---\n${MANY}`),
      file('on-inside.yml', MANY.replace('[failure]', '[inside]').replace('name: many', 'name: other')),
    ];
    const { files: kept, leftOut } = liveFiles(files);
    expect(kept.map(({ path }) => path)).toEqual(['many.yml']);
    expect(leftOut.map(({ path, code }) => `${path} ${code}`)).toEqual([
      'chain.yml unsupported',
      'on-inside.yml reference_unknown',
    ]);
    expect(liveFiles([file('broken.yml', 'title: broken\n')])).toEqual({
      files: [file('broken.yml', 'title: broken\n')],
      leftOut: [],
    });
  });
});

describe('what is published', () => {
  const folder = join(ROOT, 'e2e/scenarios');
  it.each(readdirSync(folder))('scenario %s can run', (name) => {
    expect(liveProblems(loadRuleSet(loadScenario(ROOT, name).rules))).toEqual([]);
  });

  it('events of your own run under all shipped rules', () => {
    const { rules, rulesLeftOut } = loadScenario(ROOT, join(folder, 'cross-platform/events.ndjson'));
    expect(liveProblems(loadRuleSet(rules))).toEqual([]);
    expect(rulesLeftOut).toEqual([]);
    expect(rules.length).toBe(readRules(join(ROOT, 'rules'), ['.']).length);
  });
});
