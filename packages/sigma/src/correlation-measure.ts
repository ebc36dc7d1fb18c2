import { areSatisfiable, BOUND_RELATIONS, type BoundDomain, canonicalBounds } from './bounds.ts';
import type { Bound, CorrelationType } from './correlation-definition.ts';
import type { CorrelationExtensions, Reference } from './correlation-extensions.ts';
import { type Asked, type Reading, readFields, scalarOf } from './correlation-reading.ts';
import { entryOf, type Position, type YamlMap } from './yaml-tree.ts';

/** Reads what counts, sums, averages, percentiles and shares are asked: bounds, fields, rank. */
export function readMeasure(listed: readonly Reference[], extensions: CorrelationExtensions, reading: Reading): Asked {
  const { correlation, report, type } = reading;
  const entry = entryOf(correlation, 'condition');
  const empty: Asked = {
    type,
    bounds: [],
    percentile: null,
    temporal: null,
    ordered: [],
    until: [],
    references: listed,
    fields: [],
  };
  if (entry?.value.kind !== 'map') {
    report('key_missing', entry?.keyAt ?? correlation.at, `${type} needs a 'condition' such as {gte: 5}`);
    return empty;
  }
  const condition = entry.value;
  const bounds = readBounds(condition, reading);
  const fields = readMeasuredFields(condition, reading);
  const rank = readRank(condition, bounds, reading);
  if (typeof rank === 'number' && fields.length > 1) {
    const at = entryOf(condition, 'field')?.keyAt ?? condition.at;
    reading.report('value_invalid', at, `${type} takes one 'field': only a share may be of several`);
  }
  const isRarity = type === 'value_rarity' || rank === 'share';
  const asked: Asked = {
    ...empty,
    type: isRarity ? 'value_rarity' : type,
    percentile: typeof rank === 'number' ? rank : null,
    bounds: canonicalBounds(bounds, type === 'event_count' || type === 'value_count'),
    fields,
  };
  if (bounds.length > 0) checkBounds(asked, condition.at, extensions, reading);
  return asked;
}

function readBounds(condition: YamlMap, { report, type }: Reading): readonly Bound[] {
  const bounds: Bound[] = [];
  const isCount = type === 'event_count' || type === 'value_count';
  for (const { key, keyAt, value } of condition.entries) {
    const relation = BOUND_RELATIONS.find((known) => known === key);
    if (relation) {
      const number = value.kind === 'scalar' && typeof value.value === 'number' ? value.value : Number.NaN;
      if (isCount && (!Number.isInteger(number) || number < 0)) {
        report('value_invalid', value.at, `'${key}' takes a whole number`);
      } else if (!Number.isFinite(number)) report('value_invalid', value.at, `'${key}' takes a number`);
      else bounds.push({ relation, value: number });
    } else if (key !== 'field' && key !== 'percentile') {
      report('key_unknown', keyAt, `a condition has no key '${key}'`);
    }
  }
  if (!condition.entries.some(({ key }) => (BOUND_RELATIONS as readonly string[]).includes(key))) {
    report('key_missing', condition.at, `a condition needs one of ${BOUND_RELATIONS.join(', ')}`);
  }
  return bounds;
}

function checkBounds(asked: Asked, at: Position, extensions: CorrelationExtensions, reading: Reading): void {
  const { report, limits } = reading;
  const { type, bounds } = asked;
  const isCount = type === 'event_count' || type === 'value_count';
  const isExpecting = extensions.expect.length > 0;
  if (
    isExpecting &&
    (type !== 'event_count' || bounds.some(({ relation }) => !['lt', 'lte', 'eq'].includes(relation)))
  ) {
    report('value_invalid', extensions.at, "'expect' is for event_count with lt, lte or eq: groups that stay silent");
  }
  if (isExpecting && extensions.window.kind === 'session') {
    report('value_invalid', extensions.at, "'expect' needs tumbling windows: a silent group has no session");
  }
  for (const { relation, value } of bounds) {
    if (isCount && value > limits.countMax) report('limit_exceeded', at, `a bound is above ${limits.countMax}`);
    if ((isCount || type === 'value_sum') && relation === 'gte' && value <= 0) {
      report('value_invalid', at, "'gte: 0' is always true: the lowest bound is 'gt: 0'");
    }
  }
  if (!areSatisfiable(bounds, domainOf(type, isExpecting))) {
    // Bounds that only zero meets ask for silence; bounds that contradict each other would not gain by a hint.
    const isSilence = isCount && !isExpecting && areSatisfiable(bounds, domainOf(type, true));
    const hint = isSilence ? '; a group exists from its first event on, silence needs x-corr.expect' : '';
    report('value_invalid', at, `no number meets these bounds${hint}`);
  }
}

function domainOf(type: CorrelationType, isExpecting: boolean): BoundDomain {
  if (type === 'event_count' || type === 'value_count') {
    return { lowest: isExpecting ? 0 : 1, highest: Number.POSITIVE_INFINITY, isWhole: true };
  }
  if (type === 'value_rarity') return { lowest: 0, highest: 100, isWhole: false };
  return { lowest: Number.NEGATIVE_INFINITY, highest: Number.POSITIVE_INFINITY, isWhole: false };
}

function readMeasuredFields(condition: YamlMap, reading: Reading): readonly string[] {
  const { report, type } = reading;
  const fields = readFields(condition, 'field', reading);
  const at = entryOf(condition, 'field')?.keyAt ?? condition.at;
  if (type === 'event_count') {
    if (fields.length > 0) report('key_unknown', at, "event_count takes no 'field'");
    return [];
  }
  const isTuple = type === 'value_count' || type === 'value_rarity' || type === 'value_percentile';
  if (fields.length === 0) report('key_missing', at, `${type} needs a 'field' in its condition`);
  else if (fields.length > 1 && !isTuple) report('value_invalid', at, `${type} takes one 'field'`);
  return fields;
}

/**
 * Rank of a percentile. Without one, upper bounds mean a share of the observed values, as the specification's own
 * example has it ("percentage of observed values"): that is rarity.
 */
function readRank(condition: YamlMap, bounds: readonly Bound[], reading: Reading): number | 'share' | null {
  const { report, warnings, type, isMedian } = reading;
  const entry = entryOf(condition, 'percentile');
  if (type !== 'value_percentile' || isMedian) {
    if (entry) report('key_unknown', entry.keyAt, `'percentile' is for value_percentile only`);
    return isMedian ? 50 : null;
  }
  if (entry) {
    const rank = scalarOf(entry);
    if (typeof rank === 'number' && rank >= 0 && rank <= 100) return rank;
    report('value_invalid', entry.value.at, "'percentile' is a rank from 0 to 100");
    return null;
  }
  const isShare = bounds.every(({ relation, value }) => ['lt', 'lte'].includes(relation) && value <= 100);
  if (isShare) {
    warnings.report(
      'key_missing',
      condition.at,
      "without 'percentile' this asks for values with a small share of all values; say 'type: value_rarity'",
    );
    return 'share';
  }
  report('key_missing', condition.at, "value_percentile needs the rank: 'percentile: 95' in its condition");
  return null;
}
