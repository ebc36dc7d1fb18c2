import type { CorrelationRule } from '@tracehound/sigma';
import type { WindowRule } from '../window-rule.ts';
import type { BlockPool } from './block-pool.ts';
import type { GroupIndex } from './group-index.ts';
import type { QueuedHit } from './hit-queue.ts';

/** The groups of one correlation in one organization (X13). */
export type StreamLine = {
  readonly rule: CorrelationRule;
  readonly window: WindowRule;
  /** Times of groups are kept as distances to it: small integers, without an object of their own. */
  readonly baseMs: number;
  readonly organization: string;
  readonly index: GroupIndex<StreamGroup>;
  /** By length of the block. */
  readonly pools: Map<number, BlockPool>;
  /** -Infinity for each step, or place of the chain: where groups begin. */
  readonly never: readonly number[];
  /** event_count: what the instant in work has made true; one group is in work at a time. */
  readonly instant: { fresh: number; mark: CountMark | null };
  /** Evidence had to be dropped (X14). */
  readonly dropped: (group: StreamGroup, range: { readonly fromMs: number; readonly toMs: number }) => void;
};

/** The first N hits of a window that has become true, and the events it counts. */
export type CountMark = {
  readonly ids: readonly string[];
  readonly firstAtMs: number;
  readonly atMs: number;
  count: number;
};

/** What is known of an episode at its left end (X10.5, X10.6). */
export type LeftEnd = {
  /** Evidence, sorted, each once. */
  readonly eventIds: readonly string[];
  readonly firstAtMs: number;
  /** Time of the trigger: the newest of the evidence. */
  readonly atMs: number;
  /** What is counted from one span before the left end to it (semantics section 9). */
  readonly count: number;
};

/** An episode that is not final yet. */
export class StreamEpisode {
  readonly group: StreamGroup;
  readonly fromMs: number;
  readonly left: LeftEnd;
  /** First ms of the next frame: it cuts the episode. */
  readonly frameEndMs: number;
  /** The condition is known to hold until then, without further hits. */
  truthToMs: number;
  count: number;
  /** Owned by the heap of what is due. */
  dueMs = 0;
  heapIndex = -1;

  constructor(group: StreamGroup, left: LeftEnd, fromMs: number) {
    const { frameMs } = group.line.window;
    this.group = group;
    this.fromMs = fromMs;
    this.left = left;
    this.frameEndMs = (Math.floor(fromMs / frameMs) + 1) * frameMs;
    this.truthToMs = fromMs;
    this.count = left.count;
  }

  /** Right end of the last truth so far, within the frame. */
  get lastAtMs(): number {
    return this.truthToMs < this.frameEndMs ? this.truthToMs : this.frameEndMs - 1;
  }

  /** The truth goes on into the next frame, where an episode of its own begins. */
  get isCut(): boolean {
    return this.truthToMs >= this.frameEndMs;
  }
}

/**
 * State of one group that sees its hits once, in total order: only what the next hits can still need. Hits of one instant are
 * taken together; truth is asked for once all of them are in.
 */
export abstract class StreamGroup {
  readonly line: StreamLine;
  readonly key: string;
  /** The next group of the same key, of another rule. Owned by the index. */
  sibling: StreamGroup | null = null;
  /** Tells groups apart where hits of one instant are sorted; -1 once let go: hits that still wait for it are dropped. */
  ordinal: number;
  /** Newest time of a hit, those that wait included, from the line's base on. */
  private newest: number;
  episode: StreamEpisode | null = null;
  /** How far it has come, hits that wait included: who is let go first (X14). */
  progress = 0;

  constructor(line: StreamLine, key: string, ordinal: number, timeMs: number) {
    this.line = line;
    this.key = key;
    this.ordinal = ordinal;
    this.newest = timeMs - line.baseMs;
  }

  get newestMs(): number {
    return this.newest + this.line.baseMs;
  }

  get isDead(): boolean {
    return this.ordinal < 0;
  }

  /** A hit arrives, in any order. */
  arrive(timeMs: number, step: number): void {
    const time = timeMs - this.line.baseMs;
    if (time > this.newest) this.newest = time;
    this.advanceBy(step);
  }

  protected advanceBy(_step: number): void {
    this.progress++;
  }

  /** The next hit in total order; false for a copy (X6). */
  abstract take(hit: QueuedHit<StreamGroup>): boolean;
  /** All hits of the instant are in: the greatest m so that the hits from m on meet the condition; -Infinity without one. */
  abstract settle(timeMs: number): number;
  /** Distinct events of the instant that episodes count. */
  abstract readonly fresh: number;
  /** Evidence and count at a left end: the instant just taken, or the start of a frame without hits. */
  abstract leftEnd(timeMs: number): LeftEnd;
  /** The instant is over. */
  abstract endInstant(): void;
  /** The group is let go. */
  abstract release(): void;
}

const SMALL_LIST = 4;

/** The list with the item at its end. Most groups keep a few: an array that grows by itself would take room for 17 at once. */
export function grown<Item>(list: Item[], item: Item): Item[] {
  if (list.length < SMALL_LIST) return [...list, item];
  list.push(item);
  return list;
}
