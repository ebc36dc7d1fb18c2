import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRegistry } from '@tracehound/avro';
import { runDlqRedrive } from '@tracehound/cli';
import { RECORD_SCHEMAS } from '@tracehound/event-model';
import { testStack, waitFor } from '@tracehound/testkit';
import { describe, expect, it } from 'vitest';
import { type CorrelatorWorld, correlatorWorld } from './correlator-world.fixture.ts';
import { attack, eventRecord } from './events.fixture.ts';
import { expectExact } from './stream.fixture.ts';

const NAME = 'tracehound.events.v1.AuthenticationEvent';
/** Magic byte and schema id of Confluent framing. */
const FRAME_BYTES = 5;

describe('redrive', () => {
  it('redrive-twice: events of a schema nobody had registered are sent again, twice and after a crash, and alert once', async () => {
    const stack = await testStack();
    const world = await correlatorWorld();
    const upstream = createRegistry({ url: stack.registryUrl });
    // Of the next release, and with a default that no other test has, so that its id is its own.
    const added = { name: 'origin', type: 'string', doc: 'Of the next release.', default: world.namespace };
    const schema = { ...RECORD_SCHEMAS[NAME], fields: [...RECORD_SCHEMAS[NAME].fields, added] };
    const origin = Buffer.from('\u0006abc');
    const id = await upstream.register(`${world.namespace}.redrive`, JSON.stringify(schema));
    const registry = await registryWithout(stack.registryUrl, id);
    try {
      const env = { TRACEHOUND_REGISTRY_URL: registry.url };
      const first = await world.app(env);
      const endMs = Date.now();
      const lost = attack({ name: 'lost', endMs });
      const known = attack({ name: 'known', endMs });
      const records = lost.map((event) => {
        const head = Buffer.alloc(FRAME_BYTES);
        head.writeUInt32BE(id, 1);
        const value = Buffer.concat([head, world.codec.encode(NAME, eventRecord(event)).subarray(FRAME_BYTES), origin]);
        return { key: `${event.organization}|${event.id}`, value };
      });
      for (const sent of await world.producer.send(world.topic('security.events'), records)) expect(sent.ok).toBe(true);
      await world.send(known);
      await waitFor(async () => (await letters(world)) >= lost.length, {
        what: 'a letter of every lost event',
      }).catch((error: unknown) => {
        throw new Error(world.log(), { cause: error });
      });
      expect(await redrive(world)).toMatchObject({ records: lost.length, sent: 0 });

      // Somebody registers the schema; a new process has not yet learnt that there is none.
      await first.stop();
      registry.repair();
      await world.app(env);
      expect(await redrive(world, true)).toMatchObject({ code: 0, sent: lost.length, open: 0 });
      expect(await redrive(world, true)).toMatchObject({ code: 0, sent: 0, left: { redriven: lost.length } });
      // A crash before the receipts leaves the same copies once more.
      const all = await world.records('security.events');
      const copies = all.filter(({ headers }) => headers['th_redriven_from'] !== undefined);
      expect(copies).toHaveLength(lost.length);
      await world.producer.send(
        world.topic('security.events'),
        copies.map(({ key, value, headers }) => ({ key, value, headers })),
      );
      await expectExact(world, [...known, ...lost], 4);
      expect((await world.finals()).filter((line) => line.includes('lost'))).not.toEqual([]);
    } finally {
      await world.close();
      await registry.close();
    }
  });
});

async function letters(world: CorrelatorWorld): Promise<number> {
  return (await world.records('security.events.dlq')).length;
}

async function redrive(world: CorrelatorWorld, yes = false): Promise<Record<string, unknown>> {
  const out: string[] = [];
  const terminal = { out: (text: string) => void out.push(text), note: () => undefined };
  const code = await runDlqRedrive(
    'security.events',
    { format: 'json', ...(yes ? { yes } : {}) },
    { ...world, mirrored: undefined, terminal, now: Date.now },
  );
  return { code, ...(JSON.parse(out[0] ?? '') as Record<string, unknown>) };
}

/** The real registry behind a door that does not know one id until `repair`. */
async function registryWithout(
  url: string,
  id: number,
): Promise<{ readonly url: string; repair(): void; close(): Promise<unknown> }> {
  let isKnown = false;
  const server = createServer((request, response) => {
    void (async () => {
      const path = request.url ?? '/';
      if (!isKnown && path.startsWith(`/schemas/ids/${id}`)) {
        response.writeHead(404, { 'content-type': 'application/vnd.schemaregistry.v1+json' });
        response.end(JSON.stringify({ error_code: 40403, message: 'Schema not found' }));
        return;
      }
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const answer = await fetch(new URL(path, url), {
        method: request.method ?? 'GET',
        headers: { 'content-type': request.headers['content-type'] ?? 'application/json' },
        ...(chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}),
      });
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'application/json' });
      response.end(await answer.text());
    })().catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    repair: () => {
      isKnown = true;
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}
