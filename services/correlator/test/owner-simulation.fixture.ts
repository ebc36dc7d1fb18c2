import { type AvroCodec, createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import { ACTIVATION_LIMITS, createPartitionEngine, type PartitionEngine } from '@tracehound/correlation';
import { InvariantError, type MatchBatch } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import { type SeededRandom, sfc32 } from '@tracehound/testkit';
import { configOf, finalLines, oracleLines, runLog } from '../../../packages/correlation/oracle/run.ts';
import {
  type Arrival,
  arriveAt,
  createWorld,
  WORLD_TOPIC_ID,
  type World,
} from '../../../packages/correlation/oracle/world.ts';
import { MemoryStateStore } from '../src/adapters/memory-state-store.ts';
import { Correlator } from '../src/correlator.ts';
import { PartitionOwner } from '../src/domain/partition-owner.ts';
import { RuleBook } from '../src/domain/rule-book.ts';
import { createOpenEngine, type WindowEngine } from '../src/domain/window.ts';
import { createCorrelatePath } from '../src/pipeline.ts';
import type { Fence, FlushOutcome, FlushRequest, OutboxRecord, StateStore } from '../src/ports.ts';
import { FlushPolicy } from '../src/stages/flush.ts';

const TOPIC = 'security.matches';
const PARTITION = 0;
const RECORDS = [
  'tracehound.pipeline.v1.MatchBatch',
  'tracehound.pipeline.v1.CorrelationAlert',
  'tracehound.pipeline.v1.LateEvent',
  'tracehound.pipeline.v1.DeadLetter',
] as const;

/** What one run found wrong; empty when E1, E2 and the counters hold. */
export type SimulationResult = {
  readonly problems: readonly string[];
  readonly chaos: Readonly<Record<string, number>>;
};

export type SimulationOptions = {
  readonly seed: number;
  /** A mutant of X8: the store takes every flush. The simulation must notice. */
  readonly withoutFence?: boolean;
};

/** The process is gone: nothing it still does has an effect. */
class Killed extends Error {}

type Fate = 'ok' | 'lost' | 'answer_lost' | 'ghost' | 'killed_before' | 'killed_after';

/**
 * One matches log, one state store, one alerts log, and owners that crash, stall and come back, driven step by step
 * from one seed. Every await of an owner on the world waits at a gate; the driver opens gates in random order, so
 * calls of several owners interleave at every point. The stage B under test is the real one: consumer handler,
 * pipeline, owner, engine, codec.
 */
export class OwnerSimulation {
  private readonly random: SeededRandom;
  private readonly world: World;
  private readonly arrival: Arrival;
  private readonly options: SimulationOptions;
  private readonly store: MemoryStateStore;
  private readonly snapshots: ReturnType<MemoryStateStore['snapshot']>[] = [];
  private readonly gates: (() => void)[] = [];
  private readonly ghosts: (() => void)[] = [];
  private readonly emitted: OutboxRecord[] = [];
  private readonly instances: Instance[] = [];
  private readonly chaos: Record<string, number> = {};
  private readonly book = new RuleBook();
  private log: KafkaRecord[] = [];
  private codec: AvroCodec | null = null;
  private committed: bigint | null = null;
  private visible = 0;
  private nowMs = 0;
  private calm = false;
  private nonces = 0;

  constructor(options: SimulationOptions) {
    this.options = options;
    this.random = sfc32(options.seed * 2 + 1);
    // Four interleavings of each world.
    this.world = createWorld(options.seed >> 2);
    this.arrival = arriveAt(this.world, options.seed, { late: true, duplicates: true, resent: true, border: true });
    this.store = options.withoutFence === true ? new UnfencedStore() : new MemoryStateStore();
  }

  async run(): Promise<SimulationResult> {
    await this.prepare();
    for (let step = 0; this.visible < this.log.length || step < 400; step++) {
      this.visible = Math.min(this.log.length, this.visible + this.random.below(3));
      await this.step();
      if (step > 6_000) return this.result(['the log was not read']);
    }
    this.calm = true;
    for (const land of this.ghosts.splice(0)) land();
    this.instances.splice(0, this.instances.length - 1);
    for (let step = 0; !this.isQuiet(); step++) {
      await this.step();
      const stopped = this.instances.find((instance) => instance.stopped !== null)?.stopped;
      if (stopped) return this.result([`stopped: ${stopped}`]);
      if (step > 4_000) return this.result(['no quiescence']);
    }
    return this.result(this.check());
  }

  private async prepare(): Promise<void> {
    const registry = createMemoryRegistry();
    await registerRecords(registry, RECORDS);
    this.codec = createAvroCodec({ registry });
    await this.codec.prepare(RECORDS);
    this.book.addRuleSet({ ruleset_id: this.world.ruleSet.rulesetId, files: this.world.ruleSet.files });
    this.book.activations.add(
      {
        schema_rev: 1,
        activation_id: 'a1',
        ruleset_id: this.world.ruleSet.rulesetId,
        lateness_ms: this.world.latenessMs,
        clock_allowance_ms: 1_000,
        sources_version: 1,
        sources: Array.from({ length: this.world.sources }, (_, partition) => ({
          topic: 'security.events',
          topic_id: WORLD_TOPIC_ID,
          partition,
          effective_at: 0,
        })),
        effective_at: 0,
        created_at: 0,
        principal: 'simulation',
        ...ACTIVATION_LIMITS,
        reason: null,
        breakers: [],
        based_on: null,
      },
      0,
    );
    const codec = this.codec;
    this.log = this.arrival.batches.map((batch, index) => recordOf(codec, batch, index));
  }

  /** One thing happens: chaos, a gate opens, or an idle owner gets its next batch or a look of the flush timer. */
  private async step(): Promise<void> {
    this.nowMs += this.random.below(40);
    if (!this.calm) this.disturb();
    if (this.instances.length === 0) this.instances.push(this.newInstance());
    for (const instance of [...this.instances]) if (this.calm || this.random.next() < 0.6) instance.move();
    const open = this.calm ? this.gates.length : this.random.below(this.gates.length + 1);
    for (let i = 0; i < open; i++) this.gates.splice(this.random.below(this.gates.length), 1)[0]?.();
    // Everything between two gates runs on microtasks; one turn of the loop ends them all.
    await new Promise((resolve) => setImmediate(resolve));
    for (const dead of this.instances.filter((instance) => instance.isDead)) {
      this.instances.splice(this.instances.indexOf(dead), 1);
    }
  }

  private disturb(): void {
    const { random } = this;
    if (random.next() < 0.3 && this.ghosts.length > 0) this.ghosts.splice(random.below(this.ghosts.length), 1)[0]?.();
    if (random.next() > 0.06) return;
    const kind = random.pick(['takeover', 'takeover', 'flushall', 'rollback', 'rollback', 'partial', 'leave'] as const);
    this.count(kind);
    switch (kind) {
      case 'takeover':
        // The old owner stays as a zombie until it happens to leave.
        this.instances.push(this.newInstance());
        break;
      case 'leave':
        if (this.instances.length > 1) this.instances.splice(random.below(this.instances.length), 1);
        break;
      case 'flushall':
        this.store.flushAll();
        break;
      case 'rollback':
        if (this.snapshots.length > 0) this.store.restore(PARTITION, random.pick(this.snapshots.slice(-8)));
        break;
      case 'partial':
        this.store.loseGroups(PARTITION);
        break;
    }
  }

  /** A call on the world: waits at a gate, then has an effect or not, and answers or not. */
  private async call<T>(instance: Instance, kind: string, effect: () => T): Promise<T> {
    await new Promise<void>((resolve) => this.gates.push(resolve));
    if (instance.isDead) throw new Killed();
    const fate = this.fate();
    if (fate !== 'ok') this.count(`${kind}_${fate}`);
    switch (fate) {
      case 'ok':
        return effect();
      case 'lost':
        throw new Error('no answer');
      case 'answer_lost':
        effect();
        throw new Error('no answer');
      case 'ghost':
        this.ghosts.push(effect);
        throw new Error('no answer');
      case 'killed_before':
        instance.isDead = true;
        throw new Killed();
      case 'killed_after':
        effect();
        instance.isDead = true;
        throw new Killed();
    }
  }

  private fate(): Fate {
    if (this.calm) return 'ok';
    const x = this.random.next();
    if (x < 0.04) return 'lost';
    if (x < 0.08) return 'answer_lost';
    if (x < 0.12) return 'ghost';
    if (x < 0.135) return 'killed_before';
    return x < 0.15 ? 'killed_after' : 'ok';
  }

  private newInstance(): Instance {
    const instance = new Instance(
      (self) => this.open(self),
      () => this.visible,
      () => this.nowMs,
      this.random,
    );
    instance.log = (from, to) => this.log.slice(from, to);
    return instance;
  }

  private open(instance: Instance): ReturnType<ConstructorParameters<typeof Correlator>[0]['open']> {
    const codec = this.codec as AvroCodec; // `prepare` has run.
    const policy = new FlushPolicy({
      clock: { nowMs: () => this.nowMs },
      sleep: () => new Promise((resolve) => this.gates.push(resolve)),
      flushMs: 150,
      flushGapMs: 10,
      dirtyGroupsMax: 20,
      commitMs: 100,
    });
    const owner = new PartitionOwner({
      partition: PARTITION,
      topicId: () => 'matches-topic',
      store: this.storeFor(instance),
      outlet: { emit: (records) => this.call(instance, 'emit', () => void this.emitted.push(...records)) },
      progress: {
        committed: () => this.call(instance, 'committed', () => this.committed),
        commit: (_, offset) =>
          this.call(instance, 'commit', () => {
            this.committed = offset;
          }),
      },
      openEngine: createOpenEngine({
        partition: PARTITION,
        clusterId: 'test',
        codec,
        book: this.book,
        refreshRules: async () => undefined,
        onOpened: (engine) => {
          instance.engine = engine;
        },
      }),
      nonce: () => `nonce-${this.nonces++}`,
      faultPoint: (name) => {
        if (instance.isDead) throw new Killed();
        if (this.calm || this.random.next() > 0.004) return;
        this.count(`killed_at_${name}`);
        instance.isDead = true;
        throw new Killed();
      },
    });
    const path = createCorrelatePath({
      owner,
      codec,
      counter: { consumed: () => undefined, verdict: () => undefined },
      deadLetters: async () => undefined,
      ensureRules: () => undefined,
      breathe: () => undefined,
      flushPolicy: policy,
    });
    instance.owner = owner;
    return { owner, path, policy };
  }

  private storeFor(instance: Instance): StateStore {
    const { store } = this;
    const applied = <T>(result: Promise<T>): Promise<T> => {
      this.snapshots.push(store.snapshot(PARTITION));
      return result;
    };
    return {
      acquire: async (partition, options) =>
        this.call(instance, 'acquire', () => applied(store.acquire(partition, options))),
      groups: (partition, fence) => this.slowGroups(instance, partition, fence),
      flush: async (request) => this.call(instance, 'flush', () => applied(store.flush(request))),
      ping: async () => undefined,
    };
  }

  /** Another owner may come between `acquire` and the reading of the groups. */
  private async *slowGroups(
    instance: Instance,
    partition: number,
    fence: Fence,
  ): AsyncGenerator<readonly [string, Buffer]> {
    await this.call(instance, 'groups', () => undefined);
    yield* this.store.groups(partition, fence);
  }

  private isQuiet(): boolean {
    const instance = this.instances.at(-1);
    const owner = instance?.owner;
    if (!owner?.isHeld || instance?.isBusy) return false;
    return owner.next === BigInt(this.log.length) && owner.outboxSize === 0 && owner.dirtyCount === 0;
  }

  private check(): string[] {
    const engine: PartitionEngine = createPartitionEngine(configOf(this.world));
    const clean = runLog(engine, this.arrival.batches);
    const codec = this.codec as AvroCodec; // `prepare` has run.
    const problems: string[] = [];
    const compare = (lane: OutboxRecord['lane'], wanted: readonly string[]): void => {
      const seen = this.emitted
        .filter((record) => record.lane === lane)
        .map((record) => record.value.toString('base64'));
      const first = [...new Set(seen)];
      const lost = wanted.filter((value) => !first.includes(value)).length;
      const extra = first.filter((value) => !wanted.includes(value)).length;
      if (lost + extra > 0) problems.push(`E1 ${lane}: ${lost} lost, ${extra} extra`);
      else if (first.join() !== [...new Set(wanted)].join()) problems.push(`E1 ${lane}: order of first occurrences`);
    };
    compare(
      'alerts',
      clean.alerts.map((alert) => codec.encode('tracehound.pipeline.v1.CorrelationAlert', alert).toString('base64')),
    );
    compare(
      'late',
      clean.late.map((late) => codec.encode('tracehound.pipeline.v1.LateEvent', late).toString('base64')),
    );
    if (finalLines(clean.alerts).join() !== oracleLines(this.world, this.arrival).join()) problems.push('E2 finals');
    const live = this.instances.at(-1)?.engine?.counters();
    if (JSON.stringify(live) !== JSON.stringify(engine.counters())) problems.push('E3 counters of the live owner');
    return problems;
  }

  private count(kind: string): void {
    this.chaos[kind] = (this.chaos[kind] ?? 0) + 1;
  }

  private result(problems: readonly string[]): SimulationResult {
    return { problems: problems.map((problem) => `seed ${this.options.seed}: ${problem}`), chaos: this.chaos };
  }
}

/** One process with its consumer: a position, at most one batch at a time, redelivery after a rejection. */
class Instance {
  readonly correlator: Correlator;
  isDead = false;
  isBusy = false;
  stopped: string | null = null;
  owner: PartitionOwner | null = null;
  engine: WindowEngine | null = null;
  log: (from: number, to: number) => readonly KafkaRecord[] = () => [];
  private position: number | null = null;
  private seeks = 0;
  private readonly visible: () => number;
  private readonly random: SeededRandom;
  private readonly partition = { topic: TOPIC, partition: PARTITION };

  constructor(
    open: (self: Instance) => ReturnType<ConstructorParameters<typeof Correlator>[0]['open']>,
    visible: () => number,
    nowMs: () => number,
    random: SeededRandom,
  ) {
    this.visible = visible;
    this.random = random;
    this.correlator = new Correlator({
      open: () => open(this),
      range: async () => ({ low: 0n, high: BigInt(visible()) }),
      onLostRange: 'stop',
      clock: { nowMs },
      logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    });
    this.correlator.bind({
      seek: (_, offset) => {
        this.seeks++;
        this.position = Number(offset);
      },
    });
  }

  move(): void {
    if (this.isDead || this.isBusy) return;
    if (this.position !== null && this.random.next() < 0.3) return this.correlator.flushIdle();
    this.isBusy = true;
    const work = this.position === null ? this.join() : this.consume(this.position);
    work
      // A rejection is a redelivery: the position has not moved. An invariant would stop the process for good.
      .catch((error: unknown) => {
        if (error instanceof InvariantError) this.stopped = error.message;
      })
      .finally(() => {
        this.isBusy = false;
      });
  }

  private async join(): Promise<void> {
    const start = await this.correlator.assigned(this.partition);
    this.position = start.kind === 'offset' ? Number(start.offset) : 0;
  }

  private async consume(from: number): Promise<void> {
    const to = Math.min(this.visible(), from + 1 + this.random.below(8));
    const records = this.log(from, to);
    if (records.length === 0) return this.correlator.flushIdle();
    const { seeks } = this;
    await this.correlator.batch({ ...this.partition, records, highWatermark: BigInt(this.visible()) });
    // A seek made meanwhile is the later word.
    if (seeks === this.seeks) this.position = to;
  }
}

/** Takes every flush, whoever sends it. */
class UnfencedStore extends MemoryStateStore {
  override async flush(request: FlushRequest): Promise<FlushOutcome> {
    const state = this.snapshot(request.partition);
    if (state === undefined) return 'missing';
    const fence = { epoch: String(state.epoch), nonce: state.nonce, flushSeq: state.flushSeq };
    return super.flush({ ...request, fence, trim: Math.min(request.trim, state.outbox.length) });
  }
}

function recordOf(codec: AvroCodec, batch: MatchBatch, index: number): KafkaRecord {
  return {
    topic: TOPIC,
    partition: PARTITION,
    offset: BigInt(index),
    appendTimeMs: index,
    key: null,
    value: codec.encode('tracehound.pipeline.v1.MatchBatch', batch),
    headers: {},
  };
}
