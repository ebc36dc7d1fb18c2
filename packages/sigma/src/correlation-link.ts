import { areLowerOnly } from './bounds.ts';
import type { CorrelationDefinition } from './correlation-definition.ts';
import { type CorrelationSource, decidedOf, parseCorrelation } from './correlation-rule.ts';
import type { RuleLimits } from './limits.ts';
import type { Pipeline } from './pipeline/pipeline-definition.ts';
import { type RenamedFields, renamedFields } from './pipeline/rule-pipelines.ts';
import type { ParsedCorrelation, ParsedDetection } from './rule-document.ts';
import { type NamedRule, type RuleNames, resolveReference } from './rule-names.ts';

/** A correlation whose every step leads to a rule that can be run. Indices are given later. */
export type LinkedCorrelation = {
  readonly rule: ParsedCorrelation;
  readonly source: CorrelationSource;
  readonly definition: CorrelationDefinition;
  readonly targets: readonly NamedRule[];
  readonly depth: number;
  /** Its span and those of the longest chain under it. */
  readonly horizonMs: number;
  readonly groupFields: readonly (readonly string[])[];
  readonly valueFields: readonly (readonly string[])[];
  readonly groupPositions: readonly (readonly number[])[];
  readonly valuePositions: readonly (readonly number[])[];
  readonly skipsNegative: boolean;
};

export type LinkOptions = {
  readonly limits: RuleLimits;
  readonly names: RuleNames;
  /** Are rules left out that stand on a refused one (and said to be)? Else the whole set is refused anyway. */
  readonly isLenient: boolean;
  readonly pipelines: readonly Pipeline[];
};

type Node = {
  readonly rule: ParsedCorrelation;
  readonly source: CorrelationSource | undefined;
  readonly targets: readonly (NamedRule | undefined)[];
};

/**
 * Links correlations from the inside out: those over detections first, then those over them. Cycles, chains that are
 * too deep and references to nothing are reported to the rule concerned; such rules have no entry in the result.
 */
export function linkCorrelations(
  correlations: readonly ParsedCorrelation[],
  options: LinkOptions,
): ReadonlyMap<ParsedCorrelation, LinkedCorrelation> {
  const nodes = new Map(correlations.map((rule) => [rule, readNode(rule, options)]));
  const linked = new Map<ParsedCorrelation, LinkedCorrelation>();
  const { order, cyclic } = sortInsideOut(nodes);
  for (const rule of cyclic) reportCycle(rule, nodes, cyclic);
  for (const rule of order) {
    const node = nodes.get(rule);
    const result = node && linkOne(node, linked, options);
    if (result) linked.set(rule, result);
  }
  if (options.isLenient) for (const rule of cyclic) rule.sink.hasFailed = true;
  return linked;
}

function readNode(rule: ParsedCorrelation, { limits, names }: LinkOptions): Node {
  const context = { limits, problems: rule.sink, warnings: rule.warnings, canonical: names.canonical };
  const source = parseCorrelation(rule.document, rule.correlation, context);
  return { rule, source, targets: source?.references.map((one) => resolveReference(one, rule, names)) ?? [] };
}

function innerOf(node: Node | undefined): readonly ParsedCorrelation[] {
  return [...new Set(node?.targets.filter((target) => target?.kind === 'correlation') ?? [])];
}

/** Kahn's order; what is left over is part of a cycle or stands on one. */
function sortInsideOut(nodes: ReadonlyMap<ParsedCorrelation, Node>): {
  readonly order: readonly ParsedCorrelation[];
  readonly cyclic: ReadonlySet<ParsedCorrelation>;
} {
  const waitingFor = new Map<ParsedCorrelation, number>();
  const outer = new Map<ParsedCorrelation, ParsedCorrelation[]>();
  for (const [rule, node] of nodes) {
    const inner = innerOf(node);
    waitingFor.set(rule, inner.length);
    for (const one of inner) {
      const above = outer.get(one);
      if (above) above.push(rule);
      else outer.set(one, [rule]);
    }
  }
  const order = [...nodes.keys()].filter((rule) => waitingFor.get(rule) === 0);
  for (const rule of order) {
    for (const above of outer.get(rule) ?? []) {
      const left = (waitingFor.get(above) ?? 0) - 1;
      waitingFor.set(above, left);
      if (left === 0) order.push(above);
    }
  }
  const done = new Set(order);
  return { order, cyclic: new Set([...nodes.keys()].filter((rule) => !done.has(rule))) };
}

/** Follows one way down from the rule until a rule comes again. */
function reportCycle(
  rule: ParsedCorrelation,
  nodes: ReadonlyMap<ParsedCorrelation, Node>,
  cyclic: ReadonlySet<ParsedCorrelation>,
): void {
  const path: ParsedCorrelation[] = [];
  let next: ParsedCorrelation | undefined = rule;
  while (next && !path.includes(next) && path.length <= CYCLE_SHOWN_MAX) {
    path.push(next);
    next = innerOf(nodes.get(next)).find((inner) => cyclic.has(inner));
  }
  const start = next ? path.indexOf(next) : -1;
  const shown = [...path.slice(Math.max(start, 0)), ...(next ? [next] : [])].map((one) => `'${one.name ?? one.uid}'`);
  const verb = start === 0 ? 'stands on itself' : 'stands on a cycle';
  rule.sink.report('reference_cycle', rule.correlation.at, `the correlation ${verb}: ${shown.join(' -> ')}`);
}

const CYCLE_SHOWN_MAX = 20;

function linkOne(
  { rule, source, targets: found }: Node,
  linked: ReadonlyMap<ParsedCorrelation, LinkedCorrelation>,
  options: LinkOptions,
): LinkedCorrelation | undefined {
  const targets = found.filter((target) => target !== undefined);
  if (!source || targets.length !== found.length || !standsOnSound(rule, targets, linked, options)) return undefined;
  const inner = targets.map((target) => (target.kind === 'correlation' ? linked.get(target) : undefined));
  const depth = Math.max(0, ...inner.map((one) => (one ? one.depth + 1 : 0)));
  if (depth > options.limits.depthOfChainsMax) {
    const message = `the chain is ${depth} correlations deep, more than ${options.limits.depthOfChainsMax}`;
    rule.sink.report('limit_exceeded', rule.correlation.at, message);
    return undefined;
  }
  const hasChainedStep = inner.some((one) => one !== undefined);
  const definition = { ...source.definition, decided: decidedOf(source.definition, hasChainedStep) };
  warnOfAliases(rule, source, targets);
  const { groupFields, valueFields } = fieldsOfSteps(rule, source, targets, options.pipelines);
  if (rule.sink.hasFailed) return undefined;
  const positionsOf = (fields: readonly (readonly string[])[]): readonly (readonly number[])[] =>
    fields.map((names, step) => names.map((name) => positionIn(inner[step], name)));
  const result: LinkedCorrelation = {
    rule,
    source,
    definition,
    targets,
    depth,
    horizonMs: definition.spanMs + Math.max(0, ...inner.map((one) => one?.horizonMs ?? 0)),
    groupFields,
    valueFields,
    groupPositions: positionsOf(groupFields),
    valuePositions: positionsOf(valueFields),
    skipsNegative: definition.type === 'value_sum' && areLowerOnly(definition.bounds),
  };
  return hasChainFields(result, inner) ? result : undefined;
}

/** False when a target was refused: in a lenient set that is then a problem of its own. */
function standsOnSound(
  rule: ParsedCorrelation,
  targets: readonly NamedRule[],
  linked: ReadonlyMap<ParsedCorrelation, LinkedCorrelation>,
  { isLenient }: LinkOptions,
): boolean {
  const broken = targets.find(
    (target) => target.sink.hasFailed || (target.kind === 'correlation' && !linked.has(target)),
  );
  if (broken && isLenient) {
    const place = `${broken.path}:${broken.at.line}`;
    const message = `it stands on '${broken.name ?? broken.uid}' (${place}), which is refused`;
    rule.sink.report('reference_refused', rule.correlation.at, message);
  }
  return !broken && !rule.sink.hasFailed;
}

/** The field that a group-by or value name stands for in one referenced rule. */
function aliased(field: string, target: NamedRule, { aliases }: CorrelationSource): string {
  const alias = aliases.get(field);
  return alias?.get(target.name ?? '') ?? alias?.get(target.uid) ?? field;
}

type StepFields = Pick<LinkedCorrelation, 'groupFields' | 'valueFields'>;

/**
 * Group and value fields per step: the field, what an alias makes of it, and what pipelines make of that where the rule
 * has its log source. The hit of a correlation has the names of its `group-by`, which pipelines leave alone.
 */
function fieldsOfSteps(
  rule: ParsedCorrelation,
  source: CorrelationSource,
  targets: readonly NamedRule[],
  pipelines: readonly Pipeline[],
): StepFields {
  const groupFields = targets.map((target) => source.groupBy.map((field) => aliased(field, target, source)));
  const valueFields = targets.map((target) => source.fields.map((field) => aliased(field, target, source)));
  if (pipelines.length === 0) return { groupFields, valueFields };
  const all = [...new Set([...groupFields, ...valueFields].flat())];
  const bySource = new Map<string, RenamedFields>();
  const renamed = (fields: readonly string[], step: number): readonly string[] => {
    const target = targets[step];
    if (target?.kind !== 'detection') return fields;
    const key = JSON.stringify(target.logSourceWritten);
    const names = bySource.get(key) ?? renamedFor(rule, target, all, pipelines);
    bySource.set(key, names);
    return fields.map((field) => oneName(field, names.get(field) ?? [field], rule, target));
  };
  return { groupFields: groupFields.map(renamed), valueFields: valueFields.map(renamed) };
}

function renamedFor(
  { document, description, sink }: ParsedCorrelation,
  target: ParsedDetection,
  fields: readonly string[],
  pipelines: readonly Pipeline[],
): RenamedFields {
  const facts = { document, tags: description.tags, fields, logSource: target.logSourceWritten };
  return renamedFields({ kind: 'correlation', ...facts }, pipelines, sink);
}

/** A hit belongs to one group, so a field of it has one name. */
function oneName(field: string, names: readonly string[], rule: ParsedCorrelation, target: ParsedDetection): string {
  const [name, another] = names;
  if (name !== undefined && another === undefined) return name;
  const found = names.length === 0 ? 'nothing' : names.join(', ');
  const message = `a pipeline maps '${field}' to ${found} for '${target.name ?? target.uid}', but a group or value field needs one name: name the one to take, in 'aliases' or in place of '${field}'`;
  rule.sink.report('value_invalid', rule.correlation.at, message);
  return field;
}

/** An alias that leaves a rule out, or names one that is not there, is most often a slip: the group is then missing. */
function warnOfAliases(rule: ParsedCorrelation, { aliases }: CorrelationSource, targets: readonly NamedRule[]): void {
  const warn = (message: string): void => rule.warnings.report('reference_unknown', rule.correlation.at, message);
  const distinct = [...new Set(targets)];
  const known = new Set(distinct.flatMap(({ uid, name }) => [uid, name]));
  for (const [alias, fields] of aliases) {
    const omitted = distinct.find(({ uid, name }) => !fields.has(uid) && !(name !== null && fields.has(name)));
    if (omitted) {
      const name = omitted.name ?? omitted.uid;
      warn(`alias '${alias}' says nothing of '${name}': there the field '${alias}' itself is taken`);
    }
    const stranger = [...fields.keys()].find((name) => !known.has(name));
    if (stranger !== undefined) {
      warn(`alias '${alias}' names '${stranger}', which is no rule of this correlation`);
    }
  }
}

/**
 * Where a field stands in the group key of an inner correlation: by its `group-by` name (an alias, maybe), else by a
 * field that this name stands for in one of its rules. -1 for nowhere.
 */
function positionIn(inner: LinkedCorrelation | undefined, field: string): number {
  if (!inner) return -1;
  const position = inner.source.groupBy.indexOf(field);
  if (position >= 0) return position;
  return inner.groupFields.map((fields) => fields.indexOf(field)).find((found) => found >= 0) ?? -1;
}

/** The hit of an inner correlation has no fields but its group: an outer field that is not there could never match. */
function hasChainFields(
  { rule, source, groupFields, valueFields, groupPositions, valuePositions }: LinkedCorrelation,
  inner: readonly (LinkedCorrelation | undefined)[],
): boolean {
  let isSound = true;
  for (const [step, one] of inner.entries()) {
    if (!one) continue;
    const missing = [
      ...(source.nullGroup ? [] : (groupFields[step] ?? []).filter((_, i) => groupPositions[step]?.[i] === -1)),
      ...(valueFields[step] ?? []).filter((_, i) => valuePositions[step]?.[i] === -1),
    ];
    if (missing.length === 0) continue;
    isSound = false;
    const message = `'${one.rule.name ?? one.rule.uid}' is grouped by ${one.source.groupBy.join(', ') || 'nothing'}: it has no '${missing.join("', '")}'`;
    rule.sink.report('value_invalid', rule.correlation.at, message);
  }
  return isSound;
}
