import type { FieldView, LogSource } from '../field-view.ts';
import type { Test } from '../test-tree.ts';
import { EventTexts } from './event-texts.ts';
import {
  createFieldIndex,
  createLeafIndex,
  type Entry,
  type FieldIndex,
  type Pointer,
  pointerTo,
} from './field-index.ts';
import { createPredicateCompiler, type Predicate } from './predicates.ts';
import { keyOf, possibleWitnesses, type Witness, witnessesOf } from './witness.ts';

export type MatcherRule = { readonly logSource: LogSource; readonly test: Test };

/** Many rules as one matcher. Events are matched one after another; it must not be entered again from a view. */
export type EventMatcher = {
  /** Indices of the rules that are true of the event, growing. A log source of null: rules of any log source. */
  match(view: FieldView, logSource: LogSource | null): readonly number[];
  /** Every field that some rule looks at: a reader may leave out all others, unless `readsAllFields`. */
  readonly fields: readonly string[];
  /** True when a rule has keywords, which look at every leaf value. */
  readonly readsAllFields: boolean;
};

/** Log sources with an index of their own. A sender who makes up log sources must not fill the memory. */
const PLANS_MAX = 256;
const LOG_SOURCES_MAX = 4_096;

/** With more indexed fields than this, the event is asked for its keys instead of for each field. */
const INDEXES_ASKED_MAX = 12;

const NO_MATCH: readonly number[] = Object.freeze([]);

/**
 * Compiles rules into one matcher whose cost follows the rules that an event may match, not their number: by log
 * source, then by a witness each rule needs (a value, a piece of text, a network, or at least a field), looked for in all
 * rules at once; what is left is evaluated, equal parts once. Answers are those of `compileTest` for each rule.
 */
export function createEventMatcher(rules: readonly MatcherRule[]): EventMatcher {
  return new RuleIndex(rules);
}

/** The rules of one set of log sources, ready to be looked for. */
type Plan = {
  readonly indexes: readonly FieldIndex[];
  /** The indexes of fields by the keys an event can have them under; null when there are few. */
  readonly byKey: ReadonlyMap<string, readonly FieldIndex[]> | null;
  readonly leafIndex: FieldIndex | undefined;
  /** Rules that no witness finds: they are asked about every event. */
  readonly residual: readonly Pointer[];
};

class RuleIndex implements EventMatcher {
  readonly fields: readonly string[];
  readonly readsAllFields: boolean;
  readonly #rules: readonly MatcherRule[];
  readonly #texts = new EventTexts();
  /** Compiled when a rule is first a candidate: most rules of a large set never are. */
  readonly #predicates: (Predicate | undefined)[];
  readonly #compile: (test: Test) => Predicate;
  readonly #groups: readonly { readonly logSource: LogSource; readonly rules: readonly number[] }[];
  readonly #plans = new Map<string, Plan>();
  readonly #planBySource = new Map<string, Plan>();
  #everything: Plan | undefined;
  #lastSource: LogSource | undefined;
  #lastPlan: Plan | undefined;

  /** Candidates of the present event; per rule the epoch it was found in, and the one it was found surely in. */
  readonly #candidates: Int32Array;
  #candidateCount = 0;
  readonly #foundIn: Float64Array;
  readonly #sureIn: Float64Array;
  readonly #report = (pointers: ArrayLike<Pointer>): void => {
    const epoch = this.#texts.epoch;
    for (let i = 0; i < pointers.length; i++) {
      const pointer = pointers[i] as Pointer;
      const rule = pointer >> 1;
      if ((pointer & 1) === 1) this.#sureIn[rule] = epoch;
      if (this.#foundIn[rule] === epoch) continue;
      this.#foundIn[rule] = epoch;
      this.#candidates[this.#candidateCount++] = rule;
    }
  };

  #byKey: ReadonlyMap<string, readonly FieldIndex[]> = new Map();
  readonly #collectKey = (key: string): void => {
    const indexes = this.#byKey.get(key);
    if (indexes) for (const index of indexes) index.collect(this.#report);
  };

  constructor(rules: readonly MatcherRule[]) {
    this.#rules = rules;
    this.#compile = createPredicateCompiler(
      rules.map(({ test }) => test),
      this.#texts,
    );
    this.#predicates = rules.map(() => undefined);
    const fields = new Set<string>();
    for (const { test } of rules) addFields(test, fields);
    this.fields = [...fields];
    this.readsAllFields = rules.some(({ test }) => hasKeywords(test));
    this.#groups = groupBySource(rules);
    this.#candidates = new Int32Array(rules.length);
    this.#foundIn = new Float64Array(rules.length);
    this.#sureIn = new Float64Array(rules.length);
  }

  match(view: FieldView, logSource: LogSource | null): readonly number[] {
    const plan = logSource ? this.#planOf(logSource) : this.#planOfAll();
    this.#texts.begin(view);
    this.#candidateCount = 0;
    if (plan.byKey && view.forEachKey) {
      this.#byKey = plan.byKey;
      view.forEachKey(this.#collectKey);
    } else for (const index of plan.indexes) index.collect(this.#report);
    plan.leafIndex?.collect(this.#report);
    if (plan.residual.length > 0) this.#report(plan.residual);
    return this.#candidateCount === 0 ? NO_MATCH : this.#evaluate();
  }

  #evaluate(): readonly number[] {
    const count = this.#candidateCount;
    const candidates = this.#candidates;
    if (count > 1) sortStart(candidates, count);
    const epoch = this.#texts.epoch;
    let matched: number[] | undefined;
    for (let i = 0; i < count; i++) {
      const rule = candidates[i] as number;
      if (this.#sureIn[rule] !== epoch && !(this.#predicates[rule] ?? this.#compileRule(rule))()) continue;
      if (matched) matched.push(rule);
      else matched = [rule];
    }
    return matched ?? NO_MATCH;
  }

  #compileRule(rule: number): Predicate {
    const predicate = this.#compile((this.#rules[rule] as MatcherRule).test);
    this.#predicates[rule] = predicate;
    return predicate;
  }

  #planOf(logSource: LogSource): Plan {
    const last = this.#lastSource;
    if (
      this.#lastPlan &&
      last?.product === logSource.product &&
      last.service === logSource.service &&
      last.category === logSource.category
    ) {
      return this.#lastPlan;
    }
    const key = JSON.stringify([logSource.product, logSource.service, logSource.category]);
    let plan = this.#planBySource.get(key);
    if (!plan) {
      plan = this.#planOfGroups(logSource);
      if (this.#planBySource.size >= LOG_SOURCES_MAX) this.#planBySource.clear();
      this.#planBySource.set(key, plan);
    }
    this.#lastSource = { ...logSource };
    this.#lastPlan = plan;
    return plan;
  }

  #planOfGroups(logSource: LogSource): Plan {
    const covering = this.#groups.filter((group) => covers(group.logSource, logSource));
    const key = covering.map((group) => this.#groups.indexOf(group)).join();
    let plan = this.#plans.get(key);
    if (!plan) {
      plan = this.#build(covering.flatMap((group) => group.rules));
      if (this.#plans.size >= PLANS_MAX) this.#plans.clear();
      this.#plans.set(key, plan);
    }
    return plan;
  }

  #planOfAll(): Plan {
    this.#everything ??= this.#build([...this.#rules.keys()]);
    return this.#everything;
  }

  #build(members: readonly number[]): Plan {
    const popularity = new Map<string, number>();
    for (const rule of members) {
      for (const key of possibleWitnesses((this.#rules[rule] as MatcherRule).test).keys()) {
        popularity.set(key, (popularity.get(key) ?? 0) + 1);
      }
    }
    const byField = new Map<string | null, Map<string, Entry>>();
    const residual: Pointer[] = [];
    for (const rule of members) {
      const witnesses = witnessesOf((this.#rules[rule] as MatcherRule).test, popularity);
      if (!witnesses) residual.push(pointerTo(rule, false));
      else for (const witness of witnesses) addEntry(byField, witness, rule);
    }
    const leaves = byField.get(null);
    byField.delete(null);
    const indexes: FieldIndex[] = [];
    const byKey = new Map<string, FieldIndex[]>();
    for (const [field, entries] of byField as Map<string, Map<string, Entry>>) {
      const index = createFieldIndex([...entries.values()], this.#texts, field);
      indexes.push(index);
      for (const key of keysOf(field)) byKey.set(key, [...(byKey.get(key) ?? []), index]);
    }
    return {
      indexes,
      byKey: indexes.length > INDEXES_ASKED_MAX ? byKey : null,
      leafIndex: leaves && createLeafIndex([...leaves.values()], this.#texts),
      residual,
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

/** Sorts the first `count` numbers. */
function sortStart(numbers: Int32Array, count: number): void {
  if (count > 32) {
    numbers.subarray(0, count).sort();
    return;
  }
  for (let i = 1; i < count; i++) {
    const number = numbers[i] as number;
    let at = i;
    for (; at > 0 && (numbers[at - 1] as number) > number; at--) numbers[at] = numbers[at - 1] as number;
    numbers[at] = number;
  }
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
