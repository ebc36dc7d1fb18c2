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

type Spent = { waitingMs: number; windowMs: number };

/**
 * What single rules cost stage A, from a sample, and which throw. For metrics and alarms only: it never decides about an event,
 * since another process would decide otherwise (X7).
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

  /** For the next event; `failures` takes the ids of rules that throw on it. */
  watch({ detections }: Pick<RuleSetCompiled, 'detections'>, failures: string[]): MatchWatch {
    const idOf = (rule: number): string => detections[rule]?.id ?? OTHER;
    const failed = (rule: number): void => {
      failures.push(idOf(rule));
      this.deps.onFailed(this.labelOf(idOf(rule)));
    };
    if (this.events++ % TIMED_EVERY !== 0) return { failed };
    this.look();
    const spent = (rule: number, ms: number): void => this.add(idOf(rule), ms * TIMED_EVERY);
    return { failed, timer: { now: this.deps.now, spent } };
  }

  private add(ruleId: string, ms: number): void {
    let spent = this.spent.get(ruleId);
    if (spent === undefined) {
      spent = { waitingMs: 0, windowMs: 0 };
      this.spent.set(ruleId, spent);
    }
    spent.windowMs += ms;
    spent.waitingMs += ms;
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
      spent.windowMs = 0;
      // What is not worth a label of its own is handed on under the common one.
      if (spent.waitingMs > 0) this.deps.onSpent(this.labels.has(ruleId) ? ruleId : OTHER, spent.waitingMs / 1_000);
      spent.waitingMs = 0;
      if (share <= this.deps.shareMax || this.overBudget.has(ruleId)) continue;
      this.overBudget.add(ruleId);
      this.deps.onOverBudget(ruleId, share);
    }
    this.windowFromMs += elapsedMs;
  }
}
