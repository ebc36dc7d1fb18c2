/** Run as a process of its own by `network.test.ts`: everything that opens sockets and timers, then close. */
import { createKafkaJsClient, createPlatformaticClient } from '../src/index.ts';

const [adapter, brokers, namespace] = process.argv.slice(2) as [string, string, string];
const createClient = adapter === 'kafkajs' ? createKafkaJsClient : createPlatformaticClient;
const client = createClient({ brokers: brokers.split(','), clientId: 'close' });
const topic = `${namespace}.close`;
const admin = await client.admin();
await admin.applyTopics([{ topic, partitions: 2, replicationFactor: 1, config: {} }]);
const producer = await client.producer();
await producer.send(
  topic,
  Array.from({ length: 5 }, (_, i) => ({ key: `k${i}`, value: Buffer.from('v') })),
);
let seen = 0;
const all = new Promise<void>((resolve) => {
  const consumer = client.consumer({
    groupId: topic,
    topics: [topic],
    onFatal: (error) => {
      throw error;
    },
    handler: {
      assigned: async () => ({ kind: 'committed' }),
      batch: async (batch) => {
        seen += batch.records.length;
        // Outside the batch: `stop` waits for it.
        if (seen === 5) setImmediate(() => void consumer.stop().then(resolve));
      },
      revoked: async () => undefined,
    },
  });
  void consumer.start();
});
await all;
await producer.close();
await admin.deleteTopics([topic]);
await admin.close();
await client.close();
process.stdout.write(`seen ${seen}, closed\n`);
