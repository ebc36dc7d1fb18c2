import { classifyError } from '@tracehound/event-model';
import { waitFor } from '@tracehound/testkit';
import kafkajs, { type Admin } from 'kafkajs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPostgresAuditStore } from '../src/adapters/postgres-store.ts';
import { loginFailure } from './event.fixture.ts';
import { logins, type SinkWorld, sinkWorld } from './sink-world.fixture.ts';

let world: SinkWorld;

beforeEach(async () => {
  world = await sinkWorld();
});

afterEach(() => world.close());

async function storedRows(): Promise<{ stored: bigint; positions: bigint; ids: bigint }> {
  const { rows } = await world.database.admin.query<{ stored: bigint; positions: bigint; ids: bigint }>(
    `SELECT count(*) AS stored, count(DISTINCT (topic_id, kafka_partition, kafka_offset)) AS positions,
       count(DISTINCT event_id) AS ids FROM audit.event`,
  );
  return rows[0] as NonNullable<(typeof rows)[0]>; // An aggregate gives one row.
}

async function metric(app: { addresses: { internal: string } }, name: string): Promise<number> {
  const text = await (await fetch(`${app.addresses.internal}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(name) && !line.startsWith('#'));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

describe('zombie', () => {
  it('X15 a sink that lost its partitions writes nothing more, and takes back what the group gives it', async () => {
    const app = await world.app();
    await world.send(logins(40));
    await world.caughtUp();
    // Another owner appears behind the group's back, as after a pause longer than the session time-out.
    const store = createPostgresAuditStore({ pool: world.database.writer, monthsAhead: 3 });
    const topicId = (await world.admin.topicIds([world.topic('security.events')])).get(world.topic('security.events'));
    for (let partition = 0; partition < 4; partition++) {
      await store.acquire({ topicId: topicId as string, topic: 'security.events', partition }, 'other'); // Asked above.
    }
    await world.send(logins(40));
    await world.caughtUp();
    expect(await storedRows()).toEqual({ stored: 80n, positions: 80n, ids: 80n });
    expect(await metric(app, 'sink_fenced_total')).toBeGreaterThanOrEqual(1);
  });
});

describe('rebalance-during-commit', () => {
  it('two sinks, one leaving in the middle: every record once, shared by both', async () => {
    const slow = { TRACEHOUND_SINK_BATCH_ROWS_MAX: '20' };
    const first = await world.app(slow);
    await world.send(logins(400));
    const second = await world.app(slow);
    for (let round = 0; round < 5; round++) await world.send(logins(100));
    await waitFor(async () => (await metric(second, 'sink_partitions_held')) > 0, {
      what: 'the second sink to get partitions',
    });
    await world.send(logins(300));
    await world.caughtUp();
    await first.stop();
    await world.send(logins(200));
    await world.caughtUp();
    expect(await storedRows()).toEqual({ stored: 1_400n, positions: 1_400n, ids: 1_400n });
    const owners = await world.database.admin.query<{ fences: bigint }>(
      'SELECT max(fence) AS fences FROM audit.sink_offset',
    );
    expect(owners.rows[0]?.fences).toBeGreaterThanOrEqual(2n);
  });
});

describe('poison-record', () => {
  it('goes to the dead-letter topic with reason and coordinates, and to audit.delivery_failure without its bytes', async () => {
    const app = await world.app();
    const { encode } = world.codec;
    await world.sendRaw('security.events', { key: 'acme|a', value: Buffer.from('not framed') });
    await world.sendRaw('security.events', { key: 'acme|b', value: Buffer.from([0, 0x7f, 0xff, 0xff, 0xff, 1]) });
    const event = encode('tracehound.events.v1.AuthenticationEvent', loginFailure());
    await world.sendRaw('security.events', { key: 'acme|c', value: event.subarray(0, event.length - 5) });
    await world.sendRaw('security.events', { key: 'acme|d', value: null });
    await world.sendRaw('security.alerts', { key: 'acme|e', value: event });
    await world.send(logins(10));
    await world.caughtUp();
    const { rows } = await world.database.admin.query<{ topic: string; stage: string; reason: string; sha: string }>(
      "SELECT topic, stage, reason, encode(raw_sha256, 'hex') AS sha FROM audit.delivery_failure ORDER BY topic, reason",
    );
    expect(rows.map(({ topic, stage, reason }) => [topic, stage, reason])).toEqual([
      ['security.alerts', 'canonicalise', 'unexpected_record'],
      ['security.events', 'decode', 'no_value'],
      ['security.events', 'decode', 'not_framed'],
      ['security.events', 'decode', 'undecodable'],
      ['security.events', 'decode', 'unknown_schema'],
    ]);
    const letters = await world.records('security.events.dlq');
    expect(letters.map((letter) => letter.key?.toString()).sort()).toEqual(['acme|a', 'acme|b', 'acme|c', 'acme|d']);
    const letter = letters.find((record) => record.key?.toString() === 'acme|a');
    const decoded = await world.codec.decode(letter?.value as Buffer); // Found above.
    expect(decoded).toMatchObject({
      name: 'tracehound.pipeline.v1.DeadLetter',
      value: { service: 'sink-audit', stage: 'decode', reason: 'not_framed', payload: Buffer.from('not framed') },
    });
    expect(letter?.headers['th_topic']?.toString()).toBe(world.topic('security.events'));
    expect((await storedRows()).stored).toBe(10n);
    const [consumed, verdicts, retries] = await Promise.all([
      metric(app, 'sink_records_consumed_total'),
      metric(app, 'sink_verdicts_total'),
      metric(app, 'sink_verdicts_total{stage="decode",verdict="retry"'),
    ]);
    expect(consumed).toBe(15);
    expect(verdicts - retries).toBe(15);
  });

  it('a row that PostgreSQL refuses becomes a dead letter of `copy`, its neighbours become rows', async () => {
    await world.database.admin.query(
      "ALTER TABLE audit.event ADD CONSTRAINT test_refusal CHECK (actor_id <> 'refused')",
    );
    await world.app();
    const refused = loginFailure({ actor: { type: 'user', id: 'refused' } });
    await world.send([...logins(20), refused, ...logins(20)]);
    await world.caughtUp();
    expect((await storedRows()).stored).toBe(40n);
    const { rows } = await world.database.admin.query('SELECT stage, reason, detail FROM audit.delivery_failure');
    expect(rows).toEqual([{ stage: 'copy', reason: 'row_refused', detail: 'SQLSTATE 23514' }]);
    expect(await world.records('security.events.dlq')).toHaveLength(1);
  });
});

describe('redelivery-after-crash', () => {
  it('X15 the stored offset decides, not the one committed to Kafka', async () => {
    const first = await world.app();
    await world.send(logins(60));
    await world.caughtUp();
    await first.stop();
    // As if no Kafka commit had ever come: the group has no position, the store has.
    await withKafkaJsAdmin((admin) => admin.deleteGroups([`${world.namespace}.sink-audit`]));
    await world.app();
    await world.send(logins(10));
    await world.caughtUp();
    expect(await storedRows()).toEqual({ stored: 70n, positions: 70n, ids: 70n });
  });

  it('announces again after a restart what was stored but perhaps not announced, without waiting for a record', async () => {
    const first = await world.app();
    const event = loginFailure({ severity: 'CRITICAL' });
    await world.send([event]);
    await waitFor(async () => (await world.records('security.event-detected')).length === 1, {
      what: 'the announcement',
    });
    await first.stop();
    const { rows } = await world.database.admin.query<{ done: boolean }>(
      'SELECT bool_and(published_offset = next_offset) AS done FROM audit.sink_offset',
    );
    expect(rows).toEqual([{ done: true }]);
    await world.database.admin.query('UPDATE audit.sink_offset SET published_offset = 0');
    await world.app();
    await waitFor(async () => (await world.records('security.event-detected')).length === 2, {
      what: 'the repetition',
    });
  });
});

describe('retention-overrun and topic-recreated', () => {
  it('X5 writes a gap when the topic no longer holds what was due, and goes on', async () => {
    await world.send(logins(30));
    const topic = world.topic('security.events');
    const before = await world.admin.offsets(topic);
    // The sink comes for the first time after retention has passed over the first records: the same as an overrun.
    await deleteRecords(topic);
    await world.send(logins(12));
    const app = await world.app();
    await world.caughtUp();
    const { rows } = await world.database.admin.query<{ missing: bigint; gaps: bigint; adds_up: boolean }>(
      `SELECT sum(to_offset - from_offset)::bigint AS missing, count(*) AS gaps,
         (SELECT bool_and(next_offset = rows_total + missing_total) FROM audit.sink_offset) AS adds_up
       FROM audit.gap WHERE reason = 'retention'`,
    );
    const filled = before.filter(({ high }) => high > 0n).length;
    expect(rows[0]).toEqual({ missing: 30n, gaps: BigInt(filled), adds_up: true });
    expect(await metric(app, 'sink_missing_records_total')).toBe(30);
    expect(await metric(app, 'sink_gaps_total')).toBe(filled);
    expect((await storedRows()).stored).toBe(12n);
  });

  it('X5 reads a topic that was deleted and made again from its start and remembers the old id', async () => {
    const first = await world.app();
    await world.send(logins(25));
    await world.caughtUp();
    await first.stop();
    const topic = world.topic('security.events');
    await world.admin.deleteTopics([topic]);
    await waitFor(async () => !(await world.admin.listTopics()).includes(topic), { what: 'the topic to be gone' });
    await waitFor(
      async () => {
        await world.admin.applyTopics([
          { topic, partitions: 4, replicationFactor: 1, config: { 'message.timestamp.type': 'LogAppendTime' } },
        ]);
        return true;
      },
      { what: 'the topic to be there again' },
    );
    await waitFor(
      async () => {
        await world.send(logins(1)).catch((error: unknown) => {
          throw new Error(classifyError(error).code);
        });
        return true;
      },
      { what: 'the new topic to take records' },
    );
    await world.send(logins(8));
    const app = await world.app();
    await waitFor(async () => (await storedRows()).stored >= 34n, { what: 'the rows of the new topic' });
    expect((await storedRows()).ids).toBe(34n);
    const { rows } = await world.database.admin.query<{ changes: bigint; before: bigint }>(
      'SELECT count(*) AS changes, sum(previous_next_offset)::bigint AS before FROM audit.topic_change',
    );
    expect(rows[0]).toEqual({ changes: 4n, before: 25n });
    expect(await metric(app, 'sink_topics_replaced_total')).toBe(4);
  });
});

/** Retention by hand: everything up to the end is gone. */
async function deleteRecords(topic: string): Promise<void> {
  const partitions = (await world.admin.offsets(topic))
    .filter(({ high }) => high > 0n)
    .map(({ partition, high }) => ({ partition, offset: String(high) }));
  await withKafkaJsAdmin(async (admin) => {
    await admin.fetchTopicOffsets(topic); // Loads the leaders, which deleteTopicRecords does not do by itself.
    await admin.deleteTopicRecords({ topic, partitions });
  });
}

/** For what the port does not offer, because no service may do it. */
async function withKafkaJsAdmin(work: (admin: Admin) => Promise<unknown>): Promise<void> {
  const brokers = world.env['TRACEHOUND_KAFKA_BROKERS']?.split(',') ?? [];
  const admin = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.disconnect();
  }
}
