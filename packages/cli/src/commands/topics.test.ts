import { createMemoryKafka } from '@tracehound/kafka/memory';
import { expect, test } from 'vitest';
import { runTopicsApply } from './topics.ts';

test('topics apply tells what it changed, and what it kept', async () => {
  const kafka = createMemoryKafka({ now: () => 0 }).client();
  const lines: string[] = [];
  const terminal = { out: (text: string) => void lines.push(...text.split('\n')) };
  const apply = async (profile: string): Promise<string[]> => {
    lines.length = 0;
    await runTopicsApply({ kafka, namespace: '', profile, format: 'table', terminal });
    return lines.map((line) => line.replace(/ {2,}/g, ' '));
  };
  await apply('local');
  const admin = await kafka.admin();
  const [matches, alerts] = ['security.matches', 'security.alerts'];
  for (const topic of [matches, alerts] as string[]) {
    const config = { 'retention.ms': '1000' };
    await admin.applyTopics([{ topic, partitions: 1, replicationFactor: 1, config }]);
  }
  const told = (await apply('default')).filter((line) => /^security\.(matches|alerts) /.test(line));
  expect(told).toEqual([
    expect.stringMatching(/^security\.alerts changed: retention\.ms 1000 -> 7776000000, .*partitions 4 -> 12$/),
    expect.stringMatching(/^security\.matches changed: retention\.ms 1000 -> \d+.*; kept: it has fewer partitions/),
  ]);
  expect((await apply('default')).filter((line) => line.includes(' kept: '))).toEqual([
    expect.stringMatching(/^security\.matches kept: it has fewer partitions/),
  ]);
});
