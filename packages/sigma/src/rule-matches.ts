import type { CorrelationType } from './correlation-definition.ts';
import type { FieldPath, FieldView } from './field-view.ts';
import { NULL_TAG, numberIn, TupleReader, tagsOf, untagged } from './group-key.ts';

/** What turning an event, or the hit of an inner correlation, into matches of a correlation needs to know. */
export type MatchPlan = {
  readonly index: number;
  readonly type: CorrelationType;
  /** Group-by fields and value fields per step, aliases resolved. */
  readonly groupFields: readonly (readonly FieldPath[])[];
  readonly valueFields: readonly (readonly FieldPath[])[];
  /** For steps fed by a correlation: where the fields stand in its group key; -1 for nowhere (null_group). */
  readonly groupPositions: readonly (readonly number[])[];
  readonly valuePositions: readonly (readonly number[])[];
  readonly nullGroup: boolean;
  /** value_sum with lower bounds only: negative numbers make no hit, so the sum can only grow. */
  readonly skipsNegative: boolean;
};

/** A correlation that takes hits of a rule, and as which of its steps. */
export type Feed = { readonly correlation: number; readonly step: number };

/** One match record in the making; the caller adds the event's coordinates (contracts section 3, `Match`). */
export type RuleMatch = {
  readonly rule: number;
  readonly step: number;
  readonly group_key: string;
  readonly value: string | null;
  readonly number: number | null;
};

export type RuleMatches = {
  readonly matches: readonly RuleMatch[];
  /** Correlations a match was dropped for, because a group or value field was missing. To be counted. */
  readonly groupMissing: readonly number[];
};

/** Matches of an event that matched detections with these feeds, ordered by (rule, step, group key, value). */
export type EventMatches = (view: FieldView, feeds: Iterable<Feed>) => RuleMatches;

/** What a step takes of an event. */
type StepReaders = {
  readonly groups: TupleReader;
  /** Null for rules that count no values. */
  readonly values: TupleReader | null;
  /** Null for rules that take no number. */
  readonly number: string | null;
};

/** Correlations that group by the same fields read them once. Events are read one after another. */
export function createEventMatches(plans: readonly MatchPlan[]): EventMatches {
  const readers = new Map<string, TupleReader>();
  const readerOf = (fields: readonly FieldPath[], nullGroup: boolean): TupleReader => {
    const key = JSON.stringify([nullGroup, fields.map(({ name }) => name)]);
    const reader = readers.get(key) ?? new TupleReader(fields, nullGroup);
    readers.set(key, reader);
    return reader;
  };
  const steps = plans.map(({ type, nullGroup, groupFields, valueFields }) =>
    groupFields.map((fields, step): StepReaders => {
      const values = valueFields[step] ?? NO_FIELDS;
      return {
        groups: readerOf(fields, nullGroup),
        values: countsValues(type) ? readerOf(values, false) : null,
        number: takesNumber(type) ? (values[0]?.name ?? '') : null,
      };
    }),
  );
  let event = 0;
  return (view, feeds) => {
    event++;
    const gathered = new Gathered();
    for (const { correlation, step } of feeds) {
      const plan = plans[correlation];
      const readers = steps[correlation]?.[step];
      if (plan === undefined || readers === undefined) continue;
      gathered.add(plan, step, {
        keys: readers.groups.read(view, event),
        values: readers.values === null ? NO_VALUES : readers.values.read(view, event),
        number: readers.number === null ? null : (numberIn(view.values(readers.number) ?? []) ?? null),
      });
    }
    return gathered.end();
  };
}

const NO_FIELDS: readonly FieldPath[] = [];
/** What does not count values has one hit per group. */
const NO_VALUES: readonly null[] = [null];

/** Matches that a hit of an inner correlation, in that group, gives to the correlations over it (EXACTNESS X11). */
export function chainMatches(plans: readonly MatchPlan[], innerGroupKey: string, feeds: Iterable<Feed>): RuleMatches {
  const tags = tagsOf(innerGroupKey);
  const tuple = (positions: readonly number[], allowsNull: boolean): readonly string[] => {
    const picked = positions.map((position) => tags[position] ?? NULL_TAG);
    return allowsNull || !picked.includes(NULL_TAG) ? [JSON.stringify(picked)] : [];
  };
  const gathered = new Gathered();
  for (const { correlation, step } of feeds) {
    const plan = plans[correlation];
    if (plan === undefined) continue;
    const positions = plan.valuePositions[step] ?? [];
    const tagged = tags[positions[0] ?? -1];
    gathered.add(plan, step, {
      keys: tuple(plan.groupPositions[step] ?? [], plan.nullGroup),
      values: countsValues(plan.type) ? tuple(positions, false) : NO_VALUES,
      number: takesNumber(plan.type) && tagged !== undefined ? (numberOfTag(tagged) ?? null) : null,
    });
  }
  return gathered.end();
}

function numberOfTag(tagged: string): number | undefined {
  return tagged.startsWith('b:') ? undefined : numberIn([untagged(tagged)]);
}

export function countsValues(type: CorrelationType): boolean {
  return type === 'value_count' || type === 'value_rarity';
}

export function takesNumber(type: CorrelationType): boolean {
  return type === 'value_sum' || type === 'value_avg' || type === 'value_percentile';
}

/** What one hit has for one step: its groups, the values it counts as, its number. */
type Hit = {
  readonly keys: readonly string[];
  readonly values: readonly (string | null)[];
  readonly number: number | null;
};

const NONE_MISSING: readonly number[] = [];

class Gathered {
  private readonly matches: RuleMatch[] = [];
  private missing: number[] | null = null;

  add(plan: MatchPlan, step: number, { keys, values, number }: Hit): void {
    const { type, index } = plan;
    if (keys.length === 0 || values.length === 0 || (number === null && takesNumber(type))) {
      this.missing ??= [];
      this.missing.push(index);
      return;
    }
    if (plan.skipsNegative && number !== null && number < 0) return;
    // An event counts once, however many of the rules of a count it matches.
    const counted = type === 'temporal' || type === 'temporal_ordered' ? step : 0;
    for (let key = 0; key < keys.length; key++) {
      const group_key = keys[key] as string;
      for (let value = 0; value < values.length; value++)
        this.matches.push({ rule: index, step: counted, group_key, value: values[value] as string | null, number });
    }
  }

  end(): RuleMatches {
    return { matches: sortedDistinct(this.matches), groupMissing: this.missing ?? NONE_MISSING };
  }
}

function sortedDistinct(matches: readonly RuleMatch[]): readonly RuleMatch[] {
  if (isGrowing(matches)) return matches;
  const keyed = new Map<string, RuleMatch>();
  for (const match of matches) {
    const key = JSON.stringify([match.rule, match.step, match.group_key, match.value]);
    if (!keyed.has(key)) keyed.set(key, match);
  }
  return [...keyed.values()].sort(
    (a, b) =>
      a.rule - b.rule ||
      a.step - b.step ||
      compareText(a.group_key, b.group_key) ||
      compareText(a.value ?? '', b.value ?? ''),
  );
}

/** Almost always: every rule and step once, in order. */
function isGrowing(matches: readonly RuleMatch[]): boolean {
  for (let i = 1; i < matches.length; i++) {
    const before = matches[i - 1] as RuleMatch;
    const match = matches[i] as RuleMatch;
    if (before.rule > match.rule || (before.rule === match.rule && before.step >= match.step)) return false;
  }
  return true;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
