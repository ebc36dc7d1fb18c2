import type { FirmEvent } from './firm-event.ts';
import type { FirmHit } from './machine-types.ts';
import { mayPrecede, type OrderedPlan } from './ordered-plan.ts';
import { Queue } from './queue.ts';
import { type Instant, type StageEntry, startsOfInstant } from './tied-chains.ts';

/** Nodes the search for an evidence chain may visit; it needs one per stage unless many events share one instant. */
const SEARCH_STEPS_MAX = 20_000;

/** The latest way to have reached a stage: when its chain started and when its last event was. */
type Reached = { readonly startMs: number; readonly timeMs: number };

/**
 * Chains of a temporal_ordered condition over events fed in total order: O(stages) per instant. Of all chains that reach
 * a stage only the one with the latest start and last event counts: a later event can reach at least as late a start as an
 * earlier one, with gaps and negated steps too, because what they forbid to the later they forbid to the earlier.
 */
export class OrderedChains {
  private readonly plan: OrderedPlan;
  private readonly hasStart: boolean;
  private readonly entries: Queue<StageEntry>[] | null;
  private reached: (Reached | null)[];
  private tie: FirmEvent[] = [];
  private isLed = false;
  private completedMs = Number.NEGATIVE_INFINITY;

  /** `hasStart`: the first event fed begins the window, so steps negated before the first stage count. `keepsHits`: for `evidence`. */
  constructor(plan: OrderedPlan, { hasStart, keepsHits }: { hasStart: boolean; keepsHits: boolean }) {
    this.plan = plan;
    this.hasStart = hasStart;
    this.reached = plan.stages.map(() => null);
    this.entries = keepsHits ? plan.stages.map(() => new Queue<StageEntry>()) : null;
  }

  take(event: FirmEvent): void {
    const first = this.tie[0];
    if (first && first.timeMs !== event.timeMs) this.settle();
    this.tie.push(event);
  }

  /** Start of the latest complete chain, -Infinity without one. Call `settle` first. */
  get latestStart(): number {
    return this.completedMs;
  }

  /** No event that follows can complete a chain: none is under way and none may begin. */
  get isOver(): boolean {
    return this.isLed && this.tie.length === 0 && this.reached.every((partial) => partial === null);
  }

  /** Works off the events of the last instant; none of that instant may follow. */
  settle(): void {
    const [first] = this.tie;
    if (!first) return;
    const { plan } = this;
    const hits = this.tie.flatMap((event) => event.hits);
    const has = (steps: readonly number[]): boolean => hits.some(({ step }) => steps.includes(step));
    const instant: Instant = {
      timeMs: first.timeMs,
      events: this.tie,
      hits,
      blocked: plan.between.map(has),
      before: this.reached,
      isLed: this.isLed || (this.hasStart && has(plan.leading)),
    };
    this.isLed = instant.isLed;
    this.tie = [];
    if (has(plan.until)) this.reached = plan.stages.map(() => null);
    else this.merge(instant, startsOfInstant(instant, plan));
    if (has(plan.trailing)) this.completedMs = Number.NEGATIVE_INFINITY;
  }

  private merge(instant: Instant, found: readonly StageEntry[]): void {
    const reached = [...this.reached];
    for (const entry of found) {
      const before = reached[entry.stage];
      const startMs = Math.max(entry.startMs, before ? before.startMs : entry.startMs);
      reached[entry.stage] = { startMs, timeMs: instant.timeMs };
      if (entry.stage === this.plan.stages.length - 1) this.completedMs = Math.max(this.completedMs, entry.startMs);
      this.entries?.[entry.stage]?.push(entry);
    }
    this.reached = reached.map((partial, stage) => (instant.blocked[stage] ? null : partial));
  }

  /** X10.6: the latest last stage, then the latest stage before it, and so on. */
  evidence(fromMs: number): FirmHit[] {
    const { entries, plan } = this;
    if (!entries) return [];
    let steps = SEARCH_STEPS_MAX;
    const chain: FirmHit[] = [];
    const stagesTaken: number[] = [];
    const extend = (stage: number): boolean => {
      if (stage < 0) return true;
      const own = entries[stage];
      const next = chain.at(-1);
      if (!own) return false;
      const lowestMs = next ? Math.max(fromMs, next.timeMs - plan.gapMs) : fromMs;
      let index = next ? own.prefixLength(({ hit }) => hit.timeMs <= next.timeMs) : own.length;
      while (--index >= 0 && steps-- > 0) {
        const entry = own.at(index) as StageEntry;
        if (entry.hit.timeMs < lowestMs) return false;
        if (entry.startMs < fromMs || !this.fits(entry, chain, stagesTaken)) continue;
        chain.push(entry.hit);
        stagesTaken.push(stage);
        if (extend(stage - 1)) return true;
        chain.pop();
        stagesTaken.pop();
      }
      return false;
    };
    return extend(plan.stages.length - 1) ? chain.reverse() : [];
  }

  private fits({ hit, stage }: StageEntry, chain: readonly FirmHit[], stages: readonly number[]): boolean {
    const next = chain.at(-1);
    if (next && !mayPrecede(hit, next, this.plan)) return false;
    const { reuse, entries } = this.plan;
    return !chain.some(
      (other, index) => other.id === hit.id && (!reuse || entries[stage] === entries[stages[index] as number]),
    );
  }

  /** Lets go of what no window from the time on can use. */
  forget(beforeMs: number): void {
    for (const own of this.entries ?? []) {
      while ((own.at(0)?.startMs ?? beforeMs) < beforeMs) own.shift();
    }
  }
}
