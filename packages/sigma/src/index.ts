/**
 * Sigma rules: parse, compile, match. Pure: no I/O, no clock, no randomness. Rules come in as text, events as a
 * `FieldView`; out come the detections an event matches and the match records correlations are fed with. What this
 * version cannot run is refused at load with file, line, column and reason; it never becomes a silent "no match".
 */

export { meetsBounds } from './bounds.ts';
export type {
  CorrelationRule,
  DetectionRule,
  RuleDescription,
  RuleException,
  RuleFile,
  RuleSetCompiled,
} from './compiled-rules.ts';
export { type Condition, ConditionSyntaxError, parseCondition, selectionsOf } from './condition.ts';
export type {
  Bound,
  BoundRelation,
  CorrelationDefinition,
  CorrelationType,
  OnMatch,
  OrderedStep,
  StepExpression,
  StepSource,
  WindowShape,
} from './correlation-definition.ts';
export { decidedOf, isMonotone } from './correlation-rule.ts';
export {
  type ExceptionJson,
  exceptionJson,
  exceptionsBehind,
  exceptionsOver,
  exceptionText,
  hasExpired,
} from './exceptions-over.ts';
export type { PlaceholderLists } from './expand.ts';
export { blockersOf, type Explanation, explainTest, type LeafExplanation } from './explain.ts';
export { createJsonFieldView, type FieldView, type LogSource, type Scalar } from './field-view.ts';
export { groupKeyOf, groupValues } from './group-key.ts';
export { RULE_LIMITS, type RuleLimits } from './limits.ts';
export { createEventMatcher, type EventMatcher, type MatcherRule, type MatchWatch } from './match/event-matcher.ts';
export { compileTest, type Matcher } from './matcher.ts';
export type { Pipeline } from './pipeline/pipeline-definition.ts';
export { readPipeline } from './pipeline/read-pipeline.ts';
export { formatProblem, SigmaError, type SigmaProblem, type SigmaProblemCode } from './problems.ts';
export type { Feed, RuleMatch, RuleMatches } from './rule-matches.ts';
export { groupOf, loadRuleSet, type RuleSetOptions } from './rule-set.ts';
export { RULE_KEYS, RULE_LEVELS } from './rule-words.ts';
export type { Relation, Test, TimeUnit } from './test-tree.ts';
export type { Triage, TriageGuide } from './triage.ts';
export { type PatternPart, parsePattern } from './value-pattern.ts';
export { WARMING_FOLDER } from './warming.ts';
export {
  createProblemSink,
  type Position,
  type ProblemSink,
  readYamlDocuments,
  type YamlEntry,
  type YamlList,
  type YamlMap,
  type YamlNode,
  type YamlScalar,
} from './yaml-tree.ts';
