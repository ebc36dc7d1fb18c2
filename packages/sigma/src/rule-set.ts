import type {
  CorrelationRule,
  DetectionRule,
  RuleException,
  RuleFile,
  RuleSetCompiled,
  RuleText,
} from './compiled-rules.ts';
import type { CorrelationDefinition, StepSource } from './correlation-definition.ts';
import { type LinkedCorrelation, linkCorrelations } from './correlation-link.ts';
import { exceptionsOf } from './exception-link.ts';
import type { PlaceholderLists } from './expand.ts';
import { fieldPath } from './field-view.ts';
import { applyFilters, type FilterRule } from './filter-link.ts';
import { tagsOf, untagged } from './group-key.ts';
import { RULE_LIMITS, type RuleLimits } from './limits.ts';
import { createEventMatcher } from './match/event-matcher.ts';
import { type Overridden, type OverrideRule, readOverrides } from './override-link.ts';
import { inOrder } from './pipeline/apply-pipelines.ts';
import type { Pipeline } from './pipeline/pipeline-definition.ts';
import { SigmaError, type SigmaProblem } from './problems.ts';
import { createRuleSink, type ParsedDetection, parseRuleDocument } from './rule-document.ts';
import { formsOf, indexForms, thresholdOf } from './rule-forms.ts';
import { hashAll, hashOf } from './rule-hash.ts';
import { chainMatches, createEventMatches, type Feed, type MatchPlan } from './rule-matches.ts';
import { indexNames, type NamedRule } from './rule-names.ts';
import type { Test } from './test-tree.ts';
import { triageGuide } from './triage.ts';
import { type Layer, WARMING_FOLDER, warmingOf } from './warming.ts';
import { createProblemSink, readYamlDocuments } from './yaml-tree.ts';

export type RuleSetOptions = {
  /**
   * What to do when a rule cannot be run. `refuse-set` (default): throw. `refuse-rule`: leave the rule out, with
   * everything that stands on it, and say so in `refused`; rules are named, never silently without a match.
   */
  readonly onProblem?: 'refuse-set' | 'refuse-rule';
  /** Values of `%placeholders%` for the modifier `expand`, by name. */
  readonly expand?: PlaceholderLists;
  /** Field mappings and other changes that rules go through before they are compiled (`readPipeline`). */
  readonly pipelines?: readonly Pipeline[];
  /** In place of the defaults of `RULE_LIMITS`. */
  readonly limits?: Partial<RuleLimits>;
};

/**
 * Parses and compiles rule files: detections, correlations and filters. Pure: the same files and options give the
 * same set, in the same order.
 * @throws SigmaError listing every problem of every file, when any rule cannot be run; unless told to leave it out.
 */
export function loadRuleSet(files: readonly RuleFile[], options: RuleSetOptions = {}): RuleSetCompiled {
  const canonical = files
    .map(({ path, content }) => ({ path, content: content.replaceAll('\r\n', '\n') }))
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const problems: SigmaProblem[] = [];
  const warnings: SigmaProblem[] = [];
  const limits = { ...RULE_LIMITS, ...options.limits };
  const isLenient = options.onProblem === 'refuse-rule';
  const pipelines = inOrder(options.pipelines ?? []);
  const context = { problems, warnings, limits, isLenient, expand: options.expand ?? {}, pipelines };
  const isToCome = ({ path }: RuleFile): boolean => path.startsWith(WARMING_FOLDER);
  const inForce = readLayer(
    canonical.filter((file) => !isToCome(file)),
    context,
  );
  const warming = canonical.some(isToCome) ? warmingOf(inForce, readLayer(canonical.filter(isToCome), context)) : null;
  if (problems.length > 0 && !isLenient) throw new SigmaError(problems);
  const contents = canonical.flatMap(({ path, content }) => [path, content]);
  const rulesetId = hashOf([...contents, ...listsOf(options.expand), ...contentsOf(pipelines)]);
  const set = compile({ ...inForce, rulesetId }, warming);
  const applied = pipelines.map(({ path, content }) => ({ path, content }));
  const { exceptions } = inForce;
  return { ...set, rulesetId, exceptions, files: canonical, pipelines: applied, warnings, refused: problems };
}

type ReadingContext = {
  readonly problems: SigmaProblem[];
  readonly warnings: SigmaProblem[];
  readonly limits: RuleLimits;
  readonly isLenient: boolean;
  readonly expand: PlaceholderLists;
  readonly pipelines: readonly Pipeline[];
};

type LayerRead = Layer & {
  readonly overridden: readonly Overridden[];
  readonly exceptions: readonly RuleException[];
};

/** Reads and links files by the names they give. */
function readLayer(files: readonly RuleFile[], context: ReadingContext): LayerRead {
  const { limits, isLenient, pipelines } = context;
  const { rules, filters, overrides } = parseFiles(files, context);
  const twins = reportTwins(rules);
  const names = indexNames(isLenient ? rules.filter((rule) => !twins.has(rule)) : rules);
  const { tests, reached } = applyFilters(filters, rules, names);
  const linked = linkCorrelations(
    rules.filter((rule) => rule.kind === 'correlation'),
    { limits, names, isLenient, pipelines },
  );
  const overridden = readOverrides(overrides, { linked, names, limits });
  return { rules, tests, linked, overridden, exceptions: exceptionsOf(filters, reached, overridden) };
}

type ParsedFiles = {
  readonly rules: readonly NamedRule[];
  readonly filters: readonly FilterRule[];
  readonly overrides: readonly OverrideRule[];
};

function parseFiles(files: readonly RuleFile[], context: Omit<ReadingContext, 'isLenient'>): ParsedFiles {
  const { problems, warnings, limits, expand, pipelines } = context;
  const rules: NamedRule[] = [];
  const filters: FilterRule[] = [];
  const overrides: OverrideRule[] = [];
  for (const { path, content } of files) {
    const fileSink = createProblemSink(path, problems);
    for (const document of readYamlDocuments(content, fileSink, limits)) {
      if (document.kind !== 'map') {
        fileSink.report('not_a_map', document.at, 'a rule must be a map of keys');
        continue;
      }
      const documentContext = { sink: createRuleSink(path, problems), warnings: createProblemSink(path, warnings) };
      const rule = parseRuleDocument(document, { ...documentContext, limits, expand, pipelines });
      if (rule?.kind === 'filter') filters.push(rule);
      else if (rule?.kind === 'override') overrides.push(rule);
      else if (rule) rules.push(rule);
      if (rules.length + filters.length + overrides.length > limits.rulesMax) {
        fileSink.report('limit_exceeded', document.at, `the set has more than ${limits.rulesMax} rules`);
        return { rules, filters, overrides };
      }
    }
  }
  return { rules, filters, overrides };
}

/** Rules with the id of an earlier one. */
function reportTwins(rules: readonly NamedRule[]): ReadonlySet<NamedRule> {
  const first = new Map<string, NamedRule>();
  const twins = new Set<NamedRule>();
  for (const rule of rules) {
    const twin = first.get(rule.uid);
    if (twin) {
      const message = `'${rule.uid}' is also the id of the rule at ${twin.path}:${twin.at.line}`;
      rule.sink.report('duplicate_rule', rule.at, message);
      twins.add(rule);
    } else first.set(rule.uid, rule);
  }
  return twins;
}

/** Placeholder lists in an order of their own: what they hold is part of what the rules mean. */
function listsOf(lists: PlaceholderLists = {}): readonly string[] {
  const names = Object.keys(lists).sort();
  return names.length === 0 ? [] : [JSON.stringify(names.map((name) => [name, lists[name]]))];
}

function contentsOf(pipelines: readonly Pipeline[]): readonly string[] {
  return pipelines.length === 0 ? [] : [JSON.stringify({ pipelines: pipelines.map(({ content }) => content) })];
}

type Compilation = Layer & { readonly overridden: readonly Overridden[]; readonly rulesetId: string };
type Compiled = Omit<RuleSetCompiled, 'files' | 'pipelines' | 'exceptions' | 'warnings' | 'refused' | 'rulesetId'>;

function compile(inForce: Compilation, warming: Layer | null): Compiled {
  const { rulesetId } = inForce;
  const rules = [...inForce.rules, ...(warming?.rules ?? [])];
  const tests = new Map([...inForce.tests, ...(warming?.tests ?? [])]);
  const linked = new Map([...inForce.linked, ...(warming?.linked ?? [])]);
  const isWarming = new Set<NamedRule>(warming?.rules);
  const sound = rules.filter((rule) => !rule.sink.hasFailed);
  const parsed = sound.filter((rule) => rule.kind === 'detection' && tests.has(rule)) as ParsedDetection[];
  const ready = sound.flatMap((rule) => (rule.kind === 'correlation' ? (linked.get(rule) ?? []) : []));
  const indices = new Map<NamedRule, number>([
    ...parsed.map((rule, index) => [rule, index] as const),
    ...ready.map(({ rule }, index) => [rule, index] as const),
  ]);
  const hashes = hashAll(tests, linked, ready);
  const feedsOf = feedsByRule(ready);
  /** Whether a rule speaks for itself is decided by the set in force. */
  const isSpokenFor = (rule: NamedRule): boolean => {
    const feeds = feedsOf.get(rule) ?? [];
    return isSpoken(isWarming.has(rule) ? feeds : feeds.filter((feed) => !isWarming.has(ruleOf(ready, feed))), ready);
  };
  const detections = parsed.map((rule, index): DetectionRule => {
    const feeds = feedsOf.get(rule) ?? [];
    return {
      ...textOf(rule),
      index,
      id: rule.uid,
      name: rule.name,
      logSource: rule.logSource,
      test: tests.get(rule) as Test,
      fields: rule.fields,
      emitsFinding: !isWarming.has(rule) && isSpokenFor(rule),
      feeds,
      description: {
        ...rule.description,
        type: 'detection',
        semantic_hash: hashes.get(rule) ?? '',
        ruleset_id: rulesetId,
        timespan_ms: 0,
        triage: triageGuide(rule),
      },
    };
  });
  const rulesThemselves = ready.map((one, index) =>
    correlationOf(one, {
      index,
      indices,
      emitsAlert: isSpokenFor(one.rule),
      isWarming: isWarming.has(one.rule),
      rulesetId,
      feeds: feedsOf.get(one.rule) ?? [],
      hash: hashes.get(one.rule) ?? '',
    }),
  );
  const forms = formsOf({ linked, overridden: inForce.overridden }, { ready, hashes, correlations: rulesThemselves });
  const correlations = [...rulesThemselves, ...forms];
  const inOrganization = indexForms(forms);
  const plans = ready.map(planOf);
  const matcher = createEventMatcher(detections);
  const eventMatches = createEventMatches(plans);
  return {
    detections,
    correlations,
    timespanMsMax: Math.max(0, ...ready.map(({ horizonMs }) => horizonMs)),
    inOrganization,
    matchEvent: (view, logSource, watch) => matcher.match(view, logSource, watch),
    matchesOf: (view, matched) => {
      const [first, second] = matched;
      const feeds = first !== undefined && second === undefined ? detections[first]?.feeds : undefined;
      return eventMatches(view, feeds ?? matched.flatMap((index) => detections[index]?.feeds ?? []));
    },
    chainMatchesOf: (index, groupKey) => chainMatches(plans, groupKey, correlations[index]?.feeds ?? []),
  };
}

function textOf(rule: NamedRule): RuleText {
  const { path, falsePositives, references, date, modified, triage } = rule;
  return { path, line: rule.at.line, falsePositives, references, date, modified, triage };
}

/** A rule speaks for itself when nothing stands on it, or something that says `generate`. */
function isSpoken(feeds: readonly Feed[], ready: readonly LinkedCorrelation[]): boolean {
  return feeds.length === 0 || feeds.some(({ correlation }) => ready[correlation]?.source.generate === true);
}

function ruleOf(ready: readonly LinkedCorrelation[], { correlation }: Feed): NamedRule {
  return (ready[correlation] as LinkedCorrelation).rule; // Feeds are made of these.
}

function feedsByRule(ready: readonly LinkedCorrelation[]): ReadonlyMap<NamedRule, readonly Feed[]> {
  const feeds = new Map<NamedRule, Feed[]>();
  for (const [correlation, { targets }] of ready.entries()) {
    for (const [step, target] of targets.entries()) {
      const known = feeds.get(target);
      if (known) known.push({ correlation, step });
      else feeds.set(target, [{ correlation, step }]);
    }
  }
  return feeds;
}

function correlationOf(
  { rule, source, definition, targets, depth }: LinkedCorrelation,
  context: {
    readonly index: number;
    readonly indices: ReadonlyMap<NamedRule, number>;
    readonly emitsAlert: boolean;
    readonly isWarming: boolean;
    readonly feeds: readonly Feed[];
    readonly rulesetId: string;
    readonly hash: string;
  },
): CorrelationRule {
  const stepSources = targets.map((target): StepSource => {
    const index = context.indices.get(target) ?? -1;
    return target.kind === 'detection'
      ? { kind: 'detection', detection: index }
      : { kind: 'correlation', correlation: index };
  });
  return {
    ...textOf(rule),
    index: context.index,
    uid: rule.uid,
    name: rule.name,
    type: nearestType(definition),
    steps: stepSources.map((step) => (step.kind === 'detection' ? step.detection : -1)),
    groupBy: source.groupBy,
    valueFields: source.fields,
    timespanMs: definition.spanMs,
    threshold: thresholdOf(definition),
    strict: definition.strict,
    definition,
    stepSources,
    depth,
    feeds: context.feeds,
    emitsAlert: context.emitsAlert,
    semanticHash: context.hash,
    override: null,
    isWarming: context.isWarming,
    description: {
      ...rule.description,
      type: definition.type,
      semantic_hash: context.hash,
      ruleset_id: context.rulesetId,
      timespan_ms: definition.spanMs,
      triage: triageGuide(rule),
    },
  };
}

function nearestType({ type }: CorrelationDefinition): CorrelationRule['type'] {
  if (type === 'temporal' || type === 'temporal_ordered') return 'temporal_ordered';
  return type === 'value_count' ? type : 'event_count';
}

function planOf(one: LinkedCorrelation, index: number): MatchPlan {
  const { groupFields, valueFields, groupPositions, valuePositions, skipsNegative } = one;
  const { nullGroup } = one.source;
  const { type } = one.definition;
  const paths = (steps: LinkedCorrelation['groupFields']): MatchPlan['groupFields'] =>
    steps.map((fields) => fields.map(fieldPath));
  return {
    index,
    type,
    groupFields: paths(groupFields),
    valueFields: paths(valueFields),
    groupPositions,
    valuePositions,
    nullGroup,
    skipsNegative,
  };
}

/** The group of an alert as people read it: field names with their values, in the order of `group-by`. */
export function groupOf(
  rule: Pick<CorrelationRule, 'groupBy'>,
  groupKey: string,
): { field: string; value: string | null }[] {
  const tags = tagsOf(groupKey);
  return rule.groupBy.map((field, index) => {
    const tagged = tags[index];
    return { field, value: tagged === undefined ? null : untagged(tagged) };
  });
}
