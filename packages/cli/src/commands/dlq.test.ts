import { createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { namespacedTopic, TOPIC_NAMES } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import { createMemoryKafka } from '@tracehound/kafka/memory';
import { describe, expect, it } from 'vitest';
import { readLetters } from '../dead-letters/dead-letter-log.ts';
import { redriveLetters } from '../dead-letters/redrive.ts';
import { type DlqContext, type DlqRedriveFlags, runDlqList, runDlqRedrive, runDlqShow } from './dlq.ts';

type LetterSpec = {
  readonly topic?: string;
  readonly of?: string;
  readonly at: readonly [partition: number, offset: number];
  readonly reason?: string;
  readonly payload?: Buffer | null;
  readonly headers?: Record<string, string>;
  readonly failedAtMs?: number;
  readonly service?: string;
};

const EVENTS = 'ns.security.events';

async function world() {
  const registry = createMemoryRegistry();
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare(['tracehound.pipeline.v1.DeadLetter']);
  const memory = createMemoryKafka({ now: () => 0 });
  memory.createTopics(TOPIC_NAMES.map((name) => ({ topic: namespacedTopic('ns', name), partitions: 2 })));
  const kafka = memory.client();
  const admin = await kafka.admin();
  const producer = await kafka.producer();
  const out: string[] = [];
  const notes: string[] = [];
  const context: DlqContext = {
    kafka,
    admin,
    codec,
    namespace: 'ns',
    mirrored: undefined,
    now: () => 0,
    terminal: { out: (text) => void out.push(text), note: (text) => void notes.push(text) },
  };

  async function put(spec: LetterSpec): Promise<void> {
    const topic = spec.topic ?? EVENTS;
    const value = codec.encode('tracehound.pipeline.v1.DeadLetter', {
      original_topic: spec.of ?? topic,
      partition: spec.at[0],
      offset: spec.at[1],
      key: Buffer.from(`acme|${spec.at.join('-')}`),
      payload: spec.payload === undefined ? Buffer.from(`value ${spec.at.join('-')}`) : spec.payload,
      headers: spec.headers ?? { th_org: 'acme' },
      service: spec.service ?? 'correlator',
      stage: 'decode',
      reason: spec.reason ?? 'undecodable',
      detail: 'SEC_AVRO_SCHEMA_UNKNOWN',
      failed_at: spec.failedAtMs ?? 1_000,
    });
    const [result] = await producer.send(`${topic}.dlq`, [{ key: `acme|${spec.at.join('-')}`, value }]);
    expect(result?.ok).toBe(true);
  }

  async function records(topic = EVENTS): Promise<readonly KafkaRecord[]> {
    const found: KafkaRecord[] = [];
    for (const { partition } of await admin.offsets(topic))
      for await (const record of kafka.read({ topic, partition })) found.push(record);
    return found;
  }

  async function redrive(flags: Partial<DlqRedriveFlags> = {}, topic = 'security.events') {
    const code = await runDlqRedrive(topic, { format: 'json', ...flags }, context);
    return { code, ...(JSON.parse(out.at(-1) ?? '') as Record<string, unknown>) };
  }
  return { ...context, context, producer, put, records, redrive, out, notes };
}

describe('dlq redrive', () => {
  it('redrive twice: the original bytes, key and headers go out once, and the receipt says where', async () => {
    const { put, records, redrive, context } = await world();
    await put({ at: [0, 7] });
    await put({ at: [1, 9] });
    expect(await redrive()).toMatchObject({ code: 0, records: 2, sent: 0, open: 2 });
    expect(await records()).toEqual([]);
    expect(await redrive({ yes: true })).toMatchObject({ code: 0, records: 2, sent: 2, failed: 0, open: 0 });
    expect(await redrive({ yes: true })).toMatchObject({ code: 0, records: 0, sent: 0, left: { redriven: 2 } });
    const sent = (await records()).map(({ key, value, headers }) => ({
      key: String(key),
      value: String(value),
      ...Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, String(text)])),
    }));
    const copy = (place: string) => ({ th_org: 'acme', th_redriven_from: `${EVENTS}/${place.replace('-', '/')}` });
    expect(sent.sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual(
      ['0-7', '1-9'].map((place) => ({ key: `acme|${place}`, value: `value ${place}`, ...copy(place) })),
    );
    const { letters } = await readLetters(context, EVENTS);
    expect(letters.map(({ state }) => state)).toEqual(['redriven', 'redriven']);
  });

  it('two letters of one record are one record; a letter that comes after the receipt is open again', async () => {
    const { put, records, redrive } = await world();
    await put({ at: [0, 7] });
    await put({ at: [0, 7], service: 'sink-audit' });
    expect(await redrive({ yes: true })).toMatchObject({ sent: 1 });
    expect(await redrive({ yes: true })).toMatchObject({ sent: 0, left: { redriven: 2 } });
    await put({ at: [0, 7], service: 'alerter' });
    expect(await redrive({ yes: true })).toMatchObject({ sent: 1, open: 0 });
    expect(await records()).toHaveLength(2);
  });

  it('chooses by reason, service, time and place; a limit leaves the rest open', async () => {
    const { put, redrive } = await world();
    await put({ at: [0, 1], reason: 'undecodable', failedAtMs: 1_000 });
    await put({ at: [0, 2], reason: 'rule_error', failedAtMs: 2_000 });
    await put({ at: [1, 3], service: 'sink-audit', failedAtMs: 3_000 });
    for (const [flags, count] of [
      [{ reason: 'rule_error' }, 1],
      [{ service: 'sink-audit' }, 1],
      [{ from: '1970-01-01T00:00:02Z' }, 2],
      [{ to: '1970-01-01T00:00:02Z' }, 1],
      [{ at: ['0/2', '1/3'] }, 2],
      [{ at: ['1/2'] }, 0],
      [{ limit: '2' }, 2],
    ] as const) {
      expect(await redrive(flags), JSON.stringify(flags)).toMatchObject({ records: count });
    }
    expect(await redrive({ limit: '2', yes: true })).toMatchObject({ sent: 2, open: 1 });
    await expect(redrive({ at: ['3'] })).rejects.toThrow('partition/offset');
    await expect(redrive({ limit: '0' })).rejects.toThrow('whole number');
    await expect(redrive({ from: 'soon' })).rejects.toThrow('takes a time');
  });

  it('never sends time, bytes it does not have, records of other topics, or what means something only in its place', async () => {
    const { put, records, redrive } = await world();
    await put({ at: [0, 1], payload: null });
    await put({ at: [0, 2], headers: { th_marker: 'end_of_input' } });
    await put({ at: [0, 3], of: 'security.events' });
    await put({ topic: 'ns.security.matches', at: [0, 4] });
    expect(await redrive({ yes: true })).toMatchObject({
      sent: 0,
      left: { 'no value': 1, marker: 1, 'other topic': 1 },
    });
    for (const topic of ['security.matches', 'detection.activations', 'detection.rules.dlq'])
      await expect(redrive({ yes: true }, topic)).rejects.toThrow('are not sent again');
    await expect(redrive({ yes: true }, 'security.nothing')).rejects.toThrow('expected one of');
    expect(await records()).toEqual([]);
    expect(await records('ns.security.matches')).toEqual([]);
  });

  it('what is not acknowledged stays open, with exit code 1', async () => {
    const { put, redrive, context, notes } = await world();
    await put({ at: [0, 1] });
    const producer = await context.kafka.producer();
    const failing = {
      ...context.kafka,
      producer: () =>
        Promise.resolve({
          sendTo: producer.sendTo.bind(producer),
          close: () => producer.close(),
          send: (_: string, all: readonly unknown[]) =>
            Promise.resolve(all.map(() => ({ ok: false as const, error: new Error('too few replicas') }))),
        }),
    };
    expect(await runDlqRedrive('security.events', { format: 'json', yes: true }, { ...context, kafka: failing })).toBe(
      1,
    );
    expect(notes.join()).toContain('too few replicas');
    expect(await redrive({ yes: true })).toMatchObject({ sent: 1 });
  });

  it('stops between letters when the user wants an end, and goes on later', async () => {
    const { put, redrive, context } = await world();
    for (let offset = 0; offset < 5; offset++) await put({ at: [0, offset] });
    let looks = 0;
    const stopped = () => ++looks > 3;
    expect(await runDlqRedrive('security.events', { format: 'json', yes: true }, { ...context, stopped })).toBe(130);
    expect(await redrive({ yes: true })).toMatchObject({ sent: 2, left: { redriven: 3 } });
  });

  it('a crash between a copy and its receipt sends the copy once more', async () => {
    const { put, records, redrive, context, producer } = await world();
    await put({ at: [0, 1] });
    const { letters } = await readLetters(context, EVENTS);
    const crashing = { send: producer.send.bind(producer), sendTo: () => Promise.reject(new Error('killed')) };
    await expect(redriveLetters(letters, { source: context, producer: crashing, topic: EVENTS })).rejects.toThrow(
      'killed',
    );
    expect(await redrive({ yes: true })).toMatchObject({ sent: 1 });
    expect((await records()).map(({ value }) => String(value))).toEqual(['value 0-1', 'value 0-1']);
  });
});

describe('dlq list and show', () => {
  it('count letters per reason, name what is no letter, and cannot steer a terminal', async () => {
    const { put, producer, redrive, context, out, notes } = await world();
    await runDlqList({ format: 'table' }, context);
    expect(out.at(-1)).toBe('no dead letters');
    await put({ at: [0, 1], reason: 'a\u001b[2Jb' });
    await put({ at: [0, 2], payload: Buffer.from('secret'), failedAtMs: 2_000 });
    await producer.send(`${EVENTS}.dlq`, [{ key: 'k', value: Buffer.from('no Avro') }]);
    await redrive({ at: ['0/2'], yes: true });
    await runDlqList({ format: 'json' }, context);
    const rows = JSON.parse(out.at(-1) ?? '') as { reason: string }[];
    expect(rows.toSorted((a, b) => (a.reason < b.reason ? -1 : 1))).toEqual([
      expect.objectContaining({ topic: EVENTS, reason: 'a\u001b[2Jb', letters: 1, open: 1 }),
      expect.objectContaining({ topic: EVENTS, reason: 'undecodable', letters: 1, open: 0 }),
    ]);
    expect(notes.at(-1)).toBe(`${EVENTS}.dlq holds 1 record that is no dead letter`);
    await runDlqList({ format: 'table' }, context);
    expect(out.at(-1)).not.toContain('\u001b');
    await runDlqShow('security.events.dlq', { format: 'table', limit: '1' }, context);
    expect(out.at(-1)).toContain(`${EVENTS}/0/2`);
    expect(out.at(-1)).not.toContain(Buffer.from('secret').toString('base64'));
    expect(notes.at(-1)).toContain('the newest 1 of 2 letters');
    await runDlqShow('security.events', { format: 'json', limit: '9', at: ['0/2'], values: true }, context);
    expect(JSON.parse(out.at(-1) ?? '')).toMatchObject({
      of: `${EVENTS}/0/2`,
      state: 'redriven',
      value: Buffer.from('secret').toString('base64'),
    });
  });
});
