import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAvroCodec, createRegistry, registerRecords } from '@tracehound/avro';
import { type CorrelationAlertInput, namespacedTopic, topicSettings } from '@tracehound/event-model';
import { createKafkaJsClient, type KafkaClient } from '@tracehound/kafka';
import { type TestStack, testStack, waitFor } from '@tracehound/testkit';
import { afterEach, describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));
const example = (name: string): string => fileURLToPath(new URL(`../examples/${name}.ts`, import.meta.url));

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

type World = {
  readonly stack: TestStack;
  readonly namespace: string;
  readonly kafka: KafkaClient;
  readonly topic: string;
  send(alerts: readonly CorrelationAlertInput[]): Promise<void>;
  sendRaw(value: Buffer): Promise<void>;
};

async function world(): Promise<World> {
  const stack = await testStack();
  const namespace = stack.namespace();
  const registry = createRegistry({ url: stack.registryUrl });
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare(['tracehound.pipeline.v1.CorrelationAlert']);
  const kafka = createKafkaJsClient({ brokers: stack.kafkaBrokers, clientId: 'handler-test' });
  const admin = await kafka.admin();
  await admin.applyTopics(topicSettings({ profile: 'local', namespace }));
  await admin.close();
  const producer = await kafka.producer();
  cleanups.push(async () => {
    await producer.close();
    await kafka.close();
  });
  const topic = namespacedTopic(namespace, 'security.alerts');
  const produce = async (key: string, value: Buffer): Promise<void> => {
    const [result] = await producer.send(topic, [{ key, value }]);
    if (!result?.ok) throw result?.error;
  };
  return {
    stack,
    namespace,
    kafka,
    topic,
    async send(alerts) {
      for (const alert of alerts) {
        await produce(`acme|${alert.alert_id}`, codec.encode('tracehound.pipeline.v1.CorrelationAlert', alert));
      }
    },
    sendRaw: (value) => produce('acme|poison', value),
  };
}

function alert(number: number, kind: 'OPEN' | 'FINAL' = 'FINAL'): CorrelationAlertInput {
  return {
    alert_id: number.toString(16).padStart(32, '0'),
    revision: 4 * number + (kind === 'OPEN' ? 0 : 2),
    kind,
    organization_id: 'acme',
    cluster_id: 'test',
    rule: {
      rule_id: 'r',
      title: 'Rule',
      level: 'high',
      type: 'event_count',
      semantic_hash: 'h',
      ruleset_id: 's',
      timespan_ms: 1_000,
    },
    group: [],
    count: 3,
    count_exact: true,
    first_at: number,
    last_at: number + 1_000,
    event_ids: [`e${number}`],
    matches_partition: 0,
    watermark: number,
  };
}

type Runner = { readonly child: ChildProcess; readonly ended: Promise<unknown>; internal(): Promise<string> };

function run(made: World, file: string, env: Record<string, string>): Runner {
  const child = spawn(process.execPath, ['--conditions=@tracehound/source', MAIN, 'handler', 'run', example(file)], {
    env: {
      PATH: process.env['PATH'],
      TRACEHOUND_KAFKA_BROKERS: made.stack.kafkaBrokers.join(','),
      TRACEHOUND_REGISTRY_URL: made.stack.registryUrl,
      TRACEHOUND_NAMESPACE: made.namespace,
      TRACEHOUND_HANDLER_SESSION_TIMEOUT: '6s',
      ...env,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = once(child, 'exit');
  cleanups.push(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  });
  return {
    child,
    ended,
    internal: () =>
      waitFor(async () => /"internal":"(http:[^"]+)"/.exec(text)?.[1], { what: `the handler to listen\n${text}` }),
  };
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'tracehound-handler-'));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

describe('file logger', () => {
  it('kill -9 between effect and commit: every alert is in the file, once, in order, and a torn line is mended', async () => {
    const made = await world();
    const path = join(folder(), 'alerts.ndjson');
    await made.send(numbers(0, 60).map((number) => alert(number)));
    const victim = run(made, 'file-logger', { FILE_LOGGER_PATH: path, TRACEHOUND_FAULT: 'h:after-settle:1' });
    await victim.ended;
    expect(victim.child.signalCode).toBe('SIGKILL');
    expect(existsSync(path)).toBe(true);
    appendFileSync(path, '{"place":"security.alerts/0","off');
    const heir = run(made, 'file-logger', { FILE_LOGGER_PATH: path });
    await made.send(numbers(60, 80).map((number) => alert(number)));
    const lines = await waitFor(
      async () => {
        const found = readFileSync(path, 'utf8').split('\n').slice(0, -1);
        return (
          found.length >= 80 && found.map((line) => JSON.parse(line) as { key: string; place: string; offset: string })
        );
      },
      { what: 'all alerts in the file', timeoutMs: 40_000 },
    );
    expect(new Set(lines.map(({ key }) => key)).size).toBe(80);
    expect(lines).toHaveLength(80);
    for (const [place, own] of Map.groupBy(lines, (line) => line.place)) {
      expect(place).toMatch(/^security\.alerts\/\d$/);
      expect(own.map(({ offset }) => Number(offset))).toEqual(own.map((_, index) => index));
    }
    heir.child.kill('SIGTERM');
    expect(await heir.ended).toEqual([0, null]);
  });

  it('says what is missing and does not start', async () => {
    const made = await world();
    const refused = run(made, 'file-logger', {});
    expect(await refused.ended).toEqual([1, null]);
  });
});

describe('kafka to HTTP', () => {
  it('a receiver that is away, slow to take or refuses: nothing lost, order kept, refusals are dead letters', async () => {
    const made = await world();
    const seen: { key: string; id: string }[] = [];
    let mode: 'down' | 'busy' | 'up' = 'down';
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on('end', () => {
        const { alert_id } = JSON.parse(body) as { alert_id: string };
        const isRefused = alert_id.endsWith('7');
        const status = mode === 'down' ? 503 : mode === 'busy' ? 429 : isRefused ? 422 : 200;
        if (status === 200) seen.push({ key: String(request.headers['idempotency-key']), id: alert_id });
        response.writeHead(status, status === 429 ? { 'retry-after': '1' } : {}).end();
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    cleanups.push(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
    const alerts = numbers(0, 32).map((number) => alert(number));
    await made.send([alert(99, 'OPEN'), ...alerts]);
    await made.sendRaw(Buffer.from('not Avro'));
    const handler = run(made, 'kafka-to-http', { FORWARD_URL: url });
    const internal = await handler.internal();
    const ready = async () => {
      const answer = await fetch(`${internal}/health/ready`);
      return { status: answer.status, text: await answer.text() };
    };
    await waitFor(async () => (await ready()).text.includes('the receiver answered 503'), {
      what: 'readiness to name the receiver',
      timeoutMs: 30_000,
    });
    mode = 'busy';
    await waitFor(async () => (await ready()).text.includes('the receiver answered 429'), {
      what: 'a busy receiver',
      timeoutMs: 60_000,
    });
    mode = 'up';
    await waitFor(async () => seen.length >= 30, { what: 'all alerts at the receiver', timeoutMs: 60_000 });
    const refused = alerts.filter(({ alert_id }) => alert_id.endsWith('7'));
    expect(new Set(seen.map(({ id }) => id))).toEqual(
      new Set(alerts.filter((one) => !refused.includes(one)).map(({ alert_id }) => alert_id)),
    );
    expect(new Set(seen.map(({ key }) => key)).size).toBe(30);
    const letters = await waitFor(
      async () => {
        const found: string[] = [];
        const admin = await made.kafka.admin();
        for (const { partition, low, high } of await admin.offsets(`${made.topic}.dlq`)) {
          if (low >= high) continue;
          for await (const record of made.kafka.read(
            { topic: `${made.topic}.dlq`, partition },
            { from: low, until: high },
          )) {
            found.push(record.headers['th_reason']?.toString() ?? '');
          }
        }
        await admin.close();
        return found.length >= 3 && found.sort();
      },
      { what: 'the dead letters', timeoutMs: 30_000 },
    );
    expect(letters).toEqual(['permanent', 'permanent', 'undecodable']);
    expect(refused).toHaveLength(2);
    await waitFor(async () => (await ready()).status === 200, { what: 'readiness', timeoutMs: 20_000 });
    const metrics = await (await fetch(`${internal}/metrics`)).text();
    expect(metrics).toMatch(/handler_verdicts_total\{[^}]*reason="permanent"[^}]*\} 2/);
  });
});

describe('a module that is no handler', () => {
  it('is refused with what it should look like', async () => {
    const { loadHandler } = await import('../src/index.ts');
    const path = join(folder(), 'wrong.mjs');
    writeFileSync(path, 'export default 7;\n');
    await expect(loadHandler(path)).rejects.toThrow(/export default defineHandler/);
  });
});
