import type { CorrelationAlert, LateEvent, Match, MatchBatch } from '@tracehound/event-model';
import type { RuleSetCompiled } from '@tracehound/sigma';
import type { CounterName } from './counters.ts';
import type { FinalFacts } from './final-facts.ts';
import type { DirtyGroup } from './group-table.ts';
import type { Breaker, EngineLimits } from './limits.ts';
import type { LogMark } from './log-reach.ts';
import type { EngineMemory } from './memory.ts';
import type { StateVersion } from './state-version.ts';
import type { RuleUsage } from './usage.ts';

/** One partition of the source topics, as an activation lists it. */
export type SourceRef = { readonly topic: string; readonly topic_id: string; readonly partition: number };

export type PartitionEngineConfig = {
  readonly clusterId: string;
  /** Partition of `security.matches` that this engine is the state of. */
  readonly partition: number;
  /** A rule set by its content hash; undefined when it has not been read yet (the batch is then refused, retriable). */
  readonly ruleSet: (rulesetId: string) => RuleSetCompiled | undefined;
  /** The source list of an activation by its version: the watermark is the minimum over exactly these (X4). */
  readonly sources: (sourcesVersion: number) => readonly SourceRef[] | undefined;
  /**
   * Where the hits of inner correlations go (X11). `internal` (default): applied at once, right when all groups live in this
   * engine. `effects`: handed out, to be produced to `security.matches`; they come back in batches of `depth` > 0.
   */
  readonly chains?: 'internal' | 'effects';
  /** With `effects`: the partitions of `security.matches`; the watermark of a depth is the least of what they claim. */
  readonly chainSources?: readonly SourceRef[];
  /** `finals`: no opens, updates, ends and supersedes; cheaper, for readers of recordings. Default `all`. */
  readonly speak?: 'all' | 'finals';
  /**
   * The limits of an activation (X7): those of the one that a batch names hold after that batch. Undefined when it has not been
   * read yet (the batch is then refused, retriable). Default: `ENGINE_LIMITS`, always.
   */
  readonly limits?: (activationId: string) => EngineLimits | undefined;
  /**
   * What is held in which form. A bound on packed groups holds with chains as `effects` only: hits that are applied at once could
   * be for any group. Default: `ENGINE_MEMORY`.
   */
  readonly memory?: Partial<EngineMemory>;
  /** How group blobs are written, so that the release before can take over; default: `STATE_VERSION`. Both are read, always. */
  readonly stateVersion?: StateVersion;
  /** The breakers of an activation whose limits are known. Default: none. */
  readonly breakers?: (activationId: string) => readonly Breaker[];
};

/** A hit of an inner correlation, for one step of one outer correlation: a match of `depth` (X11). */
export type ChainMatch = {
  readonly depth: number;
  readonly rulesetId: string;
  readonly match: Match;
};

/** What the shell must make durable, in this order. */
export type Effect =
  | { readonly kind: 'alert'; readonly alert: CorrelationAlert; readonly final?: FinalFacts }
  | { readonly kind: 'late'; readonly late: LateEvent }
  | { readonly kind: 'chain'; readonly chain: ChainMatch };

export type ApplyOptions = {
  /**
   * While rebuilding from the middle of the log (X12): stale copies may make gaps that are none. The caller mutes
   * effects of offsets below the base and turns this off from the base on.
   */
  readonly rebuilding?: boolean;
};

/**
 * The state of one matches partition. Pure: a function of the batches applied, in the order of their offsets.
 * Memory is bounded by the rules: per live group a few times the threshold (X10.15), and by `groupsMax` and `bytesMax`.
 */
export type PartitionEngine = {
  /**
   * Applies one record of the matches log: its matches first, then its watermark (X4).
   * Not idempotent: each offset once, in order; copies of a batch at another offset are recognised (X5).
   * @throws CorrelationError before any change, when a batch is missing or a rule set or source list is unknown.
   */
  apply(batch: MatchBatch, matchesOffset: number, options?: ApplyOptions): readonly Effect[];
  /**
   * Keeps to the bound on packed groups, then says which cold groups the batches need. What the store has of them must be given to
   * `bring` before the first of the batches is applied, and no other `need` may come between.
   * @throws CorrelationError when a rule set is unknown; nothing has changed then.
   */
  need(batches: readonly MatchBatch[]): readonly string[];
  /** Groups as the store has them; those that nobody asked for are passed over. */
  bring(blobs: Iterable<Uint8Array>): void;
  /** Groups whose state only the store has. */
  readonly coldGroups: number;
  /** Groups that were loaded in another version than is written; every `takeDirty` gives some of them, until none is left. */
  readonly otherVersionGroups: number;
  readonly watermarkMs: number;
  /** Watermark per chain depth; up to these all chain hits have been handed out (X11). */
  readonly depthWatermarks: readonly number[];
  /**
   * With `effects`: what may be claimed towards depth 1, 2, …: no chain hit below it is still to be handed out. Empty while no
   * rule stands on another; never lower than before.
   */
  chainClaims(): readonly number[];
  /** Up to where the records of a source have been applied; undefined before its first. */
  markOf(source: Omit<SourceRef, 'topic'>, depth: number): number | undefined;
  /**
   * With `effects`: the log behind the mark alone gives an engine that is the same from now on, but for its counters (X12). Null:
   * all of the log is needed, or how much cannot be told; so it is with `expect`, and for state that the release before has written.
   */
  rebuildFrom(): LogMark | null;
  /** Before the first record: the log will be read from the mark on, of which `rebuildFrom` said so. */
  beginAt(mark: LogMark): void;
  /** Offset of the next record to apply; -1 before the first. */
  readonly nextOffset: number;
  readonly liveGroups: number;
  /** Sources of the list in force that have not spoken yet, or hold the watermark back: for readiness and alarms. */
  sourceClaims(): readonly (SourceRef & { readonly watermarkMs: number })[];
  /** Part of the state: seen = applied + duplicate_id + duplicate_mark + late (E3). */
  counters(): Readonly<Record<CounterName, number>>;
  /** What each correlation takes in each organization, for gauges. Costs a look at every rule and organization. */
  usage(): readonly RuleUsage[];
  readonly dirtyCount: number;
  /** Groups changed since the last call, and some of another version, in any order. The shell writes them together with `metaBlob()`, or reloads. */
  takeDirty(): readonly DirtyGroup[];
  metaBlob(): Uint8Array;
  /** Replaces the whole state with what was written. The order of the groups does not matter. */
  load(meta: Uint8Array, groups: Iterable<readonly [groupId: string, blob: Uint8Array]>): void;
  /** Further groups of the state that `load` began with, before anything is applied; one that is known already is passed over. */
  loadMore(groups: Iterable<readonly [groupId: string, blob: Uint8Array]>): void;
};
