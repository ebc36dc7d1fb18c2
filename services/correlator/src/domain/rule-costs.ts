import type { MatchWatch, RuleSetCompiled } from '@tracehound/sigma';

export type RuleCostsDeps = {
  /** Monotone, ms, with fractions. */
  readonly now: () => number;
  /** Seconds of a label: the id of a rule, or `other`. */
  readonly onSpent: (label: string, seconds: number) => void;
  readonly onFailed: (label: string) => void;
  /** Once per rule and process: how much of the time between two looks it took. */
  readonly onOverBudget: (ruleId: string, share: number) => void;
  /** Largest share of one core that a single rule may take, 0 to 1. */
  readonly shareMax: number;
  /** Such a share, over two looks, is too slow to be borne, but only where single events are; Infinity: none is. */
  readonly tripShare: number;
  /** Mean time per event, ms, from which a rule is slow: one that is merely asked very often, while a backlog is read, is not. */
  readonly tripMs: number;
  /** At every look as long as the rule is too slow: the organization whose events took most of its time, if they are slow. */
  readonly onTooSlow: (slow: {
    readonly ruleId: string;
    readonly organizationId: string;
    readonly share: number;
  }) => void;
};

/** One event in so many is timed: two clock readings per rule that is asked, some 50 ns each. */
const TIMED_EVERY = 64;

/** Rules with a label of their own; which ones, is decided once: a counter must not go back. */
const LABELS_MAX = 50;
/** Estimated time from which a rule is worth one. */
const LABELLED_FROM_MS = 20;

/** Time over which the share of a rule is taken. */
const BUDGET_WINDOW_MS = 10_000;

const OTHER = 'other';

/** Looks in a row: one may have met a pause of the machine, which counts for 64 events. */
const SLOW_LOOKS = 2;
/** Timed events of a rule per look below which nothing is said of it. */
const SAMPLES_MIN = 16;
/** Organizations told apart per rule and look. */
const ORGANIZATIONS_MAX = 1_000;

class Spent {
  waitingMs = 0;
  windowMs = 0;
  samples = 0;
  slowLooks = 0;
  readonly byOrganization = new Map<string, { ms: number; samples: number }>();

  add(organizationId: string, ms: number): void {
    this.windowMs += ms;
    this.waitingMs += ms;
    this.samples++;
    let known = this.byOrganization.get(organizationId);
    if (known === undefined) {
      if (this.byOrganization.size >= ORGANIZATIONS_MAX) return;
      known = { ms: 0, samples: 0 };
      this.byOrganization.set(organizationId, known);
    }
    known.ms += ms;
    known.samples++;
  }

  /** The next window begins. */
  begin(): void {
    this.windowMs = 0;
    this.samples = 0;
    this.byOrganization.clear();
  }
}

/**
 * What single rules cost stage A, from a sample, and which throw. It only ever tells: about an event it decides nothing, since
 * another process would decide otherwise (X7); what trips a rule is an activation in the log.
 */
export class RuleCosts {
  private readonly deps: RuleCostsDeps;
  private readonly labels = new Set<string>();
  private readonly spent = new Map<string, Spent>();
  private readonly overBudget = new Set<string>();
  private events = 0;
  private windowFromMs: number;

  constructor(deps: RuleCostsDeps) {
    this.deps = deps;
    this.windowFromMs = deps.now();
  }

  /** For the next event, one of the organization; `failures` takes the ids of rules that throw on it. */
  watch({ detections }: Pick<RuleSetCompiled, 'detections'>, failures: string[], organizationId: string): MatchWatch {
    const idOf = (rule: number): string => detections[rule]?.id ?? OTHER;
    const failed = (rule: number): void => {
      failures.push(idOf(rule));
      this.deps.onFailed(this.labelOf(idOf(rule)));
    };
    if (this.events++ % TIMED_EVERY !== 0) return { failed };
    this.look();
    const spent = (rule: number, ms: number): void => this.add(idOf(rule), organizationId, ms * TIMED_EVERY);
    return { failed, timer: { now: this.deps.now, spent } };
  }

  private add(ruleId: string, organizationId: string, ms: number): void {
    let spent = this.spent.get(ruleId);
    if (spent === undefined) {
      spent = new Spent();
      this.spent.set(ruleId, spent);
    }
    spent.add(organizationId, ms);
    if (spent.waitingMs < LABELLED_FROM_MS) return;
    this.deps.onSpent(this.labelOf(ruleId), spent.waitingMs / 1_000);
    spent.waitingMs = 0;
  }

  private labelOf(ruleId: string): string {
    if (this.labels.size < LABELS_MAX) this.labels.add(ruleId);
    return this.labels.has(ruleId) ? ruleId : OTHER;
  }

  private look(): void {
    const elapsedMs = this.deps.now() - this.windowFromMs;
    if (elapsedMs < BUDGET_WINDOW_MS) return;
    for (const [ruleId, spent] of this.spent) {
      const share = spent.windowMs / elapsedMs;
      this.lookAt(ruleId, spent, elapsedMs);
      spent.begin();
      // What is not worth a label of its own is handed on under the common one.
      if (spent.waitingMs > 0) this.deps.onSpent(this.labels.has(ruleId) ? ruleId : OTHER, spent.waitingMs / 1_000);
      spent.waitingMs = 0;
      if (share <= this.deps.shareMax || this.overBudget.has(ruleId)) continue;
      this.overBudget.add(ruleId);
      this.deps.onOverBudget(ruleId, share);
    }
    this.windowFromMs += elapsedMs;
  }

  private lookAt(ruleId: string, spent: Spent, elapsedMs: number): void {
    const isTooSlow = spent.samples >= SAMPLES_MIN && spent.windowMs > this.deps.tripShare * elapsedMs;
    spent.slowLooks = isTooSlow ? spent.slowLooks + 1 : 0;
    if (spent.slowLooks < SLOW_LOOKS) return;
    const most = [...spent.byOrganization].reduce((a, b) => (b[1].ms > a[1].ms ? b : a));
    const [organizationId, { ms, samples }] = most;
    if (ms / (samples * TIMED_EVERY) >= this.deps.tripMs) {
      this.deps.onTooSlow({ ruleId, organizationId, share: ms / elapsedMs });
    }
  }
}
