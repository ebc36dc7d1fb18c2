import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createRegistry } from './confluent-registry.ts';

let server: Server;

/** A registry that answers as given: status by path prefix. */
async function registryThat(answers: Readonly<Record<string, number>>): Promise<string> {
  server = createServer((request, response) => {
    const entry = Object.entries(answers).find(([prefix]) => request.url?.startsWith(prefix));
    const status = entry?.[1] ?? 500;
    response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' });
    response.end(status === 200 ? '["a"]' : JSON.stringify({ error_code: status * 100 + 3, message: 'no' }));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(() => new Promise((done) => server.close(done)));

describe('an unknown schema id', () => {
  it('is unknown when the registry can list its subjects', async () => {
    const url = await registryThat({ '/schemas/ids/': 404, '/subjects': 200 });
    await expect(createRegistry({ url }).schemaById(7)).rejects.toMatchObject({ code: 'SEC_AVRO_UNKNOWN_SCHEMA' });
  });

  it('is an outage when it cannot: a registry without its database says 404 for every id', async () => {
    const url = await registryThat({ '/schemas/ids/': 404, '/subjects': 500 });
    await expect(createRegistry({ url }).schemaById(7)).rejects.toMatchObject({
      code: 'SEC_AVRO_REGISTRY_UNAVAILABLE',
      retriable: true,
    });
  });
});
