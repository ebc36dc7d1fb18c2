import { createHash } from 'node:crypto';
import type { CorrelationDefinition, StepSource } from './correlation-definition.ts';
import { type CorrelationSource, type CorrelationType, parseCorrelation } from './correlation-rule.ts';
import { parseDetection } from './detection.ts';
import type { FieldView, LogSource } from './field-view.ts';
import { groupValues, tuplesOf } from './group-key.ts';
import { compileTest, type Matcher } from './matcher.ts';
import { SigmaError, type SigmaProblem } from './problems.ts';
import type { Test } from './test-tree.ts';
import {
  createProblemSink,
  entryOf,
  type Position,
  type ProblemSink,
  readYamlDocuments,
  textEntry,
  textListEntry,
  type YamlMap,
} from './yaml-tree.ts';

/** One rule file; `path` is relative, with forward slashes, and is part of the rule set's identity. */
export type RuleFile = { readonly path: string; readonly content: string };

/** What records on the wire say about a rule (`RuleRef` of the alert and finding records). */
export type RuleDescription = {
  readonly rule_id: string;
  readonly title: string;
  readonly level: string;
  readonly type: string;
  readonly semantic_hash: string;
  readonly ruleset_id: string;
  readonly author: string | null;
  readonly description: string | null;
  readonly status: string | null;
  readonly tags: string[];
  readonly timespan_ms: number;
};

/** A detection that another part of the set, or a finding, stands on. */
export type DetectionRule = {
  readonly index: number;
  readonly id: string;
  readonly name: string | null;
  readonly logSource: LogSource;
  readonly falsePositives: readonly string[];
  /** True when a match is a finding of its own: no correlation stands on it, or one that says `generate`. */
  readonly emitsFinding: boolean;
  /** Correlations fed by this detection, in order of their index. */
  readonly feeds: readonly { readonly correlation: number; readonly step: number }[];
  readonly description: RuleDescription;
};

/** A correlation ready to run. `index` is stable within the set: order of paths, then of documents. */
export type CorrelationRule = {
  readonly index: number;
  /** Id, or else name: the correlation's uid in alert ids and partition keys. */
  readonly uid: string;
  readonly type: CorrelationType;
  /** Detection index per step. */
  readonly steps: readonly number[];
  readonly groupBy: readonly string[];
  readonly timespanMs: number;
  /** event_count: events; value_count: distinct values; temporal_ordered: steps. */
  readonly threshold: number;
  readonly strict: boolean;
  /** What it asks of a group's matches, whole (docs/design/correlation-semantics.md). */
  readonly definition: CorrelationDefinition;
  /** Where each step's hits come from. */
  readonly stepSources: readonly StepSource[];
  /** 0 for a correlation over detections only; 1 + the deepest inner correlation in a chain (EXACTNESS X11). */
  readonly depth: number;
  /** Equal as long as nothing changed that could change what it alerts on: its window state may be kept. */
  readonly semanticHash: string;
  readonly falsePositives: readonly string[];
  readonly description: RuleDescription;
};

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

export type RuleSetCompiled = {
  /** SHA-256 over the canonical content: files by path, line ends as LF. */
  readonly rulesetId: string;
  readonly files: readonly RuleFile[];
  readonly detections: readonly DetectionRule[];
  readonly correlations: readonly CorrelationRule[];
  /** Things that load but deserve a look. */
  readonly warnings: readonly SigmaProblem[];
  /** Indices of the detections that match the event, growing. Log source null: every rule is tried, whatever its own. */
  matchEvent(view: FieldView, logSource: LogSource | null): readonly number[];
  /** What those detections give to correlations, ordered by (rule, step, group key). */
  matchesOf(view: FieldView, detections: readonly number[]): RuleMatches;
  /** The longest window; what must be kept of the log follows from it. */
  readonly timespanMsMax: number;
};

const LEVELS: readonly string[] = ['informational', 'low', 'medium', 'high', 'critical'];
const RULE_KEYS: readonly string[] = [
  'title',
  'id',
  'name',
  'taxonomy',
  'status',
  'description',
  'license',
  'author',
  'references',
  'date',
  'modified',
  'logsource',
  'detection',
  'correlation',
  'fields',
  'falsepositives',
  'level',
  'tags',
  'scope',
  'related',
  'generate',
];

/**
 * Parses and compiles rule files. Pure: the same files give the same set, in the same order.
 * @throws SigmaError listing every problem, when any rule cannot be run. Nothing is loaded in part.
 */
export function loadRuleSet(files: readonly RuleFile[]): RuleSetCompiled {
  const canonical = files
    .map(({ path, content }) => ({ path, content: content.replaceAll('\r\n', '\n') }))
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const problems: SigmaProblem[] = [];
  const warnings: SigmaProblem[] = [];
  const rules: ParsedRule[] = [];
  for (const file of canonical) {
    const sink = createProblemSink(file.path, problems);
    for (const document of readYamlDocuments(file.content, sink)) {
      if (document.kind !== 'map') sink.report('not_a_map', document.at, 'a rule must be a map of keys');
      else parseRule(document, { sink, warnings: createProblemSink(file.path, warnings), rules });
    }
  }
  const set = link(rules, hashOf(canonical.flatMap(({ path, content }) => [path, content])));
  if (problems.length > 0) throw new SigmaError(problems);
  return { ...set, files: canonical, warnings };
}

/** SHA-256 in hex over length-prefixed parts, so that no two lists of parts have the same bytes. */
function hashOf(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex');
}

type RuleHead = {
  readonly uid: string;
  readonly name: string | null;
  readonly at: Position;
  readonly sink: ProblemSink;
  readonly falsePositives: readonly string[];
  readonly description: Omit<RuleDescription, 'ruleset_id' | 'semantic_hash' | 'type' | 'timespan_ms'>;
};
type ParsedRule =
  | (RuleHead & { readonly kind: 'detection'; readonly logSource: LogSource; readonly test: Test | undefined })
  | (RuleHead & { readonly kind: 'correlation'; readonly source: CorrelationSource | undefined });
type ParsedDetection = Extract<ParsedRule, { kind: 'detection' }>;

function parseRule(
  rule: YamlMap,
  { sink, warnings, rules }: { sink: ProblemSink; warnings: ProblemSink; rules: ParsedRule[] },
): void {
  for (const { key, keyAt } of rule.entries) {
    if (!RULE_KEYS.includes(key) && key !== 'custom' && !key.startsWith('x-')) {
      warnings.report('key_unknown', keyAt, `Sigma has no key '${key}': it has no effect`);
    }
  }
  const title = textEntry(rule, 'title', sink);
  if (title === undefined) sink.report('key_missing', rule.at, "a rule needs a 'title'");
  const level = textEntry(rule, 'level', sink) ?? 'medium';
  if (!LEVELS.includes(level))
    sink.report(
      'value_invalid',
      entryOf(rule, 'level')?.keyAt ?? rule.at,
      `'level' must be one of ${LEVELS.join(', ')}`,
    );
  const id = textEntry(rule, 'id', sink);
  const name = textEntry(rule, 'name', sink) ?? null;
  const uid = id ?? name ?? title ?? '';
  const twin = rules.find((other) => other.uid === uid);
  if (twin)
    sink.report('duplicate_rule', rule.at, `'${uid}' is also the id of the rule at ${twin.sink.path}:${twin.at.line}`);
  const head: RuleHead = {
    uid,
    name,
    at: rule.at,
    sink,
    falsePositives: textListEntry(rule, 'falsepositives', sink).map(({ text }) => text),
    description: {
      rule_id: uid,
      title: title ?? '',
      level,
      author: textEntry(rule, 'author', sink) ?? null,
      description: textEntry(rule, 'description', sink) ?? null,
      status: textEntry(rule, 'status', sink) ?? null,
      tags: textListEntry(rule, 'tags', sink).map(({ text }) => text),
    },
  };
  const detection = entryOf(rule, 'detection');
  const correlation = entryOf(rule, 'correlation');
  if (detection && correlation) {
    sink.report('value_invalid', correlation.keyAt, 'a rule is either a detection or a correlation');
  } else if (detection?.value.kind === 'map') {
    const logSource = parseLogSource(rule, sink);
    rules.push({ ...head, kind: 'detection', logSource, test: parseDetection(detection.value, sink) });
  } else if (correlation?.value.kind === 'map') {
    rules.push({ ...head, kind: 'correlation', source: parseCorrelation(rule, correlation.value, sink) });
  } else if (entryOf(rule, 'filter')) {
    sink.report('unsupported', rule.at, 'filters are not supported yet: put the exclusion into the rule');
  } else {
    sink.report('key_missing', rule.at, "a rule needs 'detection' or 'correlation', a map");
  }
}

function parseLogSource(rule: YamlMap, sink: ProblemSink): LogSource {
  const entry = entryOf(rule, 'logsource');
  if (entry?.value.kind !== 'map') {
    sink.report('key_missing', entry?.keyAt ?? rule.at, "a detection needs a 'logsource'");
    return { product: null, service: null, category: null };
  }
  return {
    product: textEntry(entry.value, 'product', sink) ?? null,
    service: textEntry(entry.value, 'service', sink) ?? null,
    category: textEntry(entry.value, 'category', sink) ?? null,
  };
}

type Compiled = Omit<RuleSetCompiled, 'files' | 'warnings'>;
type CorrelationPlan = CorrelationRule & {
  readonly valueFields: readonly string[];
  /** Group-by fields per step, aliases resolved. */
  readonly groupFields: readonly (readonly string[])[];
};

function link(rules: readonly ParsedRule[], rulesetId: string): Compiled {
  const detections = rules.filter((rule) => rule.kind === 'detection');
  const plans: CorrelationPlan[] = [];
  const generating = new Set<number>();
  for (const rule of rules) {
    if (rule.kind !== 'correlation' || !rule.source) continue;
    const steps = rule.source.references.map(({ text, at }) => resolve(text, { at, rule, rules, detections }));
    const known = steps.filter((step) => step !== undefined);
    if (known.length !== steps.length) continue;
    if (rule.source.generate) for (const step of known) generating.add(step);
    plans.push(planOf(rule, rule.source, { index: plans.length, steps: known, detections, rulesetId }));
  }
  const feeds = detections.map((_, index) =>
    plans.flatMap((plan) =>
      plan.steps.flatMap((detection, step) => (detection === index ? [{ correlation: plan.index, step }] : [])),
    ),
  );
  const linked: DetectionRule[] = detections.map((rule, index) => ({
    index,
    id: rule.uid,
    name: rule.name,
    logSource: rule.logSource,
    falsePositives: rule.falsePositives,
    emitsFinding: feeds[index]?.length === 0 || generating.has(index),
    feeds: feeds[index] ?? [],
    description: {
      ...rule.description,
      type: 'detection',
      semantic_hash: hashOf([JSON.stringify([rule.logSource, rule.test ?? null])]),
      ruleset_id: rulesetId,
      timespan_ms: 0,
    },
  }));
  const matchers = detections.map((rule) => (rule.test ? compileTest(rule.test) : () => false));
  return {
    rulesetId,
    detections: linked,
    correlations: plans,
    timespanMsMax: Math.max(0, ...plans.map((plan) => plan.timespanMs)),
    matchEvent: (view, logSource) => matchEvent({ detections, matchers }, view, logSource),
    matchesOf: (view, matched) => matchesOf({ detections: linked, plans }, view, matched),
  };
}

/** A reference is an id or a name; it must name exactly one detection. */
function resolve(
  text: string,
  context: { at: Position; rule: RuleHead; rules: readonly ParsedRule[]; detections: readonly ParsedDetection[] },
): number | undefined {
  const named = context.rules.filter((rule) => rule.uid === text || rule.name === text);
  const target = named[0];
  const { sink } = context.rule;
  if (!target) sink.report('reference_unknown', context.at, `there is no rule with the id or name '${text}'`);
  else if (named.length > 1)
    sink.report('reference_ambiguous', context.at, `${named.length} rules have the id or name '${text}'`);
  else if (target.kind === 'correlation') {
    sink.report('unsupported', context.at, `'${text}' is a correlation: chains of correlations are not supported yet`);
  } else return context.detections.indexOf(target);
  return undefined;
}

function definitionOf(source: CorrelationSource): CorrelationDefinition {
  const isOrdered = source.type === 'temporal_ordered';
  return {
    type: source.type,
    spanMs: source.timespanMs,
    window: { kind: 'sliding' },
    bounds: isOrdered ? [] : [{ relation: 'gte', value: source.threshold }],
    percentile: null,
    temporal: null,
    ordered: isOrdered ? source.references.map((_, step) => ({ step, runs: 1, negated: false })) : [],
    strict: source.strict,
    gapMs: null,
    until: [],
    reuse: false,
    onMatch: 'suppress',
    suppressMs: null,
    expect: [],
    decided: 'arrival',
  };
}

function planOf(
  rule: RuleHead,
  source: CorrelationSource,
  context: { index: number; steps: readonly number[]; detections: readonly ParsedDetection[]; rulesetId: string },
): CorrelationPlan {
  const groupFields = context.steps.map((step) => {
    const target = context.detections[step];
    return source.groupBy.map((field) => {
      const alias = source.aliases.get(field);
      return alias?.get(target?.name ?? '') ?? alias?.get(target?.uid ?? '') ?? field;
    });
  });
  const tests = context.steps.map((step) => {
    const target = context.detections[step];
    return target ? [target.logSource, target.test ?? null] : null;
  });
  const semantics = [
    source.type,
    tests,
    groupFields,
    source.groupBy,
    source.timespanMs,
    source.threshold,
    source.fields,
    source.strict,
  ];
  const semanticHash = hashOf([JSON.stringify(semantics)]);
  return {
    index: context.index,
    uid: rule.uid,
    type: source.type,
    steps: context.steps,
    groupBy: source.groupBy,
    timespanMs: source.timespanMs,
    threshold: source.threshold,
    strict: source.strict,
    definition: definitionOf(source),
    stepSources: context.steps.map((detection) => ({ kind: 'detection', detection })),
    depth: 0,
    semanticHash,
    falsePositives: rule.falsePositives,
    valueFields: source.fields,
    groupFields,
    description: {
      ...rule.description,
      type: source.type,
      semantic_hash: semanticHash,
      ruleset_id: context.rulesetId,
      timespan_ms: source.timespanMs,
    },
  };
}

function matchEvent(
  { detections, matchers }: { detections: readonly ParsedDetection[]; matchers: readonly Matcher[] },
  view: FieldView,
  logSource: LogSource | null,
): readonly number[] {
  const matched: number[] = [];
  for (const [index, rule] of detections.entries()) {
    if ((logSource === null || covers(rule.logSource, logSource)) && matchers[index]?.(view)) matched.push(index);
  }
  return matched;
}

/** A rule's log source names what it needs; what it leaves out may be anything. */
function covers(rule: LogSource, event: LogSource): boolean {
  return same(rule.product, event.product) && same(rule.service, event.service) && same(rule.category, event.category);
}

function same(wanted: string | null, found: string | null): boolean {
  return wanted === null || (found !== null && wanted.toLowerCase() === found.toLowerCase());
}

function matchesOf(
  { detections, plans }: { detections: readonly DetectionRule[]; plans: readonly CorrelationPlan[] },
  view: FieldView,
  matched: readonly number[],
): RuleMatches {
  const matches: RuleMatch[] = [];
  const groupMissing: number[] = [];
  for (const index of matched) {
    for (const { correlation, step } of detections[index]?.feeds ?? []) {
      const plan = plans[correlation];
      if (!plan) continue;
      const keys = tuplesOf(view, plan.groupFields[step] ?? []);
      const values = plan.type === 'value_count' ? tuplesOf(view, plan.valueFields) : [null];
      if (keys.length === 0 || values.length === 0) groupMissing.push(correlation);
      // An event counts once, however many of the rules of a count it matches.
      const counted = plan.type === 'temporal_ordered' ? step : 0;
      for (const group_key of keys) {
        for (const value of values) matches.push({ rule: correlation, step: counted, group_key, value, number: null });
      }
    }
  }
  return { matches: sortedDistinct(matches), groupMissing };
}

function sortedDistinct(matches: readonly RuleMatch[]): readonly RuleMatch[] {
  if (matches.length < 2) return matches;
  const keyed = new Map(
    matches.map((match) => [JSON.stringify([match.rule, match.step, match.group_key, match.value]), match]),
  );
  return [...keyed.values()].sort(
    (a, b) =>
      a.rule - b.rule ||
      a.step - b.step ||
      compareText(a.group_key, b.group_key) ||
      compareText(a.value ?? '', b.value ?? ''),
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The group of an alert as people read it: field names with their values, in the order of `group-by`. */
export function groupOf(
  rule: Pick<CorrelationRule, 'groupBy'>,
  groupKey: string,
): { field: string; value: string | null }[] {
  const values = groupValues(groupKey);
  return rule.groupBy.map((field, index) => ({ field, value: values[index] ?? null }));
}
