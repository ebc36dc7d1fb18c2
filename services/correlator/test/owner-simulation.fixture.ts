import { type AvroCodec, createAvroCodec, createMemoryRegistry, registerRecords } from '@tracehound/avro';
import {
  ACTIVATION_LIMITS,
  createPartitionEngine,
  type EngineMemory,
  type PartitionEngine,
  type StateVersion,
} from '@tracehound/correlation';
import type { CorrelationAlert, MatchBatch } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import type { CorrelationRule, RuleSetCompiled } from '@tracehound/sigma';
import { type SeededRandom, sfc32 } from '@tracehound/testkit';
import { versionsInTurns } from '../../../packages/correlation/oracle/restarts.ts';
import { createRichWorld, WORLD_PARTS } from '../../../packages/correlation/oracle/rich-world.ts';
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
import { partitionOf } from '../src/domain/route.ts';
import { RuleBook } from '../src/domain/rule-book.ts';
import { createOpenEngine, type WindowEngine } from '../src/domain/window.ts';
import { createCorrelatePath } from '../src/pipeline.ts';
import type { Fence, FlushOutcome, FlushRequest, GroupPage, OutboxRecord, StateStore } from '../src/ports.ts';
import { FlushPolicy } from '../src/stages/flush.ts';
import { Instance, type PartitionLog, TOPIC } from './simulated-instance.fixture.ts';

const MATCHES_ID = 'matches-topic';
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
  /** Worlds with chains and expected groups, over three matches partitions that feed each other (X11). */
  readonly chained?: boolean;
  /** A mutant of X8: the store takes every flush. The simulation must notice. */
  readonly withoutFence?: boolean;
};

/** The process is gone: nothing it still does has an effect. */
class Killed extends Error {}

type Fate = 'ok' | 'lost' | 'answer_lost' | 'ghost' | 'killed_before' | 'killed_after';

/**
 * Matches logs, one state store, one alerts log, and owners that crash, stall and come back, driven step by step
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
  private readonly gates: (() => void)[] = [];
  private readonly ghosts: (() => void)[] = [];
  private readonly emitted: OutboxRecord[] = [];
  private readonly instances: Instance[] = [];
  private readonly chaos: Record<string, number> = {};
  private readonly book: RuleBook;
  private readonly partitions: readonly PartitionLog[];
  private readonly memory: Partial<EngineMemory>;
  /** A fleet in the middle of an upgrade. */
  private readonly stateVersion: () => StateVersion;
  private codec: AvroCodec | null = null;
  private nowMs = 0;
  private calm = false;
  private nonces = 0;

  constructor(options: SimulationOptions) {
    this.options = options;
    this.random = sfc32(options.seed * 2 + 1);
    this.stateVersion = versionsInTurns(options.seed);
    // In two of three runs nothing stays in memory that need not.
    this.memory = options.seed % 3 === 0 ? {} : { decodedGroupsMax: 2, packedBytesMax: 500 * ((options.seed % 3) - 1) };
    // Four interleavings of each world.
    const seed = options.seed >> 2;
    this.world = options.chained
      ? createRichWorld(seed, { parts: WORLD_PARTS, focus: seed % 3 === 0 ? 'expect' : 'chain' })
      : createWorld(seed);
    this.arrival = arriveAt(this.world, options.seed, { late: true, duplicates: true, resent: true, border: true });
    this.store = options.withoutFence === true ? new UnfencedStore() : new MemoryStateStore();
    this.book = new WorldBook(this.world.ruleSet);
    this.partitions = Array.from({ length: options.chained ? 3 : 1 }, (_, partition) => ({
      partition,
      records: [],
      waiting: [],
      snapshots: [],
      visible: 0,
      committed: null,
      isCountedAnew: false,
    }));
  }

  async run(): Promise<SimulationResult> {
    await this.prepare();
    for (let step = 0; this.partitions.some(isUnread) || step < 400; step++) {
      for (const log of this.partitions) {
        this.appendFromA(log);
        log.visible = Math.min(log.records.length, log.visible + this.random.below(3));
      }
      await this.step();
      if (step > 12_000) return this.result(['the log was not read']);
    }
    this.calm = true;
    for (const land of this.ghosts.splice(0)) land();
    this.instances.splice(
      0,
      Number.POSITIVE_INFINITY,
      ...this.partitions.flatMap(
        ({ partition }) => this.instances.findLast((one) => one.partition === partition) ?? [],
      ),
    );
    for (let step = 0; !this.isQuiet(); step++) {
      for (const log of this.partitions) log.visible = log.records.length;
      await this.step();
      const stopped = this.instances.find((instance) => instance.stopped !== null)?.stopped;
      if (stopped) return this.result([`stopped: ${stopped}`]);
      if (step > 4_000) return this.result(['no quiescence']);
    }
    return this.result(this.check());
  }

  /** Stage A's records and those of chains interleave in any way; each keeps its order. */
  private appendFromA(log: PartitionLog): void {
    for (let count = this.random.below(3); count > 0; count--) {
      const batch = log.waiting.shift();
      if (batch !== undefined) this.append(log, this.encoded(batch));
    }
  }

  private append({ partition, records }: PartitionLog, value: Buffer): void {
    const offset = BigInt(records.length);
    records.push({ topic: TOPIC, partition, offset, appendTimeMs: records.length, key: null, value, headers: {} });
  }

  private encoded(batch: MatchBatch): Buffer {
    return (this.codec as AvroCodec).encode('tracehound.pipeline.v1.MatchBatch', batch); // `prepare` has run.
  }

  private async prepare(): Promise<void> {
    const registry = createMemoryRegistry();
    await registerRecords(registry, RECORDS);
    this.codec = createAvroCodec({ registry });
    await this.codec.prepare(RECORDS);
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
        matches_topic_id: null,
        matches_partitions: null,
      },
      0,
    );
    const { correlations } = this.world.ruleSet;
    for (const log of this.partitions) {
      for (const batch of this.arrival.batches) {
        const matches = batch.matches.filter((match) => {
          const rule = correlations[match.rule] as CorrelationRule; // The world's matches are of its rules.
          const window = { rule, organization: match.organization_id, groupKey: match.group_key };
          return partitionOf(window, this.partitions.length) === log.partition;
        });
        log.waiting.push({ ...batch, matches });
      }
    }
  }

  /** One thing happens: chaos, a gate opens, or an idle owner gets its next batch or a look of the flush timer. */
  private async step(): Promise<void> {
    this.nowMs += this.random.below(40);
    if (!this.calm) this.disturb();
    for (const log of this.partitions) {
      if (!this.instances.some(({ partition }) => partition === log.partition))
        this.instances.push(this.newInstance(log));
    }
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
    const log = random.pick(this.partitions);
    const kind = random.pick(['takeover', 'takeover', 'flushall', 'rollback', 'rollback', 'partial', 'leave'] as const);
    this.count(kind);
    switch (kind) {
      case 'takeover':
        // The old owner stays as a zombie until it happens to leave.
        this.instances.push(this.newInstance(log));
        break;
      case 'leave':
        if (this.instances.length > 1) this.instances.splice(random.below(this.instances.length), 1);
        break;
      case 'flushall':
        this.store.flushAll();
        break;
      case 'rollback':
        if (log.snapshots.length > 0) this.store.restore(log.partition, random.pick(log.snapshots.slice(-8)));
        break;
      case 'partial':
        this.store.loseGroups(log.partition);
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

  private newInstance(log: PartitionLog): Instance {
    return new Instance(
      (self) => this.open(self, log),
      log,
      () => this.nowMs,
      this.random,
    );
  }

  private rebuilds(log: PartitionLog, mutedBelow: bigint): void {
    const from = log.committed?.rebuildFrom ?? null;
    if (from === null || from.offset === 0 || mutedBelow === 0n) return;
    this.count('rebuilt_from_the_middle');
    log.isCountedAnew = true;
  }

  private emit(records: readonly OutboxRecord[]): void {
    this.emitted.push(...records);
    for (const { lane, key, value } of records) {
      if (lane === 'chain') this.append(this.partitions[Number(key)] as PartitionLog, value);
    }
  }

  private open(instance: Instance, log: PartitionLog): ReturnType<ConstructorParameters<typeof Correlator>[0]['open']> {
    const codec = this.codec as AvroCodec; // `prepare` has run.
    const policy = new FlushPolicy({
      clock: { steadyMs: () => this.nowMs },
      sleep: () => new Promise((resolve) => this.gates.push(resolve)),
      flushMs: 150,
      flushGapMs: 10,
      dirtyGroupsMax: 20,
      commitMs: 100,
      isSaturated: () => false,
    });
    const owner = new PartitionOwner({
      partition: log.partition,
      topicId: () => MATCHES_ID,
      store: this.storeFor(instance, log),
      outlet: { emit: (records) => this.call(instance, 'emit', () => this.emit(records)) },
      progress: {
        committed: () => this.call(instance, 'committed', () => log.committed),
        commit: (_, base) =>
          this.call(instance, 'commit', () => {
            log.committed = base;
          }),
      },
      openEngine: createOpenEngine({
        partition: log.partition,
        matches: { topic: TOPIC, topicId: MATCHES_ID, partitions: this.partitions.length },
        clusterId: 'test',
        codec,
        memory: this.memory,
        stateVersion: this.stateVersion(),
        book: this.book,
        refreshRules: async () => undefined,
        onOpened: (engine) => {
          instance.engine = engine;
        },
      }),
      observe: {
        acquired: ({ status }, mutedBelow) => {
          if (status !== 'held') this.rebuilds(log, mutedBelow);
        },
      },
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
      deadLetterLimit: { admit: () => undefined },
      ensureRules: () => undefined,
      breathe: () => undefined,
      flushPolicy: policy,
    });
    instance.owner = owner;
    return { owner, path, policy };
  }

  private storeFor(instance: Instance, { partition: own, snapshots }: PartitionLog): StateStore {
    const { store } = this;
    const applied = <T>(result: Promise<T>): Promise<T> => {
      snapshots.push(store.snapshot(own));
      return result;
    };
    return {
      acquire: async (partition, options) =>
        this.call(instance, 'acquire', () => applied(store.acquire(partition, options))),
      groups: (partition, fence) => this.slowGroups(instance, partition, fence),
      read: async (partition, fence, groupIds) => {
        this.count('read', groupIds.length);
        return this.call(instance, 'read', () => {
          const answer = store.read(partition, fence, groupIds);
          // Nobody may be left to hear a refusal.
          answer.catch(() => undefined);
          return answer;
        });
      },
      flush: async (request) => this.call(instance, 'flush', () => applied(store.flush(request))),
      ping: async () => undefined,
    };
  }

  /** Another owner may come between `acquire` and the reading of the groups. */
  private async *slowGroups(instance: Instance, partition: number, fence: Fence): AsyncGenerator<GroupPage> {
    await this.call(instance, 'groups', () => undefined);
    yield* this.store.groups(partition, fence);
  }

  private isQuiet(): boolean {
    return this.partitions.every((log) => {
      const instance = this.instances.findLast(({ partition }) => partition === log.partition);
      const owner = instance?.owner;
      if (!owner?.isHeld || instance?.isBusy || log.waiting.length > 0) return false;
      return owner.next === BigInt(log.records.length) && owner.outboxSize === 0 && !owner.needsFlush;
    });
  }

  private check(): string[] {
    const codec = this.codec as AvroCodec; // `prepare` has run.
    const problems: string[] = [];
    const wanted = { alerts: new Array<string>(), late: new Array<string>() };
    const finals: CorrelationAlert[] = [];
    for (const log of this.partitions) {
      const engine = this.cleanEngine(log.partition);
      const clean = runLog(
        engine,
        log.records.map((record) => this.decoded(record)),
      );
      finals.push(...clean.alerts);
      const words = {
        alerts: clean.alerts.map((alert) =>
          codec.encode('tracehound.pipeline.v1.CorrelationAlert', alert).toString('base64'),
        ),
        late: clean.late.map((late) => codec.encode('tracehound.pipeline.v1.LateEvent', late).toString('base64')),
      };
      for (const lane of ['alerts', 'late'] as const) {
        wanted[lane].push(...words[lane]);
        problems.push(...this.orderProblems(lane, words[lane]));
      }
      const live = this.instances.findLast(({ partition }) => partition === log.partition)?.engine?.counters();
      if (!isTallied(live)) problems.push('E3 the counters of the live owner do not add up');
      if (!log.isCountedAnew && JSON.stringify(live) !== JSON.stringify(engine.counters()))
        problems.push('E3 counters of the live owner');
      this.count('chained', engine.counters().chained);
    }
    for (const lane of ['alerts', 'late'] as const) problems.push(...this.contentProblems(lane, wanted[lane]));
    if (finalLines(finals).join() !== oracleLines(this.world, this.arrival).join()) problems.push('E2 finals');
    return problems;
  }

  private cleanEngine(partition: number): PartitionEngine {
    return createPartitionEngine({
      ...configOf(this.world),
      partition,
      chains: 'effects',
      chainSources: this.partitions.map((log) => ({
        topic: TOPIC,
        topic_id: MATCHES_ID,
        partition: log.partition,
      })),
    });
  }

  private decoded({ value }: KafkaRecord): MatchBatch {
    const decoded = (this.codec as AvroCodec).decode(value as Buffer); // Encoded here, by a codec that is prepared.
    return (decoded as { readonly value: MatchBatch }).value;
  }

  private firstSeen(lane: OutboxRecord['lane']): readonly string[] {
    const seen = this.emitted.filter((record) => record.lane === lane);
    return [...new Set(seen.map(({ value }) => value.toString('base64')))];
  }

  private contentProblems(lane: OutboxRecord['lane'], wanted: readonly string[]): string[] {
    const first = this.firstSeen(lane);
    const lost = wanted.filter((value) => !first.includes(value)).length;
    const extra = first.filter((value) => !wanted.includes(value)).length;
    return lost + extra > 0 ? [`E1 ${lane}: ${lost} lost, ${extra} extra`] : [];
  }

  /** Records of one partition, by their first occurrence. */
  private orderProblems(lane: OutboxRecord['lane'], wanted: readonly string[]): string[] {
    const own = new Set(wanted);
    const first = this.firstSeen(lane).filter((value) => own.has(value));
    const isInOrder = first.join() === [...own].filter((value) => first.includes(value)).join();
    return isInOrder ? [] : [`E1 ${lane}: order of first occurrences`];
  }

  private count(kind: string, by = 1): void {
    this.chaos[kind] = (this.chaos[kind] ?? 0) + by;
  }

  private result(problems: readonly string[]): SimulationResult {
    return { problems: problems.map((problem) => `seed ${this.options.seed}: ${problem}`), chaos: this.chaos };
  }
}

/** E3: every hit has had one fate. */
function isTallied(counters: ReturnType<WindowEngine['counters']> | undefined): boolean {
  if (counters === undefined) return false;
  const { seen, applied, duplicate_id, duplicate_mark, late } = counters;
  return seen === applied + duplicate_id + duplicate_mark + late;
}

/** Worlds make their rules without files. */
class WorldBook extends RuleBook {
  private readonly rules: RuleSetCompiled;

  constructor(rules: RuleSetCompiled) {
    super();
    this.rules = rules;
    this.addRuleSet({ ruleset_id: rules.rulesetId, files: rules.files });
  }

  override compiled(): RuleSetCompiled {
    return this.rules;
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

function isUnread({ waiting, visible, records }: PartitionLog): boolean {
  return waiting.length > 0 || visible < records.length;
}
