import type { Deployment } from '@tracehound/cli';
import { waitFor } from '@tracehound/testkit';

type Kafka = Deployment['kafka'];
type Records = Parameters<Parameters<Kafka['consumer']>[0]['handler']['batch']>[0]['records'];

/** A network as the mirror sees it. */
export type MirrorEnd = {
  readonly deployment: Pick<Deployment, 'kafka' | 'admin'>;
  readonly registryUrl: string;
};

export type TopicMirror = {
  /** Resolves when everything that lies in the source topics at the call has been copied. */
  caughtUp(): Promise<void>;
  close(): Promise<void>;
};

/**
 * What MirrorMaker 2 does, as far as a test needs it: copies records of topics of one cluster into topics of another, partition by
 * partition, in order, at least once, with keys, headers and markers as they are. Ids in Confluent frames are those of a registry, so
 * they are written anew where the two networks have one each. `copies` writes every record so often, as a mirror that repeats.
 */
export async function startMirror(options: {
  readonly from: MirrorEnd;
  readonly to: MirrorEnd;
  /** Topics of the source by topics of the target. */
  readonly topics: ReadonlyMap<string, string>;
  readonly groupId: string;
  readonly copies?: number;
  readonly onFatal: (error: unknown) => void;
}): Promise<TopicMirror> {
  const { from, to, topics } = options;
  const targetId = schemaIds(from.registryUrl, to.registryUrl);
  const producer = await to.deployment.kafka.producer();
  const done = new Map<string, bigint>();

  async function copied(records: Records) {
    return Promise.all(
      records.map(async ({ key, value, headers }) => {
        if (value === null || value[0] !== 0) return { key, value, headers };
        const framed = Buffer.from(value);
        framed.writeUInt32BE(await targetId(value.readUInt32BE(1)), 1);
        return { key, value: framed, headers };
      }),
    );
  }

  const consumer = from.deployment.kafka.consumer({
    groupId: options.groupId,
    topics: [...topics.values()],
    sessionTimeoutMs: 6_000,
    onFatal: options.onFatal,
    handler: {
      assigned: async () => ({ kind: 'committed' }),
      revoked: async () => undefined,
      batch: async ({ topic, partition, records }) => {
        const last = records.at(-1);
        if (last === undefined) return;
        const target = [...topics].find(([, source]) => source === topic)?.[0];
        if (target === undefined) throw new Error(`${topic} is not mirrored`);
        for (let copy = 0; copy < (options.copies ?? 1); copy++) {
          await producer.sendTo({ topic: target, partition }, await copied(records));
        }
        done.set(`${topic}/${partition}`, last.offset + 1n);
        void consumer.commit({ topic, partition }, last.offset + 1n);
      },
    },
  });
  await consumer.start();

  return {
    async caughtUp() {
      for (const topic of topics.values()) {
        for (const { partition, high } of await from.deployment.admin.offsets(topic)) {
          await waitFor(() => (done.get(`${topic}/${partition}`) ?? 0n) >= high, {
            what: `the mirror to copy ${topic}/${partition} up to ${high}`,
            timeoutMs: 60_000,
          });
        }
      }
    },
    async close() {
      await consumer.stop();
      await producer.close();
    },
  };
}

/** The id a schema has in the other registry, under its own name as subject. */
function schemaIds(fromUrl: string, toUrl: string): (id: number) => Promise<number> {
  const known = new Map<number, Promise<number>>();

  async function ask(url: string, init?: RequestInit): Promise<Record<string, unknown>> {
    const response = await fetch(url, init);
    if (!response.ok) throw new Error(`the registry answered ${response.status} to ${url}`);
    return (await response.json()) as Record<string, unknown>;
  }

  async function lookUp(id: number): Promise<number> {
    const schema = String((await ask(`${fromUrl}/schemas/ids/${id}`))['schema']);
    const { namespace, name } = JSON.parse(schema) as { namespace: string; name: string };
    const found = await ask(`${toUrl}/subjects/${encodeURIComponent(`${namespace}.${name}`)}`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ schema }),
    });
    return Number(found['id']);
  }

  return (id) => {
    const asked = known.get(id) ?? lookUp(id);
    known.set(id, asked);
    return asked;
  };
}
