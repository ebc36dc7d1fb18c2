/**
 * Lane `sink`: rows per second of the real sink (Kafka to PostgreSQL, its own process) beside a bare binary COPY of the
 * same rows into an equal database on the same server: one connection, one statement, from a file of the server, so
 * without a client, Kafka, Avro, duplicate search or offsets. Rows are compared before speeds are.
 *
 *   node --conditions=@tracehound/source bench/lanes/sink.ts [--rows 100000] [--runs 3] [--json]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createAvroCodec, createRegistry, registerRecords } from '@tracehound/avro';
import { namespacedTopic, RECORD, RECORD_NAMES, topicSettings } from '@tracehound/event-model';
import { createKafkaJsClient } from '@tracehound/kafka';
import { createPool, ensureDatabase, migrate, type Pool } from '@tracehound/postgres';
import { openStack, type Stack } from '@tracehound/stack';

const MAIN = fileURLToPath(new URL('../../services/sink-audit/src/main.ts', import.meta.url));
const MIGRATIONS = new URL('../../deploy/migrations/', import.meta.url);
const SEND_RECORDS = 1_000;

export type SinkLaneResult = {
  readonly rows: number;
  readonly runs: number;
  /** Rows per second, one entry per run. */
  readonly sink: readonly number[];
  readonly bareCopy: readonly number[];
  /** CPU of the sink process per row, in microseconds, one entry per run. */
  readonly sinkCpuMicros: readonly number[];
  /** Median of sink / bare COPY per run. */
  readonly ratio: number;
};

export async function runSinkLane(options: {
  readonly stack: Stack;
  readonly rows: number;
  readonly runs: number;
  readonly onLine: (line: string) => void;
}): Promise<SinkLaneResult> {
  const { stack, rows, runs, onLine } = options;
  const sink: number[] = [];
  const bareCopy: number[] = [];
  const sinkCpuMicros: number[] = [];
  for (let run = 0; run < runs; run++) {
    const namespace = `bench${run}`;
    await fillTopic(stack, namespace, rows);
    const stored = await openBenchDatabase(stack, `tracehound_${namespace}`);
    const measured = await runSink(stack, namespace, stored, rows);
    // A path that the server, which may run as another user, can write.
    const { rows: at } = await stored.pool.query<{ data_directory: string }>('SHOW data_directory');
    const file = join(at[0]?.data_directory ?? '', `rows-${run}.copy`);
    await stored.pool.query(`COPY (SELECT * FROM audit.event) TO '${file}' (FORMAT binary)`);
    const bare = await openBenchDatabase(stack, `tracehound_${namespace}_bare`);
    const begun = performance.now();
    await bare.pool.query(`COPY audit.event FROM '${file}' (FORMAT binary)`);
    const copied = (rows / (performance.now() - begun)) * 1_000;
    const [left, right] = await Promise.all([digest(stored.pool), digest(bare.pool)]);
    if (left !== right || !left.startsWith(`${rows} `)) throw new Error(`the rows differ: ${left} and ${right}`);
    await stored.pool.end();
    await bare.pool.end();
    await rm(file, { force: true });
    sink.push(measured.rowsPerSecond);
    bareCopy.push(copied);
    sinkCpuMicros.push(measured.cpuMicros);
    onLine(
      `run ${run + 1}: sink ${Math.round(measured.rowsPerSecond)} rows/s (${measured.cpuMicros.toFixed(1)} us CPU/row), ` +
        `bare COPY ${Math.round(copied)} rows/s, ratio ${(measured.rowsPerSecond / copied).toFixed(2)}`,
    );
  }
  return {
    rows,
    runs,
    sink,
    bareCopy,
    sinkCpuMicros,
    ratio: median(sink.map((value, run) => value / (bareCopy[run] ?? NaN))),
  };
}

/** Failed logins of 50 organizations and 1,000 users, as the gateway writes them: about 330 bytes each. */
async function fillTopic(stack: Stack, namespace: string, count: number): Promise<void> {
  const kafka = createKafkaJsClient({ brokers: stack.addresses.kafkaBrokers, clientId: 'bench' });
  const admin = await kafka.admin();
  await admin.applyTopics(topicSettings({ profile: 'local', namespace }));
  const registry = createRegistry({ url: stack.addresses.registryUrl });
  await registerRecords(registry);
  const codec = createAvroCodec({ registry });
  await codec.prepare(RECORD_NAMES);
  const producer = await kafka.producer();
  const topic = namespacedTopic(namespace, 'security.events');
  for (let from = 0; from < count; from += SEND_RECORDS) {
    const records = Array.from({ length: Math.min(SEND_RECORDS, count - from) }, (_, index) => {
      const id = randomUUID();
      const nowMs = Date.now();
      const organization = `org-${(from + index) % 50}`;
      const value = codec.encode(RECORD.AuthenticationEvent, {
        envelope: {
          event_id: id,
          event_type: 'auth.login.failure',
          family: 'auth',
          category: 'authentication',
          severity: 'MEDIUM',
          outcome: 'FAILURE',
          occurred_at: nowMs,
          event_time: nowMs,
          event_time_source: 'OCCURRED',
          received_at: nowMs,
          organization_id: organization,
          intake_org: organization,
          cluster_id: 'bench',
          trace: { trace_id: id.replaceAll('-', ''), span_id: id.slice(0, 8).repeat(2), trust: 'GATEWAY' },
          actor: { type: 'user', id: `user-${(from + index) % 1_000}`, name: 'Ada Lovelace' },
          source: { platform: 'python', service: 'api', version: '1.4.2', sdk: 'tracehound-python/0.1.0' },
          network: { ip_hash: id.replaceAll('-', ''), ip_hash_kid: 'k1', country: 'DE', asn: 3_320 },
          session_id: id,
          metadata: { browser: 'Firefox 140', screen: '1920x1080' },
        },
        payload: { auth_method: 'password', attempted_user: 'root' },
      });
      return { key: `${organization}|${id}`, value };
    });
    const results = await producer.send(topic, records);
    const failed = results.find((result) => !result.ok);
    if (failed && !failed.ok) throw failed.error;
  }
  await producer.close();
  await admin.close();
  await kafka.close();
}

async function openBenchDatabase(stack: Stack, name: string): Promise<{ url: string; pool: Pool }> {
  const address = new URL(stack.addresses.postgresUrl);
  address.pathname = `/${name}`;
  await ensureDatabase(address.href);
  await migrate(address.href, MIGRATIONS);
  const pool = createPool(address.href, { applicationName: 'bench', statementTimeoutMs: 600_000 });
  return { url: address.href, pool };
}

/** From the first committed row to the last; starting the process and joining the group are not the sink's speed. */
async function runSink(
  stack: Stack,
  namespace: string,
  database: { url: string; pool: Pool },
  rows: number,
): Promise<{ rowsPerSecond: number; cpuMicros: number }> {
  const environment = {
    ...stack.environment(),
    TRACEHOUND_POSTGRES_URL: database.url,
    TRACEHOUND_NAMESPACE: namespace,
    TRACEHOUND_LOG_LEVEL: 'info',
    PATH: process.env['PATH'],
  };
  const child = spawn(process.execPath, ['--conditions=@tracehound/source', MAIN], {
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const internal = await listening(child);
  const stored = async (): Promise<number> => {
    const { rows: found } = await database.pool.query<{ stored: bigint | null }>(
      'SELECT sum(rows_total)::bigint AS stored FROM audit.sink_offset',
    );
    return Number(found[0]?.stored ?? 0);
  };
  let first = 0;
  while (first === 0) {
    first = await stored();
    await sleep(2);
  }
  const begun = performance.now();
  const cpuBefore = await cpuSeconds(internal);
  while ((await stored()) < rows) await sleep(10);
  const elapsedMs = performance.now() - begun;
  const cpu = (await cpuSeconds(internal)) - cpuBefore;
  child.kill('SIGTERM');
  await once(child, 'exit');
  return { rowsPerSecond: ((rows - first) / elapsedMs) * 1_000, cpuMicros: (cpu / (rows - first)) * 1e6 };
}

/** Address of the internal port, from the line every service logs. */
function listening(child: ChildProcess): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-4_000);
      const found = /"internal":"(http:[^"]+)"/.exec(text);
      if (found?.[1]) resolve(found[1]);
    });
    child.once('exit', () => reject(new Error(`the sink ended: ${text}`)));
  });
}

async function cpuSeconds(internal: string): Promise<number> {
  const text = await (await fetch(`${internal}/metrics`)).text();
  return Number(/^process_cpu_seconds_total (\S+)/m.exec(text)?.[1] ?? NaN);
}

async function digest(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ digest: string }>(
    `SELECT concat(count(*), ' ', md5(string_agg(md5(payload || convert_to(attrs::text, 'UTF8')), '' ORDER BY topic_id, kafka_partition, kafka_offset))) AS digest
     FROM audit.event`,
  );
  return rows[0]?.digest ?? '';
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '100000' },
      runs: { type: 'string', default: '3' },
      json: { type: 'boolean', default: false },
    },
  });
  const directory = await mkdtemp(join(tmpdir(), 'tracehound-bench-sink-'));
  const stack = await openStack({ directory, kinds: ['kafka', 'registry', 'postgres'], mode: 'native' });
  try {
    const result = await runSinkLane({
      stack,
      rows: Number(values.rows),
      runs: Number(values.runs),
      onLine: (line) => process.stderr.write(`${line}\n`),
    });
    if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else {
      const list = (numbers: readonly number[]): string => numbers.map((value) => Math.round(value)).join(', ');
      process.stdout.write(
        `rows ${result.rows}, runs ${result.runs}\nsink      ${list(result.sink)} rows/s\n` +
          `bare COPY ${list(result.bareCopy)} rows/s\nratio     ${result.ratio.toFixed(2)} (median)\n`,
      );
    }
  } finally {
    await stack.stop({ wipe: true });
    await rm(directory, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
