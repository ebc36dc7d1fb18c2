import type { CorrelationRule } from '@tracehound/sigma';
import { DueHeap } from '../due-heap.ts';
import { compareText } from '../hit.ts';
import { SHORT_CHAIN_MAX } from '../kept-steps.ts';
import { STATE_PRESSURE } from '../limits.ts';
import type { Instance } from '../live-group.ts';
import type { OfflineGap } from '../offline-gap.ts';
import type { WindowRule } from '../window-rule.ts';
import type { BlockPool } from './block-pool.ts';
import { CountGroup } from './count-group.ts';
import { GroupIndex } from './group-index.ts';
import { type HitOrigin, HitQueue, type QueuedHit } from './hit-queue.ts';
import { OrderedGroup, TemporalGroup } from './step-group.ts';
import { StreamEpisode, type StreamGroup, type StreamLine } from './stream-group.ts';
import { STREAMED_VALUES_MAX, ValueGroup } from './value-group.ts';

/**
 * Whether a rule can be fed in total order and speak finals only. Left to the general windows: what others stand on, sums,
 * episodes cut by `suppress`, gaps and long chains, which need more of the past than a few hits.
 */
export function isStreamed({ window, isInner, depth, rule }: Instance): boolean {
  if (window === null || isInner || depth > 0 || !rule.emitsAlert || window.suppressMs !== null) return false;
  switch (window.type) {
    case 'event_count':
    case 'temporal':
      return true;
    case 'value_count':
      return window.threshold <= STREAMED_VALUES_MAX;
    case 'temporal_ordered':
      return window.gapMs === Number.POSITIVE_INFINITY && window.chain.length <= SHORT_CHAIN_MAX;
    case 'value_sum':
      return false;
  }
}

/** An episode that is over. */
export type StreamFinal = {
  readonly group: StreamGroup;
  readonly episode: StreamEpisode;
  /** The time that the watermark had to pass. */
  readonly dueMs: number;
};

export type StreamsConfig = {
  readonly bytesMax: number;
  readonly final: (final: StreamFinal) => void;
  readonly gap: (gap: OfflineGap) => void;
  readonly counters: { applied: number; duplicate_id: number; degraded: number; evicted: number };
};

/** One streamed rule: its groups by organization. */
export type StreamRule = {
  readonly rule: CorrelationRule;
  readonly window: WindowRule;
  readonly lines: Map<string, StreamLine>;
  last: StreamLine | null;
};

export type StreamHit = {
  readonly timeMs: number;
  readonly id: string;
  readonly step: number;
  readonly value: string | null;
  readonly origin: HitOrigin | null;
};

/** Parts of a span after which groups that nothing can wake are let go. */
const SWEEPS_PER_SPAN = 4;
/** What a group and a hit take in memory, estimated. */
const GROUP_BYTES = 240;
const HIT_BYTES = 96;
/** Part of the limit that is made free at once. */
const FREED_PART = 1 / 8;

/**
 * The groups of streamed rules. Hits wait until the watermark has passed them; then every group sees its own in total
 * order, so there is no out-of-order case below this queue.
 */
export class Streams {
  private readonly config: StreamsConfig;
  private readonly queue = new HitQueue<StreamGroup>();
  private readonly due = new DueHeap<StreamEpisode>();
  private readonly pools = new Map<number, BlockPool>();
  /** By organization and group-by. */
  private readonly indexes = new Map<string, GroupIndex<StreamGroup>>();
  private readonly instant: QueuedHit<StreamGroup>[] = [];
  private ordinals = 0;
  private firmMs = Number.NEGATIVE_INFINITY;
  /** Everything before it has been taken: the watermark, or more when too many hits waited for it. */
  private takenMs = Number.NEGATIVE_INFINITY;
  /** Watermark at which idle groups of some index are let go next. */
  private sweepMs = Number.NEGATIVE_INFINITY;
  /** Live groups. */
  size = 0;

  constructor(config: StreamsConfig) {
    this.config = config;
  }

  createRule(rule: CorrelationRule, window: WindowRule): StreamRule {
    return { rule, window, lines: new Map(), last: null };
  }

  add(streamed: StreamRule, organization: string, groupKey: string, hit: StreamHit): void {
    let line = streamed.last;
    if (line === null || line.organization !== organization) {
      line = streamed.lines.get(organization) ?? this.addLine(streamed, organization, hit.timeMs);
      streamed.last = line;
    }
    if (hit.timeMs < this.takenMs) {
      const reason = hit.timeMs < this.firmMs ? 'below_watermark' : 'pending_hits_max';
      this.lose(line, groupKey, { fromMs: hit.timeMs, toMs: hit.timeMs, reason });
      return;
    }
    let group = line.index.find(line, groupKey);
    if (group === undefined) {
      group = this.createGroup(line, groupKey, hit.timeMs);
      line.index.add(group);
      this.size++;
    }
    group.arrive(hit.timeMs, hit.step);
    this.queue.add(group, hit);
  }

  /** Speaks what is firm at the watermark. */
  advance(watermarkMs: number): void {
    if (watermarkMs <= this.firmMs) return;
    this.firmMs = watermarkMs;
    if (watermarkMs > this.takenMs) this.takenMs = watermarkMs;
    while (this.queue.nextMs < watermarkMs) this.takeInstant();
    if (this.due.nextMs <= watermarkMs) {
      for (const { group } of this.due.popThrough(watermarkMs)) this.pass(group, watermarkMs);
    }
    if (this.sweepMs <= watermarkMs) this.sweep(watermarkMs);
  }

  private takeInstant(): void {
    const { instant } = this;
    const count = this.queue.takeInstant(instant);
    if (count > 1) sortInstant(instant, count);
    for (let from = 0; from < count; ) {
      const { group } = instant[from] as QueuedHit<StreamGroup>;
      let to = from + 1;
      while (to < count && (instant[to] as QueuedHit<StreamGroup>).group === group) to++;
      if (!group.isDead) this.takeHits(group, from, to);
      from = to;
    }
  }

  /** All hits of a group at one instant. */
  private takeHits(group: StreamGroup, from: number, to: number): void {
    const { timeMs } = this.instant[from] as QueuedHit<StreamGroup>;
    const { counters } = this.config;
    if (group.episode !== null) this.pass(group, timeMs);
    for (let index = from; index < to; index++) {
      if (group.take(this.instant[index] as QueuedHit<StreamGroup>)) counters.applied++;
      else counters.duplicate_id++;
    }
    const { spanMs } = group.line.window;
    const truthToMs = group.settle(timeMs) + spanMs;
    const { episode } = group;
    if (truthToMs < timeMs) {
      if (episode !== null) episode.count += group.fresh;
    } else if (episode !== null && timeMs < episode.frameEndMs) {
      episode.count += group.fresh;
      episode.truthToMs = truthToMs;
      this.schedule(episode);
    } else {
      if (episode !== null) this.close(episode, timeMs);
      this.begin(group, timeMs, truthToMs);
    }
    group.endInstant();
  }

  /** Everything before the time has been taken: what is over ends, and what a frame cuts goes on in the next. */
  private pass(group: StreamGroup, timeMs: number): void {
    let { episode } = group;
    if (episode === null) return;
    const { frameEndMs, truthToMs } = episode;
    if (episode.isCut && timeMs > frameEndMs) {
      this.close(episode, frameEndMs);
      this.begin(group, frameEndMs, truthToMs);
      episode = group.episode as unknown as StreamEpisode;
    }
    if (!episode.isCut && episode.lastAtMs + group.line.window.spanMs < timeMs) this.close(episode, null);
    else this.schedule(episode);
  }

  private begin(group: StreamGroup, fromMs: number, truthToMs: number): void {
    const episode = new StreamEpisode(group, group.leftEnd(fromMs), fromMs);
    episode.truthToMs = truthToMs;
    group.episode = episode;
    this.schedule(episode);
  }

  private close(episode: StreamEpisode, nextFromMs: number | null): void {
    const { group } = episode;
    group.episode = null;
    this.due.remove(episode);
    const overMs = episode.lastAtMs + group.line.window.spanMs;
    const dueMs = nextFromMs !== null && nextFromMs < overMs ? nextFromMs : overMs;
    this.config.final({ group, episode, dueMs });
  }

  private schedule(episode: StreamEpisode): void {
    const { spanMs } = episode.group.line.window;
    this.due.schedule(episode, (episode.isCut ? episode.frameEndMs : episode.lastAtMs + spanMs) + 1);
  }

  /** Groups that nothing can wake any more are let go, a few times per span. */
  private sweep(watermarkMs: number): void {
    this.sweepMs = Number.POSITIVE_INFINITY;
    const visit = (group: StreamGroup): void => {
      if (group.episode === null && group.newestMs + group.line.window.spanMs < watermarkMs) this.remove(group);
    };
    for (const index of this.indexes.values()) {
      if (index.sweepMs <= watermarkMs) {
        index.sweepMs = watermarkMs + index.spanMs / SWEEPS_PER_SPAN;
        index.forEach(visit);
      }
      this.sweepMs = Math.min(this.sweepMs, index.sweepMs);
    }
  }

  private remove(group: StreamGroup): void {
    group.line.index.remove(group);
    group.ordinal = -1;
    if (group.episode !== null) this.due.remove(group.episode);
    group.release();
    this.size--;
  }

  private addLine({ rule, window, lines }: StreamRule, organization: string, timeMs: number): StreamLine {
    const line: StreamLine = {
      rule,
      window,
      organization,
      index: this.indexOf(rule, organization, window.spanMs),
      pools: this.pools,
      baseMs: timeMs,
      never: Array.from({ length: Math.max(window.steps, window.chain.length) }, () => Number.NEGATIVE_INFINITY),
      instant: { fresh: 0, mark: null },
      dropped: (group, range) => this.lose(group.line, group.key, { ...range, reason: 'value_hits_max' }),
    };
    lines.set(organization, line);
    return line;
  }

  private indexOf({ groupBy }: CorrelationRule, organization: string, spanMs: number): GroupIndex<StreamGroup> {
    const key = JSON.stringify([organization, groupBy]);
    let index = this.indexes.get(key);
    if (!index) {
      index = new GroupIndex<StreamGroup>();
      this.indexes.set(key, index);
      this.sweepMs = index.sweepMs;
    }
    index.spanMs = Math.min(index.spanMs, spanMs);
    return index;
  }

  private createGroup(line: StreamLine, key: string, timeMs: number): StreamGroup {
    const ordinal = this.ordinals++;
    switch (line.window.type) {
      case 'value_count':
        return new ValueGroup(line, key, ordinal, timeMs);
      case 'temporal':
        return new TemporalGroup(line, key, ordinal, timeMs);
      case 'temporal_ordered':
        return new OrderedGroup(line, key, ordinal, timeMs);
      default:
        return new CountGroup(line, key, ordinal, timeMs);
    }
  }

  private lose(
    { rule, organization }: StreamLine,
    groupKey: string | null,
    range: { readonly fromMs: number; readonly toMs: number; readonly reason: string },
  ): void {
    this.config.counters.degraded++;
    this.config.gap({ rule, organization, groupKey, ...range });
  }

  /**
   * X14: when there are too many groups, those with the fewest steps go first, then the stalest. When too many hits wait, the
   * earliest are taken before the watermark has passed them: exact unless an earlier one still arrives, which then is said.
   */
  keepLimits(groupsMax: number): void {
    const { bytesMax } = this.config;
    const groupBytes = this.size * (GROUP_BYTES + 2 * HIT_BYTES);
    const queueBytesMax = Math.max(bytesMax - groupBytes, bytesMax * FREED_PART);
    while (this.queue.size * HIT_BYTES > queueBytesMax) {
      this.takeInstant();
      this.takenMs = Math.max(this.takenMs, this.queue.nextMs);
    }
    if (this.size > groupsMax) this.evict(this.size - Math.floor(groupsMax * (1 - FREED_PART)));
    else if (groupBytes > bytesMax) this.evict(Math.ceil(this.size * FREED_PART));
  }

  private evict(count: number): void {
    const candidates: StreamGroup[] = [];
    for (const index of this.indexes.values()) index.forEach((group) => candidates.push(group));
    candidates.sort(compareProgress);
    const ranges = new Map<StreamLine, { fromMs: number; toMs: number }>();
    for (const group of candidates.slice(0, count)) {
      const { line, newestMs } = group;
      const range = ranges.get(line) ?? { fromMs: newestMs, toMs: newestMs };
      range.fromMs = Math.min(range.fromMs, newestMs - line.window.spanMs);
      range.toMs = Math.max(range.toMs, newestMs + line.window.spanMs);
      ranges.set(line, range);
      this.config.counters.evicted++;
      this.remove(group);
    }
    for (const [line, range] of ranges) this.lose(line, null, { ...range, reason: STATE_PRESSURE });
  }
}

/** An open episode is worth more than any number of steps. */
function compareProgress(a: StreamGroup, b: StreamGroup): number {
  return (
    Number(a.episode !== null) - Number(b.episode !== null) ||
    a.progress - b.progress ||
    a.newestMs - b.newestMs ||
    compareText(a.key, b.key)
  );
}

const FEW = 16;

/** By group, then in total order. */
function sortInstant(hits: QueuedHit<StreamGroup>[], count: number): void {
  if (count > FEW) {
    const sorted = hits.slice(0, count).sort(compareQueued);
    for (let index = 0; index < count; index++) hits[index] = sorted[index] as QueuedHit<StreamGroup>;
    return;
  }
  for (let index = 1; index < count; index++) {
    const hit = hits[index] as QueuedHit<StreamGroup>;
    let at = index;
    for (; at > 0 && compareQueued(hits[at - 1] as QueuedHit<StreamGroup>, hit) > 0; at--)
      hits[at] = hits[at - 1] as QueuedHit<StreamGroup>;
    hits[at] = hit;
  }
}

function compareQueued(a: QueuedHit<StreamGroup>, b: QueuedHit<StreamGroup>): number {
  return (
    a.group.ordinal - b.group.ordinal ||
    compareText(a.id, b.id) ||
    a.step - b.step ||
    compareText(a.value ?? '', b.value ?? '')
  );
}
