import { type Condition, ConditionSyntaxError, parseCondition, RULE_LEVELS, selectionsOf } from '@tracehound/sigma';
import { eventTypesOf, fieldsOf, isField, isNative } from '../catalogue.ts';
import type { Check, CheckContext } from '../check.ts';
import { type CorrelationSketch, extensionOf, generates, referencesOf } from '../correlation-sketch.ts';
import { namesIn } from '../detection-sketch.ts';
import { suggestion } from '../nearest.ts';
import type { RuleDocument } from '../rule-document.ts';
import type { RuleIndex } from '../rule-index.ts';
import { entry, text, textAt } from '../yaml-read.ts';

const DAY_MS = 86_400_000;
/** EXACTNESS X11. */
const DEPTH_MAX = 4;
/** Keys of `x-corr`, and the types they have a meaning for; empty: all. */
const EXTENSIONS: ReadonlyMap<string, readonly string[]> = new Map([
  ['type', []],
  ['window', []],
  ['gap', []],
  ['on_match', []],
  ['suppress', []],
  ['null_group', []],
  ['fold', []],
  ['strict', ['temporal_ordered']],
  ['runs', ['temporal_ordered']],
  ['until', ['temporal_ordered']],
  ['reuse', ['temporal', 'temporal_ordered']],
  ['expect', ['event_count']],
]);
const COUNTS: readonly string[] = ['event_count', 'value_count'];
const ORDERED: readonly string[] = ['temporal', 'temporal_ordered'];
/** Evidence of one group, in events, above which memory no longer follows the number of groups (EXACTNESS X10.15). */
const THRESHOLD_MAX = 1_000;
/** Fewer matches than this for each alert under `every` flood a queue. */
const EVERY_THRESHOLD_MIN = 5;

function onCorrelation(
  look: (found: { rule: RuleDocument; correlation: CorrelationSketch }, context: CheckContext) => void,
): NonNullable<Check['run']> {
  return (rule, context) => {
    if (rule.correlation) look({ rule, correlation: rule.correlation }, context);
  };
}

/** The least count that satisfies the lower bounds; undefined without one. */
function thresholdOf({ bounds }: CorrelationSketch): number | undefined {
  const lower = bounds.flatMap(({ relation, value }) =>
    relation === 'gte' || relation === 'eq' ? [value] : relation === 'gt' ? [value + 1] : [],
  );
  return lower.length === 0 ? undefined : Math.max(...lower);
}

/** May more events make the condition false again (correlation semantics, section 2)? */
function isMonotone(correlation: CorrelationSketch): boolean {
  const { type, bounds, expression } = correlation;
  if (ORDERED.includes(type)) {
    const hasNot = /\bnot\b/i.test(text(expression) ?? '');
    return !hasNot && entry(correlation.extensions, 'until') === undefined;
  }
  return [...COUNTS, 'value_sum'].includes(type) && bounds.every(({ relation }) => relation.startsWith('gt'));
}

/** At the event that makes it true, not when a window ends: only then can a mode change how often it speaks. */
function isDecidedAtOnce(correlation: CorrelationSketch): boolean {
  const isWindowed = ['tumbling', 'session'].includes(extensionOf(correlation, 'window') ?? '');
  return !isWindowed && isMonotone(correlation);
}

function treeOf(correlation: CorrelationSketch): Condition | undefined {
  try {
    const source = text(correlation.expression);
    return source === undefined ? undefined : parseCondition(source);
  } catch (error) {
    if (error instanceof ConditionSyntaxError) return undefined;
    throw error;
  }
}

/** Detections at the bottom of a correlation, through chains. */
function detectionsOf(
  rule: RuleDocument,
  index: RuleIndex,
  seen: readonly RuleDocument[] = [],
): readonly RuleDocument[] {
  if (seen.includes(rule)) return [];
  if (!rule.correlation) return [rule];
  return referencesOf(rule.correlation).flatMap((reference) => {
    const target = index.named(reference);
    return target ? detectionsOf(target, index, [...seen, rule]) : [];
  });
}

function hoursOf(ms: number): string {
  return ms % DAY_MS === 0 ? `${ms / DAY_MS} d` : `${Math.round(ms / 3_600_000)} h`;
}

export const CORRELATION_CHECKS: readonly Check[] = [
  {
    code: 'correlation-group-by-missing',
    area: 'correlation',
    level: 'warning',
    doc: 'Without `group-by` all events of an organization count together, so unrelated users add up to an alert. Group by an actor, address or session.',
    run: onCorrelation(({ correlation }, { report }) => {
      if (correlation.groupBy.length === 0)
        report(correlation.at, "no 'group-by': all events of an organization count together");
    }),
  },
  {
    code: 'correlation-group-field-unknown',
    area: 'correlation',
    level: 'error',
    doc: 'Events of a referenced rule have no field that `group-by` names, and no alias stands for it, so they never count. Correct the name, or give an alias.',
    run: onCorrelation(({ rule, correlation }, { index, report }) => {
      for (const { value, at } of correlation.groupBy) {
        const field = String(value);
        if (correlation.aliases.some(({ key }) => key === field)) continue;
        const target = detectionsOf(rule, index).find(
          (detection) => isNative(detection) && !isField(field, fieldsOf(eventTypesOf(detection))),
        );
        if (target)
          report(
            at,
            `events of '${target.title}' have no field '${field}'${suggestion(field, fieldsOf(eventTypesOf(target)))}`,
          );
      }
    }),
  },
  {
    code: 'correlation-trace-only',
    area: 'correlation',
    level: 'warning',
    doc: 'Clients choose the trace id, so an attacker can keep steps apart by a new one each, or mix strangers by a shared one. A rule of level high or above must group by the actor or address as well.',
    run: onCorrelation(({ rule, correlation }, { report }) => {
      const [only, ...others] = correlation.groupBy;
      const isTrace = ['trace_id', 'trace.trace_id', 'span_id'].includes(String(only?.value));
      if (only && isTrace && others.length === 0 && RULE_LEVELS.indexOf(rule.level) >= 3)
        report(only.at, 'clients choose the trace id: group by the actor as well');
    }),
  },
  {
    code: 'correlation-timespan-long',
    area: 'correlation',
    level: 'warning',
    doc: 'A window of more than 24 hours keeps state for every group that long, and rebuilds must read that far back. Where the attack allows, count in a shorter one.',
    run: onCorrelation(({ correlation }, { options, report }) => {
      const ms = correlation.timespanMs ?? 0;
      if (ms > DAY_MS && ms <= options.matchesRetentionMs)
        report(correlation.timespanAt, `a window of ${hoursOf(ms)} keeps every group that long`);
    }),
  },
  {
    code: 'correlation-timespan-retention',
    area: 'correlation',
    level: 'error',
    doc: 'The window, added up along a chain of correlations, is longer than the log of matches is kept (`security.matches` in `deploy/topics.yaml`). State could not be rebuilt, so `rules apply` refuses the set (EXACTNESS X7).',
    run: onCorrelation(({ rule, correlation }, { options, index, report }) => {
      const horizonMs = index.horizonMsOf(rule);
      if (horizonMs > options.matchesRetentionMs)
        report(
          correlation.timespanAt,
          `needs ${hoursOf(horizonMs)} of matches, which are kept ${hoursOf(options.matchesRetentionMs)}`,
        );
    }),
  },
  {
    code: 'correlation-threshold-one',
    area: 'correlation',
    level: 'warning',
    doc: 'A count of at least one is true for each single event, so the correlation only repeats the detection. Raise the threshold or drop the correlation.',
    run: onCorrelation(({ correlation }, { report }) => {
      const hasUpper = correlation.bounds.some(({ relation }) => relation.startsWith('l'));
      if (COUNTS.includes(correlation.type) && thresholdOf(correlation) === 1 && !hasUpper)
        report(correlation.bounds[0]?.at ?? correlation.at, 'every single event satisfies this');
    }),
  },
  {
    code: 'correlation-threshold-high',
    area: 'correlation',
    level: 'warning',
    doc: `A count above ${THRESHOLD_MAX} keeps up to twice as many events of every group in memory as evidence. Count at the source, add numbers with value_sum, or split the group.`,
    run: onCorrelation(({ correlation }, { report }) => {
      const threshold = thresholdOf(correlation) ?? 0;
      if (COUNTS.includes(correlation.type) && threshold > THRESHOLD_MAX)
        report(correlation.bounds[0]?.at ?? correlation.at, `every group keeps up to ${2 * threshold} events`);
    }),
  },
  {
    code: 'correlation-range-empty',
    area: 'correlation',
    level: 'error',
    doc: 'No number satisfies all bounds of the condition, so the rule never fires.',
    run: onCorrelation(({ correlation }, { report }) => {
      const isWhole = COUNTS.includes(correlation.type);
      const low = correlation.bounds.find(({ relation }) => relation.startsWith('gt'));
      const high = correlation.bounds.find(({ relation }) => relation.startsWith('lt'));
      if (!low || !high) return;
      const least = low.value + (isWhole && low.relation === 'gt' ? 1 : 0);
      const most = high.value - (isWhole && high.relation === 'lt' ? 1 : 0);
      const isOpen = !isWhole && (low.relation === 'gt' || high.relation === 'lt');
      if (least > most || (least === most && isOpen)) report(low.at, 'no number satisfies all bounds');
    }),
  },
  {
    code: 'correlation-upper-bound-only',
    area: 'correlation',
    level: 'info',
    doc: 'A count with only an upper bound is decided when a window ends, and a group exists only after its first event. Silence of a group is seen only when `x-corr.expect` names it.',
    run: onCorrelation(({ correlation }, { report }) => {
      const { bounds, type } = correlation;
      const hasLower = bounds.some(({ relation }) => relation.startsWith('gt') || relation === 'eq');
      if (
        type === 'event_count' &&
        bounds.length > 0 &&
        !hasLower &&
        entry(correlation.extensions, 'expect') === undefined
      )
        report(
          bounds[0]?.at ?? correlation.at,
          "groups without any event are not seen: name them under 'x-corr.expect'",
        );
    }),
  },
  {
    code: 'correlation-value-in-group',
    area: 'correlation',
    level: 'error',
    doc: 'A `value_count` counts the values of a field that is also in `group-by`. Inside a group it has one value, so the count is always one.',
    run: onCorrelation(({ correlation }, { report }) => {
      const groups = correlation.groupBy.map(({ value }) => String(value));
      const twice = correlation.fields.find(({ value }) => groups.includes(String(value)));
      if (correlation.type === 'value_count' && twice)
        report(twice.at, `'${twice.value}' is the same for all events of a group`);
    }),
  },
  {
    code: 'correlation-generate-twice',
    area: 'correlation',
    level: 'warning',
    doc: '`generate` stands both in the rule and in its correlation part. Engines read one or the other; ours takes the rule. Write it once.',
    run: onCorrelation(({ rule, correlation }, { report }) => {
      if (correlation.generates.inRule && correlation.generates.inCorrelation)
        report(
          entry(correlation.map, 'generate')?.keyAt ?? rule.at,
          "'generate' is given twice: keep the one of the rule",
        );
    }),
  },
  {
    code: 'correlation-single-step',
    area: 'correlation',
    level: 'warning',
    doc: 'A temporal correlation of one rule is true for each of its events. Name the other rules, or count events instead.',
    run: onCorrelation(({ correlation }, { report }) => {
      if (correlation.type === 'temporal' && correlation.references.length === 1)
        report(correlation.references[0]?.at ?? correlation.at, 'one rule alone needs no temporal correlation');
    }),
  },
  {
    code: 'correlation-reference-repeated',
    area: 'correlation',
    level: 'warning',
    doc: 'The correlation names a rule twice. An event counts once per rule, so the second mention changes nothing; in an ordered rule say `x-corr.runs`.',
    run: onCorrelation(({ correlation }, { index, report }) => {
      const seen = new Set<RuleDocument | string>();
      for (const { value, at } of correlation.references) {
        const target = index.named(String(value)) ?? String(value);
        if (seen.has(target)) report(at, `'${value}' is named twice`);
        seen.add(target);
      }
    }),
  },
  {
    code: 'correlation-rule-idle',
    area: 'correlation',
    level: 'warning',
    doc: 'A rule is listed under `rules` but the extended condition does not name it, so its events have no effect.',
    run: onCorrelation(({ correlation }, { report }) => {
      const tree = treeOf(correlation);
      const names = referencesOf(correlation);
      if (!tree) return;
      const used = new Set(namesIn(tree, names));
      for (const { value, at } of correlation.references)
        if (!used.has(String(value))) report(at, `the condition does not name '${value}'`);
    }),
  },
  {
    code: 'correlation-condition-unlisted',
    area: 'correlation',
    level: 'error',
    doc: 'The extended condition names a rule that is not listed under `rules`, so it could never be decided.',
    run: onCorrelation(({ correlation }, { report }) => {
      const tree = treeOf(correlation);
      const names = referencesOf(correlation);
      if (!tree || !correlation.expression) return;
      for (const name of new Set(namesIn(tree, names)))
        if (!names.includes(name) && selectionsOf(name, names).length === 0)
          report(correlation.expression.at, `'rules' does not list '${name}'${suggestion(name, names)}`);
    }),
  },
  {
    code: 'correlation-ties',
    area: 'correlation',
    level: 'info',
    doc: 'Sources that report whole seconds give several events one time, and equal times satisfy either order. Where the order itself is the evidence, say `x-corr.strict: true`.',
    run: onCorrelation(({ correlation }, { report }) => {
      if (correlation.type === 'temporal_ordered' && entry(correlation.extensions, 'strict') === undefined)
        report(correlation.at, "equal times satisfy either order: say 'x-corr.strict: true' or false");
    }),
  },
  {
    code: 'correlation-every-floods',
    area: 'correlation',
    level: 'warning',
    doc: '`on_match: every` alerts on each further event. With a threshold below 5, or over detections of level informational, that floods the queue. Use `suppress`, the default.',
    run: onCorrelation(({ rule, correlation }, { index, report }) => {
      const mode = entry(correlation.extensions, 'on_match');
      if (!mode || text(mode.value) !== 'every' || !isDecidedAtOnce(correlation)) return;
      const isLow = (thresholdOf(correlation) ?? EVERY_THRESHOLD_MIN) < EVERY_THRESHOLD_MIN;
      const isNoisy = detectionsOf(rule, index).some(({ level }) => level === 'informational');
      if (COUNTS.includes(correlation.type) && (isLow || isNoisy))
        report(mode.value.at, "'every' alerts on each further event: use 'suppress'");
    }),
  },
  {
    code: 'correlation-mode-idle',
    area: 'correlation',
    level: 'info',
    doc: 'Rules that are decided when a window ends (upper bounds, averages, `not`, tumbling and session windows) speak once per window in every mode. `reset` and `every` change nothing there.',
    run: onCorrelation(({ correlation }, { report }) => {
      const mode = entry(correlation.extensions, 'on_match');
      const isMode = ['reset', 'every'].includes(text(mode?.value) ?? '');
      if (mode && isMode && !isDecidedAtOnce(correlation))
        report(mode.value.at, 'decided once per window in every mode: this changes nothing');
    }),
  },
  {
    code: 'correlation-extension-unknown',
    area: 'correlation',
    level: 'error',
    doc: 'There is no such key under `x-corr`. It would have no effect, so the rule is refused.',
    run: onCorrelation(({ correlation }, { report }) => {
      for (const { key, keyAt } of correlation.extensions?.entries ?? [])
        if (!EXTENSIONS.has(key)) report(keyAt, `there is no 'x-corr.${key}'${suggestion(key, EXTENSIONS.keys())}`);
    }),
  },
  {
    code: 'correlation-extension-misplaced',
    area: 'correlation',
    level: 'error',
    doc: 'The key under `x-corr` has no meaning for this correlation type: `strict`, `runs` and `until` belong to temporal_ordered, `reuse` to temporal types, `expect` to event_count, `gap` to session windows and temporal_ordered.',
    run: onCorrelation(({ correlation }, { report }) => {
      for (const { key, keyAt } of correlation.extensions?.entries ?? []) {
        const types = EXTENSIONS.get(key) ?? [];
        if (types.length > 0 && !types.includes(correlation.type))
          report(keyAt, `'${key}' belongs to ${types.join(' and ')}`);
        const isSession = extensionOf(correlation, 'window') === 'session';
        if (key === 'gap' && !isSession && correlation.type !== 'temporal_ordered')
          report(keyAt, "'gap' belongs to session windows and temporal_ordered");
      }
    }),
  },
  {
    code: 'correlation-chain-depth',
    area: 'correlation',
    level: 'error',
    doc: `Correlations may stand on correlations up to depth ${DEPTH_MAX} and not in a circle; each level waits for the one below (EXACTNESS X11).`,
    run: onCorrelation(({ rule, correlation }, { index, report }) => {
      const depth = index.depthOf(rule);
      if (depth === Number.POSITIVE_INFINITY) report(correlation.at, 'the correlation stands on itself');
      else if (depth > DEPTH_MAX) report(correlation.at, `depth ${depth}: at most ${DEPTH_MAX}`);
    }),
  },
  {
    code: 'correlation-chain-long',
    area: 'correlation',
    level: 'info',
    doc: 'A chain of two or more correlations below this one delays its alerts by the lateness and window of each level. Few attacks need it.',
    run: onCorrelation(({ rule, correlation }, { index, report }) => {
      const depth = index.depthOf(rule);
      if (depth >= 2 && depth <= DEPTH_MAX)
        report(correlation.at, `stands on ${depth} levels of correlations: each waits for the one below`);
    }),
  },
  {
    code: 'correlation-level-lower',
    area: 'correlation',
    level: 'info',
    doc: 'The correlation has a lower level than a detection it stands on, although it needs more evidence. One of the levels is not what was meant.',
    run: onCorrelation(({ rule, correlation }, { index, report }) => {
      const stronger = referencesOf(correlation)
        .map((reference) => index.named(reference))
        .find((target) => target && RULE_LEVELS.indexOf(target.level) > RULE_LEVELS.indexOf(rule.level));
      if (stronger && RULE_LEVELS.includes(rule.level))
        report(entry(rule.map, 'level')?.keyAt ?? rule.at, `'${stronger.title}' alone is ${stronger.level}`);
    }),
  },
  {
    code: 'correlation-silences-rule',
    area: 'correlation',
    level: 'warning',
    doc: 'A detection of level high or above is used by correlations only, and none says `generate: true`. Its own findings are then not reported, until the correlation as a whole holds.',
    run: (rule, { index, report }) => {
      const users = index.usersOf(rule);
      const isStrong = rule.kind === 'detection' && RULE_LEVELS.indexOf(rule.level) >= 3;
      if (isStrong && users.length > 0 && !users.some((user) => generates(user.map)))
        report(rule.at, `silent by itself, because '${users[0]?.title}' does not say 'generate: true'`);
    },
  },
  {
    code: 'correlation-alias-unused',
    area: 'correlation',
    level: 'warning',
    doc: 'An alias is defined that neither `group-by` nor the condition names. It has no effect.',
    run: onCorrelation(({ correlation }, { report }) => {
      const used = [...correlation.groupBy, ...correlation.fields].map(({ value }) => String(value));
      for (const { key, keyAt } of correlation.aliases)
        if (!used.includes(key)) report(keyAt, `nothing uses the alias '${key}'`);
    }),
  },
  {
    code: 'correlation-alias-incomplete',
    area: 'correlation',
    level: 'warning',
    doc: 'An alias says nothing about one of the referenced rules. For its events the alias itself is taken as the field name, which they hardly have, so they never count.',
    run: onCorrelation(({ correlation }, { index, report }) => {
      for (const { key, value } of correlation.aliases) {
        if (value.kind !== 'map') continue;
        const known = value.entries.map((part) => index.named(part.key) ?? part.key);
        const gap = referencesOf(correlation).find((reference) => !known.includes(index.named(reference) ?? reference));
        if (gap !== undefined) report(correlation.at, `the alias '${key}' has no field for '${gap}'`);
      }
    }),
  },
  {
    code: 'correlation-rank-missing',
    area: 'correlation',
    level: 'error',
    doc: 'A `value_percentile` without `percentile` in its condition does not say which one it compares, and engines differ in what they take. Name the rank, or use value_median.',
    run: onCorrelation(({ correlation }, { report }) => {
      const condition = entry(correlation.map, 'condition')?.value;
      if (
        correlation.type === 'value_percentile' &&
        condition?.kind === 'map' &&
        textAt(condition, 'percentile') === undefined
      )
        report(condition.at, "name the rank, such as 'percentile: 95'");
    }),
  },
];
