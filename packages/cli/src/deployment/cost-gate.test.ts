import { createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { loadRuleSet, SigmaError } from '@tracehound/sigma';
import { describe, expect, it } from 'vitest';
import { applyTopics } from '../commands/topics.ts';
import { costOf, passCostGate } from './cost-gate.ts';

const detection = (name: string, type: string): string =>
  `title: ${name}\nid: ${name}\nname: ${name}\nlogsource: {product: tracehound}\ndetection: {s: {event_type: ${type}}, condition: s}\n`;
const count = (name: string, rules: string): string =>
  `title: ${name}\nid: ${name}\ncorrelation: {type: event_count, rules: [${rules}], group-by: [actor.id], timespan: 1m, condition: {gte: 3}}\n`;

const SET = loadRuleSet([
  {
    path: 'set.yml',
    content: [
      detection('failure', 'auth.login.failure'),
      detection('success', 'auth.login.success'),
      count('many_failures', 'failure'),
      count('any_login', 'failure, success'),
      // Stands alone: a finding for each.
      detection('alone', 'auth.login.success'),
    ].join('---\n'),
  },
]);

/** A deployment whose topic holds so many successful logins, and then so many failed ones. */
async function deployment(successes: number, failures: number) {
  const kafka = createMemoryKafka({ now: () => 1_000_000 }).client();
  await applyTopics({ kafka, namespace: '', profile: 'local' });
  const registry = createMemoryRegistry();
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare(['tracehound.events.v1.AuthenticationEvent']);
  const event = (type: string, n: number) => {
    const event_id = `${type}-${n}`;
    const value = codec.encode('tracehound.events.v1.AuthenticationEvent', {
      envelope: {
        event_id,
        event_type: type,
        family: 'auth',
        category: 'authentication',
        event_time: n,
        event_time_source: 'OCCURRED',
        received_at: n,
        intake_org: 'acme',
        cluster_id: 'local',
        actor: { type: 'USER', id: `u${n % 7}` },
        source: { platform: 'test' },
      },
    });
    return { key: `acme|${event_id}`, value };
  };
  const producer = await kafka.producer();
  await producer.send('security.events', [
    ...Array.from({ length: successes }, (_, n) => event('auth.login.success', n)),
    ...Array.from({ length: failures }, (_, n) => event('auth.login.failure', n)),
    { key: 'acme|poison', value: Buffer.from('no event') },
  ]);
  const notes: string[] = [];
  const terminal = { note: (text: string) => void notes.push(text) };
  return { kafka, admin: await kafka.admin(), codec, namespace: '', terminal, notes };
}

describe('the cost gate (X7)', () => {
  it('counts what each rule would write per event', async () => {
    const { events, rules } = await costOf(SET, await deployment(300, 100));
    expect(events).toBe(400);
    expect(rules.map(({ rule, perEvent }) => [rule.name ?? rule.description.title, perEvent])).toEqual([
      ['any_login', 1],
      ['alone', 0.75],
      ['many_failures', 0.25],
    ]);
  });

  it('refuses a set with the names of the rules above the bound, and only those', async () => {
    const refused = passCostGate(SET, await deployment(1500, 500), undefined);
    await expect(refused).rejects.toThrow(SigmaError);
    await expect(refused).rejects.toMatchObject({
      problems: [
        { path: 'set.yml', code: 'limit_exceeded', message: expect.stringContaining("'any_login' would write 1.00") },
        { path: 'set.yml', code: 'limit_exceeded', message: expect.stringContaining("'alone' would write 0.75") },
      ],
    });
  });

  it('lets it pass with a reason, and says what it let pass', async () => {
    const source = await deployment(1500, 500);
    await passCostGate(SET, source, 'incident 7');
    expect(source.notes).toHaveLength(2);
    expect(source.notes[0]).toMatch(/^applied all the same: 'any_login'/);
  });

  it('judges nobody by a handful of events', async () => {
    await expect(passCostGate(SET, await deployment(100, 20), undefined)).resolves.toBeUndefined();
  });

  it('looks at the newest events of every partition only', async () => {
    // Keys spread over four partitions: the newest 40 are the last ten of each, all failures.
    const { events, rules } = await costOf(SET, await deployment(2000, 400), 40);
    // The poison is one of them.
    expect(events).toBe(39);
    expect(rules.map(({ rule }) => rule.description.title)).toEqual(['many_failures', 'any_login']);
  });
});
