import type { FieldView, LogSource } from '../field-view.ts';
import type { Test } from '../test-tree.ts';
import { Candidates, type Pointer, pointerTo } from './candidates.ts';
import { EventTexts } from './event-texts.ts';
import { createFieldIndex, createLeafIndex, type Entry, type FieldIndex } from './field-index.ts';
import { createPredicateCompiler, type Predicate } from './predicates.ts';
import { keyOf, possibleWitnesses, type Witness, witnessesOf } from './witness.ts';

export type MatcherRule = { readonly logSource: LogSource; readonly test: Test };

/** Many rules as one matcher. Events are matched one after another; it must not be entered again from a view. */
export type EventMatcher = {
  /** Indices of the rules that are true of the event, growing. A log source of null: rules of any log source. */
  match(view: FieldView, logSource: LogSource | null, watch?: MatchWatch): readonly number[];
  /** Every field that some rule looks at: a reader may leave out all others, unless `readsAllFields`. */
  readonly fields: readonly string[];
  /** True when a rule has keywords, which look at every leaf value. */
  readonly readsAllFields: boolean;
};

/** Whoever wants to know how single rules fare. */
export type MatchWatch = {
  /** A rule that throws counts as not matched, and the others go on; without a watch the error is thrown. */
  readonly failed: (rule: number, error: unknown) => void;
  /** Set for events whose rules are timed: a clock in milliseconds, and where times go. Only rules that are asked have one. */
  readonly timer?: { readonly now: () => number; readonly spent: (rule: number, ms: number) => void };
  /** Rules that are not asked, as if they did not match. */
  readonly skipped?: ReadonlySet<number>;
};

/** Log sources with an index of their own. A sender who makes up log sources must not fill the memory. */
const PLANS_MAX = 256;
const LOG_SOURCES_MAX = 4_096;

/** With more indexed fields than this, the event is asked for its keys instead of for each field. */
const INDEXES_ASKED_MAX = 12;

/** Values remembered per indexed field: at most a megabyte each, where values are long and many. */
const REMEMBERED_DEFAULT = 1_024;

const NO_MATCH: readonly number[] = Object.freeze([]);

export type MatcherOptions = {
  /** Values remembered per indexed field, a power of two; 0 for none. Default 1,024. Changes no answer. */
  readonly remembered?: number;
};

/**
 * Compiles rules into one matcher whose cost follows the rules that an event may match, not their number: by log
 * source, then by a witness each rule needs (a value, a piece of text, a network, or at least a field), looked for in all
 * rules at once; of what is left only the part that the witness does not answer is asked, equal parts once. Answers are
 * those of `compileTest` for each rule.
 */
export function createEventMatcher(rules: readonly MatcherRule[], options: MatcherOptions = {}): EventMatcher {
  return new RuleIndex(rules, options.remembered ?? REMEMBERED_DEFAULT);
}

/** The rules of one set of log sources, ready to be looked for. */
type Plan = {
  readonly indexes: readonly FieldIndex[];
  /** The indexes of fields by the keys an event can have them under; null when there are few. */
  readonly byKey: ReadonlyMap<string, readonly FieldIndex[]> | null;
  readonly leafIndex: FieldIndex | undefined;
  /** Rules that no witness finds: they are asked about every event. */
  readonly residual: Int32Array;
  /** By rule: what a sure witness leaves open. Null: nothing. */
  readonly rests: readonly (Test | null)[];
  /** As `rests`, compiled when first asked; null where nothing is left. */
  readonly compiledRests: (Predicate | null | undefined)[];
};

class RuleIndex implements EventMatcher {
  readonly fields: readonly string[];
  readonly readsAllFields: boolean;
  private readonly rules: readonly MatcherRule[];
  private readonly remembered: number;
  private readonly texts = new EventTexts();
  private readonly candidates: Candidates;
  /** Compiled when a rule is first a candidate: most rules of a large set never are. */
  private readonly predicates: (Predicate | undefined)[];
  private readonly compile: (test: Test) => Predicate;
  private readonly groups: readonly { readonly logSource: LogSource; readonly rules: readonly number[] }[];
  private readonly plans = new Map<string, Plan>();
  private readonly planBySource = new Map<string, Plan>();
  private everything: Plan | undefined;
  private lastSource: LogSource | undefined;
  private lastPlan: Plan | undefined;

  private byKey: ReadonlyMap<string, readonly FieldIndex[]> = new Map();
  private readonly collectKey = (key: string): void => {
    const indexes = this.byKey.get(key);
    if (indexes) for (let i = 0; i < indexes.length; i++) (indexes[i] as FieldIndex).collect(this.candidates);
  };

  constructor(rules: readonly MatcherRule[], remembered: number) {
    this.rules = rules;
    this.remembered = remembered;
    this.compile = createPredicateCompiler(
      rules.map(({ test }) => test),
      this.texts,
    );
    this.predicates = rules.map(() => undefined);
    const fields = new Set<string>();
    for (const { test } of rules) addFields(test, fields);
    this.fields = [...fields];
    this.readsAllFields = rules.some(({ test }) => hasKeywords(test));
    this.groups = groupBySource(rules);
    this.candidates = new Candidates(rules.length);
  }

  match(view: FieldView, logSource: LogSource | null, watch?: MatchWatch): readonly number[] {
    const plan = logSource ? this.planOf(logSource) : this.planOfAll();
    const { texts, candidates } = this;
    texts.begin(view);
    candidates.begin(texts.epoch);
    if (plan.byKey && view.forEachKey) {
      this.byKey = plan.byKey;
      view.forEachKey(this.collectKey);
    } else {
      const { indexes } = plan;
      for (let i = 0; i < indexes.length; i++) (indexes[i] as FieldIndex).collect(candidates);
    }
    if (plan.leafIndex) plan.leafIndex.collect(candidates);
    if (plan.residual.length > 0) candidates.add(plan.residual);
    if (candidates.count === 0) return NO_MATCH;
    if (candidates.count > 1) candidates.sort();
    return watch ? this.evaluateWatched(plan, watch) : this.evaluate(plan);
  }

  private evaluate(plan: Plan): readonly number[] {
    const { candidates } = this;
    const { count, rules } = candidates;
    let matched: number[] | undefined;
    for (let i = 0; i < count; i++) {
      const rule = rules[i] as number;
      if (!this.holds(plan, rule)) continue;
      if (matched) matched.push(rule);
      else matched = [rule];
    }
    return matched ?? NO_MATCH;
  }

  private holds(plan: Plan, rule: number): boolean {
    if (!this.candidates.isSure(rule)) return (this.predicates[rule] ?? this.compileRule(rule))();
    let rest = plan.compiledRests[rule];
    if (rest === undefined) rest = this.compileRest(plan, rule);
    return rest === null || rest();
  }

  private evaluateWatched(plan: Plan, { failed, timer, skipped }: MatchWatch): readonly number[] {
    const { count, rules } = this.candidates;
    const matched: number[] = [];
    for (let i = 0; i < count; i++) {
      const rule = rules[i] as number;
      if (skipped?.has(rule)) continue;
      const beganMs = timer === undefined ? 0 : timer.now();
      try {
        if (this.holds(plan, rule)) matched.push(rule);
      } catch (error) {
        failed(rule, error);
      }
      if (timer !== undefined) timer.spent(rule, timer.now() - beganMs);
    }
    return matched.length === 0 ? NO_MATCH : matched;
  }

  private compileRule(rule: number): Predicate {
    const predicate = this.compile((this.rules[rule] as MatcherRule).test);
    this.predicates[rule] = predicate;
    return predicate;
  }

  private compileRest(plan: Plan, rule: number): Predicate | null {
    const rest = plan.rests[rule] ?? null;
    const predicate = rest && this.compile(rest);
    plan.compiledRests[rule] = predicate;
    return predicate;
  }

  private planOf(logSource: LogSource): Plan {
    const last = this.lastSource;
    if (
      this.lastPlan &&
      last?.product === logSource.product &&
      last.service === logSource.service &&
      last.category === logSource.category
    ) {
      return this.lastPlan;
    }
    const key = JSON.stringify([logSource.product, logSource.service, logSource.category]);
    let plan = this.planBySource.get(key);
    if (!plan) {
      plan = this.planOfGroups(logSource);
      if (this.planBySource.size >= LOG_SOURCES_MAX) this.planBySource.clear();
      this.planBySource.set(key, plan);
    }
    this.lastSource = { ...logSource };
    this.lastPlan = plan;
    return plan;
  }

  private planOfGroups(logSource: LogSource): Plan {
    const covering = this.groups.filter((group) => covers(group.logSource, logSource));
    const key = covering.map((group) => this.groups.indexOf(group)).join();
    let plan = this.plans.get(key);
    if (!plan) {
      plan = this.build(covering.flatMap((group) => group.rules));
      if (this.plans.size >= PLANS_MAX) this.plans.clear();
      this.plans.set(key, plan);
    }
    return plan;
  }

  private planOfAll(): Plan {
    this.everything ??= this.build([...this.rules.keys()]);
    return this.everything;
  }

  private build(members: readonly number[]): Plan {
    const popularity = new Map<string, number>();
    for (const rule of members) {
      for (const key of possibleWitnesses((this.rules[rule] as MatcherRule).test).keys()) {
        popularity.set(key, (popularity.get(key) ?? 0) + 1);
      }
    }
    const byField = new Map<string | null, Map<string, Entry>>();
    const residual: Pointer[] = [];
    const rests: (Test | null)[] = this.rules.map(() => null);
    for (const rule of members) {
      const found = witnessesOf((this.rules[rule] as MatcherRule).test, popularity);
      rests[rule] = found?.rest ?? null;
      if (!found) residual.push(pointerTo(rule, false));
      else for (const witness of found.witnesses) addEntry(byField, witness, rule);
    }
    const leaves = byField.get(null);
    byField.delete(null);
    const indexes: FieldIndex[] = [];
    const byKey = new Map<string, FieldIndex[]>();
    for (const [field, entries] of byField as Map<string, Map<string, Entry>>) {
      const index = createFieldIndex([...entries.values()], this.texts.slot(field), this.remembered);
      indexes.push(index);
      for (const key of keysOf(field)) byKey.set(key, [...(byKey.get(key) ?? []), index]);
    }
    return {
      indexes,
      byKey: indexes.length > INDEXES_ASKED_MAX ? byKey : null,
      leafIndex: leaves && createLeafIndex([...leaves.values()], this.texts),
      residual: Int32Array.from(residual),
      rests,
      compiledRests: this.rules.map(() => undefined),
    };
  }
}

/** `a.b.c` can lie under the keys `a`, `a.b` and `a.b.c`. */
function keysOf(field: string): readonly string[] {
  const parts = field.split('.');
  return parts.map((_, index) => parts.slice(0, index + 1).join('.'));
}

function addEntry(byField: Map<string | null, Map<string, Entry>>, witness: Witness, rule: number): void {
  const pointer = pointerTo(rule, witness.sure);
  const entries = byField.get(witness.field) ?? new Map<string, Entry>();
  byField.set(witness.field, entries);
  entries.set(`${pointer} ${keyOf(witness)}`, { witness, pointer });
}

function addFields(test: Test, fields: Set<string>): void {
  if (test.op === 'and' || test.op === 'or') for (const part of test.of) addFields(part, fields);
  else if (test.op === 'not') addFields(test.of, fields);
  if ('field' in test) fields.add(test.field);
  if ('other' in test) fields.add(test.other);
}

function hasKeywords(test: Test): boolean {
  if (test.op === 'and' || test.op === 'or') return test.of.some(hasKeywords);
  return test.op === 'not' ? hasKeywords(test.of) : test.op === 'keyword' || test.op === 'keyword_regex';
}

function groupBySource(
  rules: readonly MatcherRule[],
): readonly { readonly logSource: LogSource; readonly rules: readonly number[] }[] {
  const groups = new Map<string, { logSource: LogSource; rules: number[] }>();
  for (const [index, { logSource }] of rules.entries()) {
    const key = JSON.stringify([logSource.product, logSource.service, logSource.category].map(lowerCase));
    const group = groups.get(key);
    if (group) group.rules.push(index);
    else groups.set(key, { logSource, rules: [index] });
  }
  return [...groups.values()];
}

/** A rule's log source names what it needs; what it leaves out may be anything. */
export function covers(rule: LogSource, event: LogSource): boolean {
  return (
    isCovered(rule.product, event.product) &&
    isCovered(rule.service, event.service) &&
    isCovered(rule.category, event.category)
  );
}

function isCovered(wanted: string | null, found: string | null): boolean {
  return wanted === null || lowerCase(wanted) === lowerCase(found);
}

function lowerCase(text: string | null): string | null {
  return text?.toLowerCase() ?? null;
}
