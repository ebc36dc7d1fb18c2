import {
  type Bound,
  type CorrelationDefinition,
  type CorrelationRule,
  type Feed,
  loadRuleSet,
  type OrderedStep,
  type RuleMatch,
  type RuleMatches,
  type RuleSetCompiled,
  type StepExpression,
  type StepSource,
} from '@tracehound/sigma';
import { correlationOf } from './definitions.ts';
import { isMonotone } from './model.ts';
import { createRandom, type Random } from './random.ts';
import type { World, WorldEvent, WorldHit, WorldRule } from './world.ts';

type CorrelationType = CorrelationDefinition['type'];

/** Parts of the rule language a world may draw on. The engine runs them all. */
export const WORLD_PARTS = [
  'event_count',
  'value_count',
  'temporal_ordered',
  'value_sum',
  'temporal',
  'value_avg',
  'value_percentile',
  'value_rarity',
  'bounds',
  'negation',
  'until',
  'runs',
  'gap',
  'reuse',
  'tumbling',
  'session',
  'reset',
  'every',
  'suppress_ms',
  'expect',
  'chain',
] as const;
export type WorldPart = (typeof WORLD_PARTS)[number];

const TYPES: readonly (CorrelationType & WorldPart)[] = [
  'event_count',
  'value_count',
  'temporal_ordered',
  'value_sum',
  'temporal',
  'value_avg',
  'value_percentile',
  'value_rarity',
];
/** Types on which a part shows. */
const TYPES_OF_PART: Readonly<Partial<Record<WorldPart, readonly CorrelationType[]>>> = {
  bounds: ['event_count', 'value_count', 'value_sum'],
  negation: ['temporal', 'temporal_ordered'],
  until: ['temporal_ordered'],
  runs: ['temporal_ordered'],
  gap: ['temporal_ordered'],
  reuse: ['temporal', 'temporal_ordered'],
  reset: ['event_count', 'value_count', 'value_sum', 'temporal', 'temporal_ordered'],
  every: ['event_count', 'value_count', 'value_sum', 'temporal', 'temporal_ordered'],
  suppress_ms: ['event_count', 'value_count', 'value_sum', 'temporal', 'temporal_ordered'],
  expect: ['event_count'],
};

export type RichWorldOptions = {
  readonly parts: readonly WorldPart[];
  /** A part that the first rule shows for sure, as far as it can. */
  readonly focus?: WorldPart;
};

type Draw = { readonly random: Random; readonly parts: ReadonlySet<WorldPart>; readonly focus: WorldPart | undefined };

/** Rules, events and lateness depend on the seed and the options alone: several arrivals of one world are comparable. */
export function createRichWorld(seed: number, options: RichWorldOptions): World {
  const random = createRandom(seed ^ 0x1f123bb5);
  const spanMs = random.pick([1000, 7000, 60_000, 3_600_000, 8 * 3_600_000]);
  const unitMs = spanMs / 20;
  const draw: Draw = { random, parts: new Set(options.parts), focus: options.focus };
  const groups = random.pick([['g0'], ['g0', 'g1']]);
  const chained = draw.parts.has('chain') && (options.focus === 'chain' || random.chance(0.2));
  const plans = [
    planOf(draw, {
      spanMs,
      groups,
      chained: [],
      groupBy: chained ? random.pick([['group'], ['group', 'value']]) : undefined,
    }),
    planOf(other(draw), { spanMs: random.pick([spanMs, spanMs / 2]), groups, chained: [] }),
  ];
  if (chained) {
    const inner = [{ plan: plans[0] as Plan, index: 0 }];
    if (random.chance(0.3)) inner.push({ plan: plans[1] as Plan, index: 1 });
    plans.push(planOf(other(draw), { spanMs: random.pick([spanMs, 2 * spanMs]), groups, chained: inner }));
    // A chain of chains now and then.
    if (random.chance(0.3)) {
      const middle = [{ plan: plans[2] as Plan, index: 2 }];
      plans.push(planOf(other(draw), { spanMs: 2 * spanMs, groups, chained: middle }));
    }
  }
  return {
    ruleSet: ruleSetOf(seed, plans),
    rules: plans.map(worldRule),
    latenessMs: random.pick([2, 10, 30, 60]) * unitMs + random.pick([3000, 120_000]),
    sources: 1 + random.below(3),
    events: eventsOf(random, { spanMs, unitMs, groups }),
  };
}

/** The focus is the first rule's alone; the others keep the draw rich. */
function other(draw: Draw): Draw {
  return { ...draw, focus: undefined };
}

const STEPS = 4;

function eventsOf(
  random: Random,
  { spanMs, unitMs, groups }: { readonly spanMs: number; readonly unitMs: number; readonly groups: readonly string[] },
): WorldEvent[] {
  const frameMs = Math.ceil(86_400_000 / spanMs) * spanMs;
  // Begin shortly before a frame boundary, so that worlds of short spans cross one too.
  let timeMs = 20_000 * frameMs - random.below(120) * unitMs;
  const dense = random.chance(0.5);
  const coarse = random.chance(0.3) ? 5 : 1;
  const multiStep = random.chance(0.5);
  const numbered = random.chance(0.4);
  const organizations = random.pick([['acme'], ['acme'], ['acme', 'umbrella']]);
  return Array.from({ length: 8 + random.below(33) }, (_, index) => {
    timeMs += random.pick(dense ? [0, 0, 0, 1, 1, 2, 6] : [0, 1, 4, 9, 18, 20, 21, 40]) * unitMs;
    const step = random.pick([0, 0, 0, 1, 1, 2, 3]);
    return {
      id: `e${String(random.below(10 ** 6)).padStart(6, '0')}-${index}`,
      timeMs: Math.floor(timeMs / (unitMs * coarse)) * unitMs * coarse,
      organization: random.pick(organizations),
      group: `["s:${random.pick(groups)}"]`,
      steps: multiStep && random.chance(0.4) ? [...new Set([step, random.below(STEPS)])].sort() : [step],
      value: `["s:${random.pick(['alice', 'bob', 'carol', 'dave'])}"]`,
      number: random.chance(0.1) ? null : random.below(12) - 2,
      instance: numbered ? random.pick(['i1', 'i2', null]) : null,
      sequence: numbered ? random.below(1000) : null,
    };
  });
}

type Plan = {
  readonly definition: CorrelationDefinition;
  readonly sources: readonly StepSource[];
  readonly groupBy: readonly string[];
  readonly valueFields: readonly string[];
  readonly depth: number;
};
type Inner = { readonly plan: Plan; readonly index: number };
type PlanOptions = {
  readonly spanMs: number;
  readonly groups: readonly string[];
  readonly chained: readonly Inner[];
  readonly groupBy?: readonly string[] | undefined;
};

function planOf({ random, parts, focus }: Draw, { spanMs, groups, chained, groupBy }: PlanOptions): Plan {
  const has = (part: WorldPart, probability: number): boolean =>
    focus === part || (parts.has(part) && random.chance(probability));
  const known = TYPES.filter((type) => parts.has(type));
  const focused =
    focus === undefined ? known : (TYPES_OF_PART[focus] ?? (known.includes(focus as never) ? [focus] : known));
  const type = random.pick(known.filter((candidate) => focused.includes(candidate)));
  const steps = 2 + random.below(3);
  const expected = type === 'event_count' && chained.length === 0 && has('expect', 0.1);
  const windowed = focus === 'tumbling' || focus === 'session' ? focus : random.pick(['tumbling', 'session'] as const);
  const shape = expected ? 'tumbling' : has(windowed, 0.15) ? windowed : 'sliding';
  const modes = (['reset', 'every'] as const).filter((mode) => parts.has(mode));
  const mode =
    focus === 'reset' || focus === 'every'
      ? focus
      : modes.length > 0 && random.chance(0.2)
        ? random.pick(modes)
        : 'suppress';
  const negates = has('negation', 0.2);
  const definition = correlationOf({
    type,
    spanMs,
    window:
      shape === 'session' ? { kind: shape, gapMs: Math.floor(spanMs / random.pick([2, 4, 10])) } : { kind: shape },
    bounds: expected ? [random.pick(ABSENCE_BOUNDS)] : boundsOf(type, { random, upper: has('bounds', 0.2) }),
    percentile: type === 'value_percentile' ? random.pick([0, 25, 50, 50, 75, 100]) : null,
    temporal: type === 'temporal' ? expressionOf(random, { steps, negates }) : null,
    ordered: type === 'temporal_ordered' ? orderedOf(random, { steps, negates, runs: has('runs', 0.2) }) : [],
    strict: type === 'temporal_ordered' && random.chance(0.2),
    gapMs: type === 'temporal_ordered' && has('gap', 0.2) ? Math.floor(spanMs / random.pick([2, 4, 20])) : null,
    until: type === 'temporal_ordered' && steps < STEPS && has('until', 0.2) ? [steps] : [],
    reuse: (type === 'temporal' || type === 'temporal_ordered') && has('reuse', 0.2),
    onMatch: mode,
    suppressMs:
      mode === 'suppress' && has('suppress_ms', 0.2) ? Math.floor(spanMs * random.pick([0.3, 1, 2, 5])) : null,
    expect: expected ? [...groups.slice(0, 1), 'g9'].map((group) => JSON.stringify([`s:${group}`])) : [],
  });
  const sources = Array.from({ length: STEPS }, (_, step): StepSource => ({ kind: 'detection', detection: step }));
  for (const { index } of chained) sources[index % 2] = { kind: 'correlation', correlation: index };
  const isCounted = type !== 'temporal' && type !== 'temporal_ordered';
  const inner = chained[0]?.plan;
  const shared = ['group', 'value'].filter((field) => chained.every(({ plan }) => plan.groupBy.includes(field)));
  const plan = {
    definition,
    sources: isCounted ? sources.slice(0, Math.max(chained.length, random.pick([1, 2]))) : sources,
    // Listed groups are of one value: a key has as many values as the rule has fields.
    groupBy: expected
      ? ['group']
      : (groupBy ?? (inner ? random.pick([['group'], shared]) : random.pick([['group'], ['group'], ['group'], []]))),
    valueFields: ['value_count', 'value_rarity', 'value_sum', 'value_avg', 'value_percentile'].includes(type)
      ? [type === 'value_count' || type === 'value_rarity' ? 'value' : 'number']
      : [],
    depth: chained.length === 0 ? 0 : 1 + Math.max(...chained.map(({ plan: { depth } }) => depth)),
  };
  const onArrival = definition.decided === 'arrival' && plan.depth === 0;
  return { ...plan, definition: { ...definition, decided: onArrival ? 'arrival' : 'watermark' } };
}

const ABSENCE_BOUNDS: readonly Bound[] = [
  { relation: 'lt', value: 1 },
  { relation: 'lte', value: 0 },
  { relation: 'lt', value: 3 },
  { relation: 'eq', value: 0 },
  { relation: 'eq', value: 1 },
];

/** Numbers are small and whole, ranks are quarters: every sum, mean and interpolation is exact in a double. */
function boundsOf(
  type: CorrelationType,
  { random, upper }: { readonly random: Random; readonly upper: boolean },
): Bound[] {
  const bound = (relation: Bound['relation'], value: number): Bound => ({ relation, value });
  switch (type) {
    case 'event_count':
    case 'value_count': {
      const least = type === 'event_count' ? random.pick([1, 2, 3, 3, 5]) : random.pick([2, 2, 3, 4]);
      if (!upper) return [random.chance(0.8) ? bound('gte', least) : bound('gt', least - 1)];
      return random.pick([
        [bound('lt', least)],
        [bound('lte', least)],
        [bound('eq', least)],
        [bound('neq', least)],
        [bound('gte', least), bound('lt', least + 2)],
      ]);
    }
    case 'value_sum':
      return upper
        ? [random.pick([bound('lt', 10), bound('lte', 3), bound('eq', 7), bound('neq', 5)])]
        : [random.pick([bound('gte', 10), bound('gt', 4), bound('gte', 25.5)])];
    case 'value_avg':
    case 'value_percentile':
      return [bound(random.pick(['lt', 'lte', 'gt', 'gte', 'eq', 'neq']), random.pick([2, 4, 4.5, 6]))];
    case 'value_rarity':
      return [bound(random.pick(['lt', 'lte']), random.pick([10, 20, 25, 50]))];
    case 'temporal':
    case 'temporal_ordered':
      return [];
  }
}

function expressionOf(
  random: Random,
  { steps, negates }: { readonly steps: number; readonly negates: boolean },
): StepExpression {
  const all = Array.from({ length: steps }, (_, step) => step);
  const step = (index: number): StepExpression => ({ op: 'step', step: index });
  const positive = random.pick<StepExpression>([
    { op: 'and', of: all.map(step) },
    { op: 'at_least', count: 1 + random.below(steps), steps: all },
    { op: 'or', of: [step(0), { op: 'and', of: all.slice(1).map(step) }] },
    { op: 'and', of: [step(0), { op: 'or', of: all.slice(1).map(step) }] },
  ]);
  if (!negates) return positive;
  const absent = random.below(steps);
  const present = all.filter((index) => index !== absent);
  return random.pick<StepExpression>([
    { op: 'and', of: [...present.map(step), { op: 'not', of: step(absent) }] },
    {
      op: 'and',
      of: [
        { op: 'or', of: present.map(step) },
        { op: 'not', of: step(absent) },
      ],
    },
    {
      op: 'or',
      of: [
        { op: 'and', of: [step(0), { op: 'not', of: step(1) }] },
        { op: 'and', of: [step(1), { op: 'not', of: step(0) }] },
      ],
    },
    { op: 'and', of: [step(present[0] as number), { op: 'not', of: { op: 'at_least', count: 1, steps: [absent] } }] },
  ]);
}

function orderedOf(
  random: Random,
  { steps, negates, runs }: { readonly steps: number; readonly negates: boolean; readonly runs: boolean },
): OrderedStep[] {
  const negated = negates ? random.below(steps) : -1;
  return Array.from({ length: steps }, (_, step) => ({
    step,
    runs: runs && step !== negated ? random.pick([1, 2, 3]) : 1,
    negated: step === negated,
  }));
}

function worldRule(plan: Plan, index: number): WorldRule {
  const { definition, sources, groupBy } = plan;
  const counted = definition.type !== 'temporal' && definition.type !== 'temporal_ordered';
  const values = definition.type === 'value_count' || definition.type === 'value_rarity';
  const numbers = plan.valueFields.length > 0 && !values;
  const dropsNegative = definition.type === 'value_sum' && isMonotone(definition);
  const hitsOf = (event: WorldEvent): readonly WorldHit[] => {
    const number = event.number ?? null;
    if (numbers && (number === null || (dropsNegative && number < 0))) return [];
    const tagged = { group: tagOf(event.group), value: tagOf(event.value) };
    const group = JSON.stringify(groupBy.map((field) => tagged[field as keyof typeof tagged]));
    const steps = sources.flatMap((source, step) =>
      source.kind === 'detection' && event.steps.includes(source.detection) ? [step] : [],
    );
    const known = counted ? steps.slice(0, 1).map(() => 0) : steps.filter((step) => isAsked(definition, step));
    return known.map((step) => ({ group, step, value: values ? event.value : null, number: numbers ? number : null }));
  };
  return { uid: uidOf(plan, index), spanMs: definition.spanMs, definition, hitsOf };
}

/** Steps are those of the text: the rule has no others. */
function isAsked({ temporal, ordered, until }: CorrelationDefinition, step: number): boolean {
  return (
    (temporal !== null && JSON.stringify(temporal).match(/\d+/g)?.includes(String(step)) === true) ||
    ordered.some((entry) => entry.step === step) ||
    until.includes(step)
  );
}

function tagOf(tuple: string): string {
  return String((JSON.parse(tuple) as unknown[])[0]);
}

function uidOf({ definition }: Plan, index: number): string {
  return `rule ${index}: ${definition.type}`;
}

/**
 * A compiled set around the plans. The definitions are put in by hand: what Sigma text becomes them is the concern of
 * the parser's own tests, and a world must not lack what the parser cannot say yet.
 */
function ruleSetOf(seed: number, plans: readonly Plan[]): RuleSetCompiled {
  const base = loadRuleSet([{ path: 'world.yml', content: TEMPLATE }]);
  const template = base.correlations[0] as CorrelationRule;
  const rulesetId = `world ${seed} ${plans.map(({ definition }) => JSON.stringify(definition)).join()}`;
  const correlations = plans.map((plan, index) => {
    const { definition } = plan;
    const semanticHash = `semantics of ${JSON.stringify([definition, plan.sources, plan.groupBy])}`;
    return {
      ...template,
      index,
      uid: uidOf(plan, index),
      type: definition.type as CorrelationRule['type'],
      steps: plan.sources.flatMap((source) => (source.kind === 'detection' ? [source.detection] : [])),
      stepSources: plan.sources,
      groupBy: plan.groupBy,
      groupFields: plan.sources.map(() => plan.groupBy),
      valueFields: plan.valueFields,
      timespanMs: definition.spanMs,
      threshold: definition.ordered.length > 0 ? definition.ordered.length : leastOf(definition.bounds[0]),
      strict: definition.strict,
      definition,
      depth: plan.depth,
      feeds: feedsOf(plans, index),
      semanticHash,
      description: {
        ...template.description,
        rule_id: uidOf(plan, index),
        type: definition.type,
        semantic_hash: semanticHash,
        ruleset_id: rulesetId,
        timespan_ms: definition.spanMs,
      },
    };
  });
  const timespanMsMax = Math.max(...plans.map(({ definition }) => definition.spanMs));
  const chainMatchesOf = (index: number, groupKey: string): RuleMatches => ({
    matches: feedsOf(plans, index).flatMap(({ correlation, step }) =>
      chainMatch(plans, { inner: index, outer: correlation, step }, groupKey),
    ),
    groupMissing: [],
  });
  return { ...base, rulesetId, correlations, timespanMsMax, chainMatchesOf };
}

function feedsOf(plans: readonly Plan[], inner: number): Feed[] {
  return plans.flatMap(({ sources }, correlation) =>
    sources.flatMap((source, step) =>
      source.kind === 'correlation' && source.correlation === inner ? [{ correlation, step }] : [],
    ),
  );
}

/** Section 7: what a hit of an inner correlation is to an outer one, by the fields both group by. */
function chainMatch(
  plans: readonly Plan[],
  at: { readonly inner: number; readonly outer: number; readonly step: number },
  groupKey: string,
): RuleMatch[] {
  const { groupBy: fields } = plans[at.inner] as Plan;
  const { definition, groupBy, valueFields } = plans[at.outer] as Plan;
  const tags = JSON.parse(groupKey) as unknown[];
  const pick = (wanted: readonly string[]): string =>
    JSON.stringify(wanted.map((field) => tags[fields.indexOf(field)]));
  if (![...groupBy, ...valueFields].every((field) => fields.includes(field))) return [];
  const isStepped = definition.type === 'temporal' || definition.type === 'temporal_ordered';
  if (isStepped && !isAsked(definition, at.step)) return [];
  const value = valueFields.length > 0 ? pick(valueFields) : null;
  return [{ rule: at.outer, step: isStepped ? at.step : 0, group_key: pick(groupBy), value, number: null }];
}

/** The first engine's threshold: the least count that meets a lower bound. */
function leastOf(bound: Bound | undefined): number {
  return bound === undefined ? 0 : bound.value + (bound.relation === 'gt' ? 1 : 0);
}

const TEMPLATE = `title: step
name: step_0
logsource: {product: test}
detection: {s: {type: step_0}, condition: s}
---
title: template
name: template
correlation:
  type: event_count
  rules: [step_0]
  group-by: [group]
  timespan: 1m
  condition: {gte: 1}
`;
