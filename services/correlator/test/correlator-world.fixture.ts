import { createAvroCodec, createRegistry } from '@tracehound/avro';
import { createPartitionEngine } from '@tracehound/correlation';
import { type CorrelationAlert, InvariantError } from '@tracehound/event-model';
import { createKafkaJsClient, partitionForKey } from '@tracehound/kafka';
import { loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import { createLogger } from '@tracehound/telemetry';
import { testStack } from '@tracehound/testkit';
import { type CorrelatorApp, createApp } from '../src/app.ts';
import { loadCorrelatorConfig } from '../src/config.ts';
import { type CorrelatorProcess, environmentFor, startProcess } from './correlator-process.fixture.ts';
import { createWorld, type TestWorld, type TestWorldOptions } from './world.fixture.ts';

/** A namespace on the real servers, with correlators that are stopped with it. */
export type CorrelatorWorld = TestWorld & {
  /** A correlator in this process; its log is kept, not printed. */
  app(env?: Record<string, string>): Promise<CorrelatorApp>;
  /** A correlator in a process of its own. */
  spawn(env?: Record<string, string>): CorrelatorProcess;
  /** Last log lines of all correlators in this process. */
  log(): string;
  /** What breaks E1: per matches partition and alerts partition, first occurrences must be those of a clean run. */
  brokenE1(): Promise<readonly string[]>;
};

export async function correlatorWorld(
  options: Partial<TestWorldOptions> & {
    readonly redisStateUrl?: string;
    /** Where the correlators find Kafka; default: where the tools of the test find it. */
    readonly kafkaBrokers?: readonly string[];
    /** Where the servers are; default: those of the test run. */
    readonly environment?: NodeJS.ProcessEnv;
    /** Of the correlators; `local` by default. */
    readonly clusterId?: string;
  } = {},
): Promise<CorrelatorWorld> {
  const { clusterId = 'local' } = options;
  const stack = await testStack(options.environment);
  const registry = createRegistry({ url: stack.registryUrl });
  const world = await createWorld({
    kafka: createKafkaJsClient({ brokers: stack.kafkaBrokers, clientId: 'correlator-test' }),
    registry,
    namespace: stack.namespace(),
    ...options,
  });
  const environment = {
    ...environmentFor(
      {
        redisStateUrl: options.redisStateUrl ?? stack.redisStateUrl,
        kafkaBrokers: options.kafkaBrokers ?? stack.kafkaBrokers,
        registryUrl: stack.registryUrl,
      },
      world.namespace,
    ),
    TRACEHOUND_CLUSTER_ID: clusterId,
    TRACEHOUND_MIRRORED_SOURCES: (options.mirrored ?? []).join(','),
  };
  const stops: (() => Promise<unknown>)[] = [];
  const lines: string[] = [];
  const logger = createLogger({ service: 'correlator', write: (line) => lines.push(line) });
  const codec = createAvroCodec({ registry });

  async function ruleSets(): Promise<ReadonlyMap<string, RuleSetCompiled>> {
    const found = new Map<string, RuleSetCompiled>();
    for (const record of await world.records('detection.rules')) {
      const decoded = await codec.decode(record.value ?? Buffer.alloc(0));
      if (decoded.name === 'tracehound.pipeline.v1.RuleSet') {
        found.set(decoded.value.ruleset_id, loadRuleSet(decoded.value.files));
      }
    }
    return found;
  }

  /** The alerts a run without any failure makes of the matches log, encoded, by matches partition. */
  async function cleanAlerts(): Promise<ReadonlyMap<number, readonly { key: string; value: string }[]>> {
    await codec.prepare(['tracehound.pipeline.v1.CorrelationAlert']);
    const sets = await ruleSets();
    const sources = await activationSources();
    const topic = world.topic('security.matches');
    const topicId = (await world.admin.topicIds([topic])).get(topic) ?? '';
    const chainSources = (await world.admin.offsets(topic)).map(({ partition }) => ({
      topic,
      topic_id: topicId,
      partition,
    }));
    const engines = new Map<number, ReturnType<typeof createPartitionEngine>>();
    const alerts = new Map<number, { key: string; value: string }[]>();
    for (const record of await world.records('security.matches')) {
      // Matches have no key; a record with one is the poison of a test.
      if (record.key !== null) continue;
      const engine =
        engines.get(record.partition) ??
        createPartitionEngine({
          clusterId,
          partition: record.partition,
          ruleSet: (id) => sets.get(id),
          sources: (version) => sources.get(version),
          chains: 'effects',
          chainSources,
        });
      engines.set(record.partition, engine);
      const decoded = await codec.decode(record.value ?? Buffer.alloc(0));
      if (decoded.name !== 'tracehound.pipeline.v1.MatchBatch') continue;
      const list = alerts.get(record.partition) ?? [];
      alerts.set(record.partition, list);
      for (const effect of engine.apply(decoded.value, Number(record.offset))) {
        // What is on trial goes to the shadow topic.
        if (effect.kind === 'alert' && effect.alert.rule.status !== 'experimental') list.push(encoded(effect.alert));
      }
    }
    return alerts;
  }

  async function activationSources(): Promise<
    ReadonlyMap<number, readonly { topic: string; topic_id: string; partition: number }[]>
  > {
    const found = new Map<number, readonly { topic: string; topic_id: string; partition: number }[]>();
    for (const record of await world.records('detection.activations')) {
      const decoded = await codec.decode(record.value ?? Buffer.alloc(0));
      if (decoded.name === 'tracehound.pipeline.v1.RuleActivation') {
        found.set(decoded.value.sources_version, decoded.value.sources);
      }
    }
    return found;
  }

  function encoded(alert: CorrelationAlert): { key: string; value: string } {
    const value = codec.encode('tracehound.pipeline.v1.CorrelationAlert', alert).toString('base64');
    return { key: `${alert.organization_id}|${alert.alert_id}`, value };
  }

  return {
    ...world,
    async app(env = {}) {
      const app = createApp(loadCorrelatorConfig({ ...environment, ...env }), {
        logger,
        // A fatal error must fail the test even where nothing else would notice.
        onFatal: (error) => lines.push(`FATAL ${error instanceof InvariantError ? error.message : String(error)}\n`),
      });
      stops.push(() => app.stop());
      await app.start();
      return app;
    },
    spawn(env = {}) {
      const started = startProcess({ ...environment, ...env });
      stops.push(async () => {
        if (started.child.exitCode === null && started.child.signalCode === null) await started.kill();
      });
      return started;
    },
    log: () => lines.slice(-60).join(''),
    async brokenE1() {
      const broken: string[] = [];
      const alertPartitions = await world.admin.partitionCount(world.topic('security.alerts'));
      const seen = new Map<string, string[]>();
      for (const record of await world.records('security.alerts')) {
        const decoded = await codec.decode(record.value ?? Buffer.alloc(0));
        if (decoded.name !== 'tracehound.pipeline.v1.CorrelationAlert') continue;
        const lane = `${decoded.value.matches_partition}->${record.partition}`;
        const list = seen.get(lane) ?? [];
        seen.set(lane, list);
        list.push((record.value ?? Buffer.alloc(0)).toString('base64'));
      }
      for (const [partition, clean] of await cleanAlerts()) {
        for (let to = 0; to < alertPartitions; to++) {
          // A clean run too may say the same of a degraded range more than once.
          const own = clean.filter(({ key }) => partitionForKey(key, alertPartitions) === to);
          const wanted = [...new Set(own.map(({ value }) => value))];
          const first = [...new Set(seen.get(`${partition}->${to}`) ?? [])];
          if (first.join() === wanted.join()) continue;
          const lost = wanted.filter((value) => !first.includes(value)).length;
          const extra = first.filter((value) => !wanted.includes(value)).length;
          broken.push(`matches ${partition} to alerts ${to}: ${lost} lost, ${extra} extra, else order`);
        }
      }
      if (lines.some((line) => line.startsWith('FATAL')))
        broken.push(lines.filter((l) => l.startsWith('FATAL')).join());
      return broken;
    },
    async close() {
      for (const stop of stops.splice(0).reverse()) await stop();
      await world.close();
    },
  };
}
