import type { StepHit } from '../hit.ts';
import { latestOfPlaces, latestOfSteps } from '../kept-steps.ts';
import { orderedEvidence, startsOfInstant } from '../ordered.ts';
import { latestMatching, temporalEvidence } from '../temporal.ts';
import type { HitOrigin, QueuedHit } from './hit-queue.ts';
import { grown, type LeftEnd, StreamGroup, type StreamLine } from './stream-group.ts';

/** Hits from which on those outside the window are let go; doubled when most are inside. */
const PRUNED_HITS_MIN = 16;
/** Hits from which on those go that no later evidence can name. */
const THINNED_HITS_MIN = 256;
/** Times of events that thinning let go, kept so that counts stay exact: 512 KiB; beyond, a count is a lower bound. */
const LOST_TIMES_MAX = 65_536;

class KeptHit implements StepHit {
  readonly timeMs: number;
  readonly id: string;
  readonly step: number;
  readonly origin: HitOrigin | null;

  constructor(timeMs: number, id: string, step: number, origin: HitOrigin | null) {
    this.timeMs = timeMs;
    this.id = id;
    this.step = step;
    this.origin = origin;
  }

  get instance(): string | null {
    return this.origin === null ? null : this.origin.instance;
  }

  get sequence(): number | null {
    return this.origin === null ? null : this.origin.sequence;
  }
}

/**
 * temporal and temporal_ordered: of every step its latest time, or of every place of the chain the latest start, says in
 * O(steps) what holds. The hits of the window are kept for evidence and counts, thinned under flood.
 */
export abstract class StepGroup extends StreamGroup {
  protected hits: KeptHit[] = [];
  /** Index of the first hit of the instant. */
  protected instantFrom = 0;
  /** An event served several steps. */
  protected isShared = false;
  /** Steps seen, as bits. */
  private seen = 0;
  private keptMax = PRUNED_HITS_MIN;
  private lost: number[] | null = null;
  private lostMax = THINNED_HITS_MIN;
  fresh = 0;

  protected override advanceBy(step: number): void {
    const bit = 1 << (step & 31);
    if ((this.seen & bit) !== 0) return;
    this.seen |= bit;
    this.progress++;
  }

  take({ timeMs, id, step, origin }: QueuedHit<StreamGroup>): boolean {
    const { hits } = this;
    const last = hits.length > this.instantFrom ? hits[hits.length - 1] : undefined;
    if (last === undefined || last.id !== id) this.fresh++;
    else if (last.step === step) return false;
    else this.isShared = true;
    this.hits = grown(hits, new KeptHit(timeMs, id, step, origin));
    return true;
  }

  leftEnd(timeMs: number): LeftEnd {
    const fromMs = timeMs - this.line.window.spanMs;
    const evidence = this.evidence({ fromMs, toMs: timeMs });
    let firstAtMs = Number.POSITIVE_INFINITY;
    let atMs = Number.NEGATIVE_INFINITY;
    const ids = new Set<string>();
    for (const hit of evidence) {
      firstAtMs = Math.min(firstAtMs, hit.timeMs);
      atMs = Math.max(atMs, hit.timeMs);
      ids.add(hit.id);
    }
    return { eventIds: [...ids].sort(), firstAtMs, atMs, count: this.countFrom(fromMs) };
  }

  endInstant(): void {
    this.fresh = 0;
    if (this.hits.length >= this.keptMax) this.prune();
    this.instantFrom = this.hits.length;
  }

  release(): void {
    this.hits = [];
    this.lost = null;
  }

  protected abstract evidence(window: { readonly fromMs: number; readonly toMs: number }): readonly StepHit[];

  protected abstract needed(hits: readonly KeptHit[], nowMs: number): ReadonlySet<KeptHit>;

  /** Distinct events from the time on. */
  private countFrom(fromMs: number): number {
    let count = 0;
    let before: KeptHit | null = null;
    for (const hit of this.hits) {
      if (hit.timeMs >= fromMs && !(before !== null && before.timeMs === hit.timeMs && before.id === hit.id)) count++;
      before = hit;
    }
    for (const timeMs of this.lost ?? NOTHING) if (timeMs >= fromMs) count++;
    return count;
  }

  private prune(): void {
    const nowMs = (this.hits[this.hits.length - 1] as KeptHit).timeMs;
    const fromMs = nowMs - this.line.window.spanMs;
    let first = 0;
    while ((this.hits[first] as KeptHit).timeMs < fromMs) first++;
    if (first > 0) this.hits = this.hits.slice(first);
    if (this.hits.length >= THINNED_HITS_MIN) this.thin(nowMs, fromMs);
    this.keptMax = Math.max(PRUNED_HITS_MIN, 2 * this.hits.length);
  }

  private thin(nowMs: number, fromMs: number): void {
    const needed = this.needed(this.hits, nowMs);
    const kept: KeptHit[] = [];
    this.lost ??= [];
    for (let index = 0; index < this.hits.length; ) {
      const first = this.hits[index] as KeptHit;
      const before = kept.length;
      for (; this.hits[index]?.timeMs === first.timeMs && this.hits[index]?.id === first.id; index++) {
        const hit = this.hits[index] as KeptHit;
        if (needed.has(hit)) kept.push(hit);
      }
      if (kept.length === before) this.lost.push(first.timeMs);
    }
    this.hits = kept;
    if (this.lost.length < this.lostMax) return;
    this.lost = this.lost.filter((timeMs) => timeMs >= fromMs);
    if (this.lost.length > LOST_TIMES_MAX) this.lost = this.lost.slice(LOST_TIMES_MAX / 2);
    this.lostMax = Math.min(LOST_TIMES_MAX + THINNED_HITS_MIN, Math.max(THINNED_HITS_MIN, 2 * this.lost.length));
  }
}

const NOTHING: readonly number[] = [];

export class TemporalGroup extends StepGroup {
  /** Per step. */
  private readonly latest: number[];

  constructor(line: StreamLine, key: string, ordinal: number, timeMs: number) {
    super(line, key, ordinal, timeMs);
    this.latest = line.never.slice();
  }

  settle(timeMs: number): number {
    const { hits, latest } = this;
    const { window } = this.line;
    for (let index = this.instantFrom; index < hits.length; index++) latest[(hits[index] as KeptHit).step] = timeMs;
    if (this.isShared && !window.reuse) return latestMatching(this.latestHits(), window);
    let best = Number.NEGATIVE_INFINITY;
    for (const set of window.sets) {
      let startMs = Number.POSITIVE_INFINITY;
      for (const step of set) startMs = Math.min(startMs, latest[step] as number);
      if (startMs > best) best = startMs;
    }
    return best;
  }

  protected evidence(window: { readonly fromMs: number; readonly toMs: number }): readonly StepHit[] {
    return temporalEvidence(this.hits, this.line.window, window);
  }

  protected needed(hits: readonly KeptHit[], nowMs: number): ReadonlySet<KeptHit> {
    return latestOfSteps(hits, nowMs, this.line.window);
  }

  /** Of every step the latest hits, as many as there are steps, oldest first. */
  private latestHits(): readonly (readonly KeptHit[])[] {
    const { steps } = this.line.window;
    return Array.from({ length: steps }, (_, step) => this.hits.filter((hit) => hit.step === step).slice(-steps));
  }
}

export class OrderedGroup extends StepGroup {
  /** Per place of the chain the latest start of what ends there. */
  private readonly best: number[];

  constructor(line: StreamLine, key: string, ordinal: number, timeMs: number) {
    super(line, key, ordinal, timeMs);
    this.best = line.never.slice();
  }

  settle(timeMs: number): number {
    const { hits, best, instantFrom } = this;
    const { chain, strict } = this.line.window;
    const last = chain.length - 1;
    if (hits.length - instantFrom > 1 && !strict) this.settleTie();
    else {
      // From the end: an event is not its own predecessor.
      for (let place = last; place >= 0; place--) {
        for (let index = instantFrom; index < hits.length; index++) {
          if ((hits[index] as KeptHit).step !== chain[place]) continue;
          const startMs = place === 0 ? timeMs : (best[place - 1] as number);
          if (startMs > (best[place] as number)) best[place] = startMs;
          break;
        }
      }
    }
    return best[last] as number;
  }

  /** Events of one instant satisfy either order (X2). */
  private settleTie(): void {
    const { best } = this;
    const { window } = this.line;
    const places = window.chain.length;
    const instant = this.hits.slice(this.instantFrom);
    const before = best.map((startMs) => ({ before: () => startMs }));
    const starts = startsOfInstant(instant, window, before);
    for (const [index, hit] of instant.entries()) {
      for (let place = 0; place < places; place++) {
        if (window.chain[place] !== hit.step) continue;
        best[place] = Math.max(best[place] as number, starts[index * places + place] as number);
      }
    }
  }

  protected evidence(window: { readonly fromMs: number; readonly toMs: number }): readonly StepHit[] {
    return orderedEvidence(this.hits, this.line.window, window);
  }

  protected needed(hits: readonly KeptHit[], nowMs: number): ReadonlySet<KeptHit> {
    return latestOfPlaces(hits, nowMs, this.line.window);
  }
}
