import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RECORD, RECORD_NAMES } from '@tracehound/event-model';
import { testStack } from '@tracehound/testkit';
import { describe, expect, test } from 'vitest';
import { createAvroCodec, createRegistry, registerRecords } from '../src/index.ts';
import { describeRegistryContract, recordSchema } from './registry-contract.ts';
import { login } from './sample-events.ts';

describeRegistryContract('REST, real registry', async () => {
  const stack = await testStack();
  const namespace = stack.namespace();
  let count = 0;
  return {
    registry: createRegistry({ url: stack.registryUrl }),
    subject: () => {
      count += 1;
      return `${namespace}.contract-${count}`;
    },
  };
});

test('the records of this build register, are found at boot, and travel', async () => {
  const stack = await testStack();
  const registry = createRegistry({ url: `${stack.registryUrl}/` });
  await registerRecords(registry);
  expect((await registerRecords(registry)).map(({ action }) => action)).toEqual(RECORD_NAMES.map(() => 'unchanged'));
  const codec = createAvroCodec({ registry });
  await codec.prepare(RECORD_NAMES);
  const buffer = codec.encode(RECORD.AuthenticationEvent, login());
  expect(buffer.readUInt32BE(1)).toBe(codec.schemaId(RECORD.AuthenticationEvent));
  // Another process decodes it with nothing but the registry.
  const other = createAvroCodec({ registry: createRegistry({ url: stack.registryUrl }) });
  expect((await other.decode(buffer)).value).toMatchObject({ envelope: login().envelope });
});

test('the level is set before the first version, so that not even version 2 can break it', async () => {
  const stack = await testStack();
  const subject = `${stack.namespace()}.level`;
  await createRegistry({ url: stack.registryUrl }).register(subject, recordSchema([{ name: 'id', type: 'string' }]));
  const answer = await fetch(`${stack.registryUrl}/config/${subject}`);
  expect(await answer.json()).toEqual({ compatibilityLevel: 'FULL_TRANSITIVE' });
});

async function withServer(listener: RequestListener, body: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

test('registry-down: refused connections, 500, 429 and silence are retriable, 401 is not', async () => {
  let closedUrl = '';
  await withServer(
    () => undefined,
    async (url) => {
      closedUrl = url;
    },
  );
  const unavailable = { code: 'SEC_AVRO_REGISTRY_UNAVAILABLE', retriable: true };
  await expect(createRegistry({ url: closedUrl }).schemaById(1)).rejects.toMatchObject(unavailable);
  for (const status of [500, 503, 429]) {
    await withServer(
      (_request, response) => void response.writeHead(status).end('{}'),
      async (url) => {
        await expect(createRegistry({ url }).schemaById(1)).rejects.toMatchObject(unavailable);
      },
    );
  }
  await withServer(
    () => undefined,
    async (url) => {
      await expect(createRegistry({ url, timeoutMs: 100 }).schemaById(1)).rejects.toMatchObject(unavailable);
    },
  );
  await withServer(
    (_request, response) => void response.writeHead(401).end('{}'),
    async (url) => {
      await expect(createRegistry({ url }).schemaById(1)).rejects.toMatchObject({
        code: 'SEC_AVRO_REGISTRY_REFUSED',
        category: 'unauthorized',
        retriable: false,
      });
    },
  );
});

test('credentials travel as basic authentication and never in an error', async () => {
  const seen: (string | undefined)[] = [];
  await withServer(
    (request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(403).end('{}');
    },
    async (url) => {
      const registry = createRegistry({ url, auth: { username: 'service', password: 'hunter2' } });
      const error: unknown = await registry.subjects().catch((caught: unknown) => caught);
      expect(seen[0]).toBe(`Basic ${Buffer.from('service:hunter2').toString('base64')}`);
      expect(JSON.stringify(error) + String(error) + JSON.stringify((error as { fields: unknown }).fields)).not.toMatch(
        /hunter2/,
      );
    },
  );
});

describe('registry-garbage: what is no answer is an outage, never a schema', () => {
  const unavailable = { code: 'SEC_AVRO_REGISTRY_UNAVAILABLE', retriable: true };
  const json = 'application/vnd.schemaregistry.v1+json';

  test.each([
    ['a page of a proxy', 'text/html', '<html>502 Bad Gateway</html>'],
    ['JSON that is cut off', json, '{"schema":"{\\"type\\":\\"rec'],
    ['no bytes', json, ''],
    ['another document', json, '{"status":"UP"}'],
    ['a schema that is no text', json, '{"schema":{"type":"record"}}'],
    ['null', json, 'null'],
    ['a list', json, '[1,2,3]'],
  ])('%s', async (_name, type, body) => {
    await withServer(
      (_request, response) => void response.writeHead(200, { 'content-type': type }).end(body),
      async (url) => {
        const registry = createRegistry({ url });
        await expect(registry.schemaById(1)).rejects.toMatchObject(unavailable);
        await expect(registry.lookup('s', '{}')).rejects.toMatchObject(unavailable);
        await expect(registry.latest('s')).rejects.toMatchObject(unavailable);
        await expect(registry.checkCompatibility('s', '{}')).rejects.toMatchObject(unavailable);
      },
    );
  });

  test('an id that is not there, said by one that cannot list its subjects', async () => {
    await withServer(
      (request, response) => {
        const status = request.url === '/subjects' ? 200 : 404;
        response.writeHead(status, { 'content-type': json }).end('{"error_code":40403}');
      },
      async (url) => {
        await expect(createRegistry({ url }).schemaById(1)).rejects.toMatchObject(unavailable);
      },
    );
  });

  test('an answer that breaks off in its middle', async () => {
    await withServer(
      (_request, response) => {
        response.writeHead(200, { 'content-type': json, 'content-length': '1000' });
        response.write('{"schema":"', () => response.destroy());
      },
      async (url) => {
        await expect(createRegistry({ url, timeoutMs: 300 }).schemaById(1)).rejects.toMatchObject(unavailable);
      },
    );
  });

  test('registry-slow: an answer that comes byte by byte is given up at the time-out', async () => {
    await withServer(
      (_request, response) => {
        response.writeHead(200, { 'content-type': json });
        const drip = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(drip));
      },
      async (url) => {
        const begun = performance.now();
        await expect(createRegistry({ url, timeoutMs: 300 }).schemaById(1)).rejects.toMatchObject(unavailable);
        expect(performance.now() - begun).toBeLessThan(5_000);
      },
    );
  });
});
