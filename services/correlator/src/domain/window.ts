import type { AvroCodec } from '@tracehound/avro';
import {
  type Breaker,
  breakersOf,
  type PartitionEngine as CorrelationEngine,
  CorrelationError,
  createPartitionEngine,
  type Effect,
  type EngineLimits,
  engineLimitsOf,
} from '@tracehound/correlation';
import { InvariantError, type RuleActivation } from '@tracehound/event-model';
import { OwnershipLostError } from '../errors.ts';
import type { OutboxRecord } from '../ports.ts';
import { safeOffset } from './covered-range.ts';
import type { OpenEngine, PartitionEngine } from './partition-owner.ts';
import type { RuleBook } from './rule-book.ts';

/** The engine of a held partition, plus what gauges and readiness ask of it. */
export type WindowEngine = PartitionEngine &
  Pick<CorrelationEngine, 'counters' | 'sourceClaims' | 'liveGroups' | 'usage'>;

export type WindowDeps = {
  readonly partition: number;
  readonly clusterId: string;
  readonly codec: Pick<AvroCodec, 'encode'>;
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
  return async function openEngine({ meta, groups, groupCount }) {
    const engine = createPartitionEngine({
      clusterId: deps.clusterId,
      partition: deps.partition,
      ruleSet: (rulesetId) => (deps.book.has(rulesetId) ? deps.book.compiled(rulesetId) : undefined),
      sources: (version) => deps.book.activations.sourcesOf(version),
      limits: (activationId) => termsOf(deps.book, activationId)?.limits,
      breakers: (activationId) => termsOf(deps.book, activationId)?.breakers ?? [],
    });
    if (meta !== null) {
      const held = new Map<string, Buffer>();
      for await (const [id, blob] of groups) held.set(id, blob);
      // Fewer than the meta counted: the store lost some between the two reads, or another owner came between.
      if (held.size !== groupCount) throw new OwnershipLostError(deps.partition, 'partial');
      await loadState(engine, { meta, held, refreshRules: deps.refreshRules });
    }
    const window = windowEngine(engine, deps);
    deps.onOpened?.(window);
    return window;
  };
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

async function loadState(
  engine: CorrelationEngine,
  state: {
    readonly meta: Buffer;
    readonly held: ReadonlyMap<string, Buffer>;
    readonly refreshRules: () => Promise<void>;
  },
): Promise<void> {
  await state.refreshRules();
  try {
    engine.load(state.meta, state.held);
  } catch (error) {
    throw stopping(error);
  }
}

function windowEngine(engine: CorrelationEngine, deps: WindowDeps): WindowEngine {
  return {
    apply(record, options) {
      try {
        const effects = engine.apply(record.batch, safeOffset(record.offset), options);
        return effects.length === 0 ? NOTHING : effects.map((effect) => outboxRecord(effect, deps.codec));
      } catch (error) {
        throw stopping(error);
      }
    },
    dirtyCount: () => engine.dirtyCount,
    takeDirty: () =>
      new Map(engine.takeDirty().map(({ groupId, blob }) => [groupId, blob === null ? null : Buffer.from(blob)])),
    meta: () => Buffer.from(engine.metaBlob()),
    counters: () => engine.counters(),
    sourceClaims: () => engine.sourceClaims(),
    usage: () => engine.usage(),
    get liveGroups() {
      return engine.liveGroups;
    },
  };
}

const NOTHING: readonly OutboxRecord[] = [];

function outboxRecord(effect: Effect, codec: Pick<AvroCodec, 'encode'>): OutboxRecord {
  switch (effect.kind) {
    case 'alert': {
      const { alert } = effect;
      const value = codec.encode('tracehound.pipeline.v1.CorrelationAlert', alert);
      return { lane: 'alerts', key: `${alert.organization_id}|${alert.alert_id}`, value };
    }
    case 'late': {
      const { late } = effect;
      const value = codec.encode('tracehound.pipeline.v1.LateEvent', late);
      return { lane: 'late', key: `${late.organization_id}|${late.event_id}`, value };
    }
    case 'chain':
      // Chains are applied inside the engine until the service produces them to `security.matches` (X11).
      throw new InvariantError('a chain hit was handed out', { depth: effect.chain.depth });
  }
}

/** What the engine says cannot go on must stop the consumer, which only an `InvariantError` does. */
function stopping(error: unknown): unknown {
  if (!(error instanceof CorrelationError) || error.category !== 'invariant') return error;
  const stop = new InvariantError(error.message, { ...error.fields, engineCode: error.code });
  stop.cause = error;
  return stop;
}
