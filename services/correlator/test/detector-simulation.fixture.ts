import { type AvroCodec, createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { ACTIVATION_LIMITS, CorrelationError, createPartitionEngine } from '@tracehound/correlation';
import { type LateEvent, markerHeaders, type RuleActivation } from '@tracehound/event-model';
import type { KafkaRecord, TopicPartition } from '@tracehound/kafka';
import { loadRuleSet } from '@tracehound/sigma';
import { type SeededRandom, sfc32 } from '@tracehound/testkit';
import { Detector } from '../src/detector.ts';
import { BrokerTime } from '../src/domain/broker-time.ts';
import { MatchWriter } from '../src/domain/match-writer.ts';
import { RuleBook } from '../src/domain/rule-book.ts';
import { RulesInForceSource } from '../src/domain/rules-in-force.ts';
import { createDetectPath } from '../src/pipeline.ts';
import { eventRecord, finalLine, mixedEvents, oracleLines, TEST_RULES, type TestEvent } from './events.fixture.ts';

const TOPIC = 'security.events';
const TOPIC_ID = '00000000-0000-4000-8000-0000000000aa';
const TARGETS = 2;
const LATENESS_MS = 5_000;
const CLOCK_MS = 1_000;
const RECORDS = [
  'tracehound.events.v1.AuthenticationEvent',
  'tracehound.pipeline.v1.MatchBatch',
  'tracehound.pipeline.v1.DetectionFinding',
  'tracehound.pipeline.v1.LateEvent',
] as const;

export type DetectorSimulationOptions = {
  readonly seed: number;
  /** Mutants: which rule of stage A is broken on purpose. The simulation must notice. */
  readonly mutant?: 'commit-before-acknowledged' | 'watermark-without-allowance';
};

class Killed extends Error {}

/**
 * Stage A alone: source logs whose append times step back with the brokers' clocks, detectors that crash, stall and
 * come back as zombies, appends whose answer is lost or that land much later. What they write must be a contiguous
 * log for every matches partition, lose no on-time match, call nothing late that is not, and carry watermarks that
 * no match falls behind: a clean engine over it must give exactly the alerts of the oracle.
 */
export class DetectorSimulation {
  private readonly random: SeededRandom;
  private readonly options: DetectorSimulationOptions;
  private readonly sources: KafkaRecord[][];
  private readonly targets: Buffer[][] = Array.from({ length: TARGETS }, () => []);
  private readonly committed: bigint[];
  private readonly late = new Set<string>();
  private readonly gates: (() => void)[] = [];
  private readonly ghosts: (() => void)[] = [];
  private readonly clocksMs: number[];
  private readonly plan: { readonly event: TestEvent; readonly atMs: number }[] = [];
  private readonly instances: DetectorInstance[] = [];
  readonly chaos: Record<string, number> = {};
  private codec: AvroCodec | null = null;
  private nowMs = 1_800_000_000_000;
  private calm = false;

  constructor(options: DetectorSimulationOptions) {
    this.options = options;
    this.random = sfc32(options.seed * 2 + 7);
    const { random } = this;
    const count = 1 + random.below(3);
    this.sources = Array.from({ length: count }, () => []);
    this.committed = Array.from({ length: count }, () => 0n);
    this.clocksMs = Array.from({ length: count }, () => 0);
    const events = mixedEvents({ random, count: 50 + random.below(80), endMs: this.nowMs + 40_000, spreadMs: 40_000 });
    for (const event of events) {
      for (let copy = random.pick([1, 1, 1, 2]); copy > 0; copy--) {
        const delayMs = random.pick([
          random.below(500),
          random.below(LATENESS_MS),
          LATENESS_MS - CLOCK_MS + random.below(2 * CLOCK_MS),
          LATENESS_MS + random.below(4_000),
        ]);
        this.plan.push({ event, atMs: event.timeMs + delayMs });
      }
    }
    this.plan.sort((a, b) => a.atMs - b.atMs);
  }

  async run(): Promise<readonly string[]> {
    await this.prepare();
    for (let step = 0; this.plan.length > 0; step++) {
      await this.step();
      if (step > 20_000) return this.named(['the plan was not played']);
    }
    this.calm = true;
    this.instances.splice(0, this.instances.length - 1);
    for (const land of this.ghosts.splice(0)) land();
    for (const [partition] of this.sources.entries()) this.appendSource(partition, { marker: 'end_of_input' });
    for (let step = 0; !this.isQuiet(); step++) {
      await this.step();
      if (step > 4_000) return this.named(['no quiescence']);
    }
    return this.named(await this.check());
  }

  private async prepare(): Promise<void> {
    const registry = createMemoryRegistry();
    await registerRecords(registry, RECORDS);
    this.codec = createAvroCodec({ registry });
    await this.codec.prepare(RECORDS);
  }

  private async step(): Promise<void> {
    const { random } = this;
    this.nowMs += random.below(120);
    while (this.plan[0] !== undefined && this.plan[0].atMs <= this.nowMs) {
      const next = this.plan.shift();
      if (next) this.appendSource(random.below(this.sources.length), { event: next.event });
    }
    if (!this.calm) this.disturb();
    if (this.instances.length === 0) this.instances.push(new DetectorInstance(this));
    for (const instance of this.instances) instance.move();
    for (let i = this.calm ? this.gates.length : random.below(this.gates.length + 1); i > 0; i--) {
      this.gates.splice(random.below(this.gates.length), 1)[0]?.();
    }
    await new Promise((resolve) => setImmediate(resolve));
    for (const dead of this.instances.filter((instance) => instance.isDead)) {
      this.instances.splice(this.instances.indexOf(dead), 1);
    }
  }

  private disturb(): void {
    const { random } = this;
    if (this.ghosts.length > 0 && random.next() < 0.2) {
      this.ghosts.splice(random.below(this.ghosts.length), 1)[0]?.();
    }
    const x = random.next();
    if (x < 0.02) {
      this.count('takeover');
      this.instances.push(new DetectorInstance(this));
    } else if (x < 0.04 && this.instances.length > 1) {
      this.instances.splice(random.below(this.instances.length), 1);
    } else if (x < 0.1) {
      // A leader change: append times step forward or back, by the allowance at most.
      this.clocksMs[random.below(this.clocksMs.length)] = random.below(CLOCK_MS) - CLOCK_MS / 2;
    }
  }

  /** A call on the world: waits at a gate, then has an effect or not, and answers or not. */
  async call<T>(instance: DetectorInstance, kind: string, effect: () => T): Promise<T> {
    await new Promise<void>((resolve) => this.gates.push(resolve));
    if (instance.isDead) throw new Killed();
    const x = this.calm ? 1 : this.random.next();
    if (x < 0.15) this.count(kind);
    if (x < 0.03) throw new Error('no answer');
    if (x < 0.06) {
      effect();
      throw new Error('no answer');
    }
    if (x < 0.09) {
      this.ghosts.push(effect);
      throw new Error('no answer');
    }
    const result = x < 0.1 ? undefined : effect();
    if (x < 0.12) {
      instance.isDead = true;
      throw new Killed();
    }
    return result as T; // Only undefined where the instance was killed above.
  }

  visible(partition: number): number {
    return this.sources[partition]?.length ?? 0;
  }

  slice(partition: number, from: number, to: number): readonly KafkaRecord[] {
    return this.sources[partition]?.slice(from, to) ?? [];
  }

  get partitions(): readonly TopicPartition[] {
    return this.sources.map((_, partition) => ({ topic: TOPIC, partition }));
  }

  get draw(): SeededRandom {
    return this.random;
  }

  maybeKill(instance: DetectorInstance): void {
    if (instance.isDead) throw new Killed();
    if (this.calm || this.random.next() > 0.003) return;
    this.count('fault_point');
    instance.isDead = true;
    throw new Killed();
  }

  detectorFor(instance: DetectorInstance): Detector {
    const codec = this.codec as AvroCodec; // `prepare` has run.
    const book = new RuleBook();
    const rules = loadRuleSet(TEST_RULES);
    book.addRuleSet({ ruleset_id: rules.rulesetId, files: rules.files });
    book.activations.add(this.activation(rules.rulesetId), 0);
    const brokerTime = new BrokerTime();
    const inForce = new RulesInForceSource({
      book,
      reader: { refresh: async () => undefined },
      brokerTime,
      clock: { steadyMs: () => this.nowMs },
    });
    const early = this.options.mutant === 'commit-before-acknowledged';
    const writer = new MatchWriter({
      appender: {
        append: (target, values) => {
          const appended = this.call(instance, 'append', () => void this.targets[target]?.push(...values));
          if (!early) return appended;
          appended.catch(() => undefined);
          return Promise.resolve();
        },
      },
      backoff: () => new Promise((resolve) => this.gates.push(resolve)),
    });
    const detector = new Detector({
      startOffset: ({ partition }) => this.call(instance, 'start_offset', () => this.committed[partition] ?? 0n),
      topicId: () => TOPIC_ID,
      createPath: (source) =>
        createDetectPath({
          source,
          codec,
          writer,
          targets: TARGETS,
          clusterId: 'test',
          counter: { consumed: () => undefined, verdict: () => undefined },
          deadLetters: async () => undefined,
          deadLetterLimit: { admit: () => undefined },
          late: (events) => this.call(instance, 'late', () => this.noteLate(events)),
          publishFindings: async () => undefined,
          rulesAt: (at) => inForce.at(at),
          watch: () => ({ failed: () => undefined }),
          onGroupMissing: () => undefined,
          onWithheld: () => undefined,
          onSkipped: () => undefined,
          guard: { saw: () => undefined },
          faultPoint: () => this.maybeKill(instance),
        }),
      rules: inForce,
      book,
      brokerTime,
      sendMarker: ({ partition }) =>
        this.call(instance, 'marker', () => {
          const record = this.appendSource(partition, { marker: 'idle' });
          return { offset: record.offset, appendTimeMs: record.appendTimeMs };
        }),
      clock: { steadyMs: () => this.nowMs },
      tickMs: 500,
      faultPoint: () => this.maybeKill(instance),
      logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    });
    detector.bind({
      // Zombies commit too, also backwards.
      commit: ({ partition }, offset) =>
        this.call(instance, 'commit', () => {
          this.committed[partition] = offset;
        }).catch(() => undefined),
    });
    return detector;
  }

  private activation(rulesetId: string): RuleActivation {
    return {
      schema_rev: 1,
      activation_id: 'a1',
      ruleset_id: rulesetId,
      lateness_ms: LATENESS_MS,
      clock_allowance_ms: this.options.mutant === 'watermark-without-allowance' ? 0 : CLOCK_MS,
      sources_version: 1,
      sources: this.sources.map((_, partition) => ({ topic: TOPIC, topic_id: TOPIC_ID, partition, effective_at: 0 })),
      effective_at: 0,
      created_at: 0,
      principal: 'simulation',
      ...ACTIVATION_LIMITS,
      reason: null,
      breakers: [],
      based_on: null,
      matches_topic_id: null,
      matches_partitions: null,
    };
  }

  private noteLate(events: readonly LateEvent[]): void {
    for (const event of events) this.late.add(`${event.src_partition}/${event.src_offset}`);
  }

  private appendSource(
    partition: number,
    what: { readonly event?: TestEvent; readonly marker?: 'idle' | 'end_of_input' },
  ): KafkaRecord {
    const log = this.sources[partition] as KafkaRecord[]; // Partitions come from the list itself.
    const codec = this.codec as AvroCodec; // `prepare` has run.
    const headers = what.marker === undefined ? {} : markerHeaders(what.marker, TOPIC);
    const record: KafkaRecord = {
      topic: TOPIC,
      partition,
      offset: BigInt(log.length),
      appendTimeMs: this.nowMs + (this.clocksMs[partition] ?? 0),
      key: null,
      value: what.event ? codec.encode('tracehound.events.v1.AuthenticationEvent', eventRecord(what.event)) : null,
      headers: Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, Buffer.from(v)])),
    };
    log.push(record);
    this.events.set(`${partition}/${record.offset}`, { event: what.event ?? null, atMs: record.appendTimeMs });
    return record;
  }

  private readonly events = new Map<string, { readonly event: TestEvent | null; readonly atMs: number }>();

  private isQuiet(): boolean {
    const instance = this.instances.at(-1);
    return instance !== undefined && this.sources.every((log, partition) => instance.done(partition) >= log.length);
  }

  private async check(): Promise<string[]> {
    const problems: string[] = [];
    const onTime = new Map<string, TestEvent>();
    for (const [place, { event, atMs }] of this.events) {
      if (event === null) continue;
      const isLate = atMs - event.timeMs > LATENESS_MS;
      if (isLate !== this.late.has(place))
        problems.push(isLate ? 'X3: late, not in its lane' : 'X3: on time, called late');
      if (!isLate) onTime.set(event.id, event);
    }
    const finals: string[] = [];
    for (const [partition, log] of this.targets.entries()) {
      const found = await this.replay(partition, log);
      finals.push(...found.finals);
      problems.push(...found.problems);
    }
    if (finals.sort().join() !== oracleLines([...onTime.values()]).join()) problems.push('E2 finals differ');
    return [...new Set(problems)];
  }

  /** A clean stage B over what was written. */
  private async replay(partition: number, log: readonly Buffer[]): Promise<{ finals: string[]; problems: string[] }> {
    const codec = this.codec as AvroCodec; // `prepare` has run.
    const rules = loadRuleSet(TEST_RULES);
    const sources = this.activation('').sources;
    const engine = createPartitionEngine({
      clusterId: 'test',
      partition,
      ruleSet: (id) => (id === rules.rulesetId ? rules : undefined),
      sources: () => sources,
    });
    const finals: string[] = [];
    try {
      for (const [offset, value] of log.entries()) {
        const decoded = await codec.decode(value);
        if (decoded.name !== 'tracehound.pipeline.v1.MatchBatch') continue;
        for (const effect of engine.apply(decoded.value, offset)) {
          if (effect.kind !== 'alert' || effect.alert.kind !== 'FINAL') continue;
          const { alert } = effect;
          finals.push(
            finalLine({
              rule: alert.rule.rule_id,
              organization: alert.organization_id,
              group: alert.group[0]?.value,
              firstAt: alert.first_at,
              lastAt: alert.last_at,
              eventIds: alert.event_ids,
            }),
          );
        }
      }
    } catch (error) {
      if (error instanceof CorrelationError) return { finals, problems: [`X5: ${error.code}`] };
      throw error;
    }
    const { late } = engine.counters();
    return { finals, problems: late > 0 ? ['X4: a match behind the watermark'] : [] };
  }

  private count(kind: string): void {
    this.chaos[kind] = (this.chaos[kind] ?? 0) + 1;
  }

  private named(problems: readonly string[]): readonly string[] {
    return problems.map((problem) => `seed ${this.options.seed}: ${problem}`);
  }
}

/** One process with its consumer over all source partitions: per partition one batch at a time, in order. */
class DetectorInstance {
  isDead = false;
  private readonly simulation: DetectorSimulation;
  private readonly detector: Detector;
  private readonly lanes: { position: number | null; isBusy: boolean }[];

  constructor(simulation: DetectorSimulation) {
    this.simulation = simulation;
    this.detector = simulation.detectorFor(this);
    this.lanes = simulation.partitions.map(() => ({ position: null, isBusy: false }));
  }

  done(partition: number): number {
    const lane = this.lanes[partition];
    return lane?.isBusy === false && lane.position !== null ? lane.position : -1;
  }

  move(): void {
    if (this.isDead) return;
    this.detector.markIdle();
    for (const at of this.simulation.partitions) {
      const lane = this.lanes[at.partition];
      if (lane === undefined || lane.isBusy || this.simulation.draw.next() < 0.3) continue;
      lane.isBusy = true;
      this.work(at, lane)
        // A rejection is a redelivery: the position has not moved.
        .catch(() => undefined)
        .finally(() => {
          lane.isBusy = false;
        });
    }
  }

  private async work(at: TopicPartition, lane: { position: number | null }): Promise<void> {
    if (lane.position === null) {
      const start = await this.detector.assigned(at);
      lane.position = start.kind === 'offset' ? Number(start.offset) : 0;
      return;
    }
    const from = lane.position;
    const to = Math.min(this.simulation.visible(at.partition), from + 1 + this.simulation.draw.below(8));
    const records = this.simulation.slice(at.partition, from, to);
    if (records.length === 0) return;
    await this.detector.batch({ ...at, records, highWatermark: BigInt(to) });
    lane.position = to;
  }
}
