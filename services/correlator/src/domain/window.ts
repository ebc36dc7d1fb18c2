import type { AvroCodec } from '@tracehound/avro';
import {
  type Breaker,
  breakersOf,
  type PartitionEngine as CorrelationEngine,
  CorrelationError,
  createPartitionEngine,
  type Effect,
  type EngineLimits,
  type EngineMemory,
  engineLimitsOf,
  type SourceRef,
  type StateVersion,
} from '@tracehound/correlation';
import { InvariantError, invariant, type RuleActivation } from '@tracehound/event-model';
import { OwnershipLostError } from '../errors.ts';
import type { GroupPage, OutboxRecord } from '../ports.ts';
import { ChainLane } from './chain-lane.ts';
import { safeOffset } from './covered-range.ts';
import { isOnTrial } from './on-trial.ts';
import type { OpenEngine, PartitionEngine } from './partition-owner.ts';
import { partitionOf } from './route.ts';
import type { RuleBook } from './rule-book.ts';

/** The engine of a held partition, plus what gauges and readiness ask of it. */
export type WindowEngine = PartitionEngine &
  Pick<CorrelationEngine, 'counters' | 'sourceClaims' | 'liveGroups' | 'coldGroups' | 'otherVersionGroups' | 'usage'>;

export type WindowDeps = {
  readonly partition: number;
  /** security.matches: where hits of inner correlations go, and come from (X11). */
  readonly matches: { readonly topic: string; readonly topicId: string; readonly partitions: number };
  readonly clusterId: string;
  readonly codec: Pick<AvroCodec, 'encode'>;
  /** How much of the state is in memory; no result depends on it. */
  readonly memory?: Partial<EngineMemory>;
  /** How group blobs are written; default: as this release does. */
  readonly stateVersion?: StateVersion;
  readonly book: RuleBook;
  /** Reads the rule topics on; for state whose rule set this process has not seen yet. */
  readonly refreshRules: () => Promise<void>;
  readonly onOpened?: (engine: WindowEngine) => void;
};

/**
 * Joins the pure engine of `@tracehound/correlation` (deduplicate, window, evaluate) to the outbox: every effect is
 * encoded at once, so that the bytes of an alert are fixed by the flush that holds it (E1).
 */
export function createOpenEngine(deps: WindowDeps): OpenEngine {
  return async function openEngine({ meta, groups, groupCount, rebuildFrom }) {
    const engine = createPartitionEngine({
      clusterId: deps.clusterId,
      partition: deps.partition,
      ruleSet: (rulesetId) => (deps.book.has(rulesetId) ? deps.book.compiled(rulesetId) : undefined),
      sources: (version) => deps.book.activations.sourcesOf(version),
      chains: 'effects',
      ...(deps.memory ? { memory: deps.memory } : {}),
      ...(deps.stateVersion ? { stateVersion: deps.stateVersion } : {}),
      chainSources: chainSources(deps.matches),
      limits: (activationId) => termsOf(deps.book, activationId)?.limits,
      breakers: (activationId) => termsOf(deps.book, activationId)?.breakers ?? [],
    });
    if (meta !== null) await loadState(engine, deps, { meta, groups, groupCount });
    else if (rebuildFrom !== null) engine.beginAt(rebuildFrom);
    const window = windowEngine(engine, deps);
    deps.onOpened?.(window);
    return window;
  };
}

function chainSources({ topic, topicId, partitions }: WindowDeps['matches']): readonly SourceRef[] {
  return Array.from({ length: partitions }, (_, partition) => ({ topic, topic_id: topicId, partition }));
}

/** One object per activation: the engine looks at all rules again when it is given another. */
const termsByActivation = new WeakMap<RuleActivation, Terms>();

type Terms = { readonly limits: EngineLimits; readonly breakers: readonly Breaker[] };

function termsOf({ activations }: RuleBook, activationId: string): Terms | undefined {
  const activation = activations.byId(activationId)?.activation;
  if (activation === undefined) return undefined;
  let terms = termsByActivation.get(activation);
  if (terms === undefined) {
    terms = { limits: engineLimitsOf(activation), breakers: breakersOf(activation) };
    termsByActivation.set(activation, terms);
  }
  return terms;
}

/** Page by page: a million blobs are never held at once. An engine that was loaded in part is forgotten by the error. */
async function loadState(
  engine: CorrelationEngine,
  deps: WindowDeps,
  state: { readonly meta: Buffer; readonly groups: AsyncIterable<GroupPage>; readonly groupCount: number },
): Promise<void> {
  await deps.refreshRules();
  try {
    engine.load(state.meta, []);
    for await (const page of state.groups) engine.loadMore(page);
    // Fewer than the meta counted: the store lost some between the two reads, or another owner came between.
    if (engine.liveGroups !== state.groupCount) throw new OwnershipLostError(deps.partition, 'partial');
  } catch (error) {
    throw stopping(error);
  }
}

function windowEngine(engine: CorrelationEngine, deps: WindowDeps): WindowEngine {
  const { codec, matches, clusterId, partition } = deps;
  const lane = new ChainLane({
    clusterId,
    source: { topic: matches.topic, topicId: matches.topicId, partition },
    targets: matches.partitions,
    targetOf: ({ rulesetId, match }) => {
      const rule = deps.book.compiled(rulesetId).correlations[match.rule];
      invariant(rule !== undefined, 'a chain hit names no rule of its set', { rule: match.rule });
      return partitionOf({ rule, organization: match.organization_id, groupKey: match.group_key }, matches.partitions);
    },
    engine,
  });
  return {
    apply(record, { rebuilding }) {
      const offset = safeOffset(record.offset);
      try {
        const effects = engine.apply(record.batch, offset, { rebuilding });
        lane.applied(record.batch);
        if (effects.length === 0) return NOTHING;
        const records: OutboxRecord[] = [];
        for (const effect of effects) {
          if (effect.kind !== 'chain') records.push(outboxRecord(effect, codec));
          else if (!rebuilding) lane.add(offset, effect.chain);
        }
        return records;
      } catch (error) {
        throw stopping(error);
      }
    },
    need(records) {
      try {
        return engine.need(records.map(({ batch }) => batch));
      } catch (error) {
        throw stopping(error);
      }
    },
    bring: (blobs) => engine.bring(blobs),
    chainCount: () => lane.size,
    takeChained: (next) =>
      lane.take(safeOffset(next)).map(({ target, batch }) => ({
        lane: 'chain',
        key: String(target),
        value: codec.encode('tracehound.pipeline.v1.MatchBatch', batch),
      })),
    dirtyCount: () => engine.dirtyCount,
    takeDirty: () => engine.takeDirty().map(({ groupId, blob }) => [groupId, bufferOf(blob)]),
    meta: () => Buffer.from(engine.metaBlob()),
    rebuildFrom: () => engine.rebuildFrom(),
    counters: () => engine.counters(),
    sourceClaims: () => engine.sourceClaims(),
    usage: () => engine.usage(),
    get liveGroups() {
      return engine.liveGroups;
    },
    get coldGroups() {
      return engine.coldGroups;
    },
    get otherVersionGroups() {
      return engine.otherVersionGroups;
    },
  };
}

/** The same bytes: what the engine hands out it does not touch again. */
function bufferOf(blob: Uint8Array | null): Buffer | null {
  if (blob === null || Buffer.isBuffer(blob)) return blob;
  return Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
}

const NOTHING: readonly OutboxRecord[] = [];

function outboxRecord(effect: Exclude<Effect, { kind: 'chain' }>, codec: Pick<AvroCodec, 'encode'>): OutboxRecord {
  if (effect.kind === 'alert') {
    const { alert } = effect;
    const value = codec.encode('tracehound.pipeline.v1.CorrelationAlert', alert);
    const lane = isOnTrial(alert.rule) ? 'shadow' : 'alerts';
    return { lane, key: `${alert.organization_id}|${alert.alert_id}`, value };
  }
  const { late } = effect;
  const value = codec.encode('tracehound.pipeline.v1.LateEvent', late);
  return { lane: 'late', key: `${late.organization_id}|${late.event_id}`, value };
}

/** What the engine says cannot go on must stop the consumer, which only an `InvariantError` does. */
function stopping(error: unknown): unknown {
  if (!(error instanceof CorrelationError) || error.category !== 'invariant') return error;
  const stop = new InvariantError(error.message, { ...error.fields, engineCode: error.code });
  stop.cause = error;
  return stop;
}
