import kafkajs from 'kafkajs';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStackWithClocks, type StackWithClocks } from '../src/server-clock.ts';

const HOUR_MS = 3_600_000;
/** What a request may take, and more than a step can be off by. */
const NEAR_MS = 10_000;

let servers: StackWithClocks;
beforeAll(async () => {
  servers = await openStackWithClocks(['kafka', 'postgres'], ['kafka', 'postgres']);
}, 120_000);
afterAll(() => servers?.close());

describe('clocks of servers', () => {
  it('PostgreSQL: sessions old and new show the stepped time, and go on when it is right again', async () => {
    const url = new URL(servers.stack.addresses.postgresUrl);
    const open = async (): Promise<Client> => {
      const client = new Client({ connectionString: url.href });
      await client.connect();
      return client;
    };
    const shown = async (client: Client): Promise<number> => {
      const { rows } = await client.query<{ now: Date }>('SELECT clock_timestamp() AS now');
      return (rows[0]?.now.getTime() ?? 0) - Date.now();
    };
    const old = await open();
    try {
      for (const offsetMs of [0, -HOUR_MS, HOUR_MS, 0]) {
        servers.step('postgres', offsetMs);
        const fresh = await open();
        for (const client of [old, fresh]) expect(Math.abs((await shown(client)) - offsetMs)).toBeLessThan(NEAR_MS);
        await fresh.end();
      }
    } finally {
      await old.end();
    }
  });

  it('a broker: records are appended with the stepped time, and a restarted broker has it too', async () => {
    const kafka = new kafkajs.Kafka({
      brokers: [...servers.stack.addresses.kafkaBrokers],
      clientId: 'server-clock-test',
      logLevel: kafkajs.logLevel.NOTHING,
    });
    const admin = kafka.admin();
    await admin.connect();
    const topic = 'clock';
    const configEntries = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }];
    await admin.createTopics({ topics: [{ topic, configEntries }], waitForLeaders: true });
    const append = async (): Promise<number> => {
      const producer = kafka.producer();
      await producer.connect();
      const [answer] = await producer.send({ topic, messages: [{ value: 'x' }] });
      await producer.disconnect();
      return Number(answer?.logAppendTime) - Date.now();
    };
    for (const offsetMs of [0, -HOUR_MS, 0, HOUR_MS]) {
      servers.step('kafka', offsetMs);
      expect(Math.abs((await append()) - offsetMs)).toBeLessThan(NEAR_MS);
    }
    await servers.stack.part('kafka-1').restart();
    expect(Math.abs((await append()) - HOUR_MS)).toBeLessThan(NEAR_MS);
    await admin.disconnect();
  });
});
