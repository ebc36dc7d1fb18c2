import { type Drafts, parseDetection } from './detection.ts';
import type { PlaceholderLists } from './expand.ts';
import type { LogSource } from './field-view.ts';
import type { RuleLimits } from './limits.ts';
import type { Pipeline } from './pipeline/pipeline-definition.ts';
import { rewritten, ruleDraftOf } from './pipeline/rule-pipelines.ts';
import type { SigmaProblem, SigmaProblemCode } from './problems.ts';
import { type Responsibility, readResponsibility } from './rule-exception.ts';
import { type ParsedFilter, parseFilter } from './rule-filter.ts';
import { type ParsedOverride, parseOverride } from './rule-override.ts';
import { RULE_KEYS, RULE_LEVELS } from './rule-words.ts';
import type { Test } from './test-tree.ts';
import { readTriage, type Triage } from './triage.ts';
import {
  createProblemSink,
  entryOf,
  type Position,
  type ProblemSink,
  textEntry,
  textListEntry,
  type YamlMap,
} from './yaml-tree.ts';

/** What the head of a rule says, whatever its kind. */
export type RuleHead = {
  /** Id, else name, else title. */
  readonly uid: string;
  readonly name: string | null;
  readonly path: string;
  readonly at: Position;
  /** Problems of this rule; `hasFailed` from the first one on. */
  readonly sink: RuleSink;
  readonly warnings: ProblemSink;
  readonly falsePositives: readonly string[];
  readonly references: readonly string[];
  readonly fields: readonly string[];
  readonly date: string | null;
  readonly modified: string | null;
  readonly triage: Triage | null;
  readonly description: {
    readonly rule_id: string;
    readonly title: string;
    readonly level: string;
    readonly author: string | null;
    readonly description: string | null;
    readonly status: string | null;
    readonly tags: string[];
  };
};

export type ParsedDetection = RuleHead & {
  readonly kind: 'detection';
  readonly logSource: LogSource;
  /** As the rule has it, before pipelines. */
  readonly logSourceWritten: LogSource;
  readonly test: Test | undefined;
};
/** Read as a whole only when the names of all rules are known. */
export type ParsedCorrelation = RuleHead & {
  readonly kind: 'correlation';
  readonly document: YamlMap;
  readonly correlation: YamlMap;
};
/** Who answers for a filter or an override, beside what it says. */
export type Answered = RuleHead & { readonly responsibility: Responsibility };
export type ParsedRule = ParsedDetection | ParsedCorrelation | (Answered & ParsedFilter) | (Answered & ParsedOverride);

/** A sink that remembers whether anything was reported to it. */
export type RuleSink = ProblemSink & { hasFailed: boolean };

export function createRuleSink(path: string, into: SigmaProblem[]): RuleSink {
  const inner = createProblemSink(path, into);
  const sink: RuleSink = {
    path,
    hasFailed: false,
    report(code: SigmaProblemCode, at: Position, message: string) {
      sink.hasFailed = true;
      inner.report(code, at, message);
    },
  };
  return sink;
}

export type DocumentContext = {
  readonly sink: RuleSink;
  readonly warnings: ProblemSink;
  readonly limits: RuleLimits;
  readonly expand: PlaceholderLists;
  /** In the order in which they are applied. */
  readonly pipelines: readonly Pipeline[];
};

/** Reads one document of a rule file. Undefined when it is no rule at all; everything else is reported to the sink. */
export function parseRuleDocument(rule: YamlMap, context: DocumentContext): ParsedRule | undefined {
  const { sink, warnings, limits, expand, pipelines } = context;
  const action = entryOf(rule, 'action');
  if (action) {
    const hint = "'action' belongs to Sigma 1: write each rule out, with its own title, logsource and detection";
    sink.report('unsupported', action.keyAt, hint);
    return undefined;
  }
  warnOfKeys(rule, warnings);
  const head = readHead(rule, context);
  const parts = ['detection', 'correlation', 'filter', 'override'].flatMap((key) => entryOf(rule, key) ?? []);
  const [part, second] = parts;
  if (second) {
    sink.report('value_invalid', second.keyAt, 'a rule is one of: detection, correlation, filter, override');
    return undefined;
  }
  if (part?.value.kind !== 'map') {
    sink.report(
      'key_missing',
      part?.keyAt ?? rule.at,
      "a rule needs 'detection', 'correlation', 'filter' or 'override', a map",
    );
    return undefined;
  }
  if (part.key === 'correlation') return { ...head, kind: 'correlation', document: rule, correlation: part.value };
  if (part.key === 'override') {
    const responsibility = readResponsibility(rule, 'override', context);
    return { ...head, responsibility, ...parseOverride(part.value, sink) };
  }
  if (part.key === 'filter') {
    const logSource = readLogSource(rule, sink, false);
    const rewriteFor = (source: LogSource | null) => {
      const facts = {
        kind: 'filter',
        document: rule,
        logSource: source,
        tags: head.description.tags,
        fields: [],
      } as const;
      return (written: Drafts['selections']) => rewritten(ruleDraftOf(facts), written, { pipelines, sink });
    };
    const options = { limits, expand, logSource, rewriteFor: pipelines.length === 0 ? undefined : rewriteFor };
    const responsibility = readResponsibility(rule, 'filter', context);
    return { ...head, responsibility, ...parseFilter(part.value, sink, options) };
  }
  const logSource = readLogSource(rule, sink, true) ?? { product: null, service: null, category: null };
  const { fields, description } = head;
  const draft = ruleDraftOf({ kind: 'detection', document: rule, logSource, tags: description.tags, fields });
  const rewrite = (written: Drafts['selections']) => rewritten(draft, written, { pipelines, sink });
  const options = { limits, expand, rewrite: pipelines.length === 0 ? undefined : rewrite };
  const test = parseDetection(part.value, sink, options);
  return {
    ...head,
    kind: 'detection',
    fields: [...draft.fields.values()].flatMap((names) => names.map(({ name }) => name)),
    logSource: draft.logSource,
    logSourceWritten: logSource,
    test,
  };
}

function warnOfKeys(rule: YamlMap, warnings: ProblemSink): void {
  for (const { key, keyAt } of rule.entries) {
    if (!RULE_KEYS.includes(key) && !key.startsWith('x-')) {
      warnings.report('key_unknown', keyAt, `Sigma has no key '${key}': it has no effect`);
    }
  }
}

function readHead(rule: YamlMap, { sink, warnings }: DocumentContext): RuleHead {
  const title = textEntry(rule, 'title', sink);
  if (title === undefined) sink.report('key_missing', rule.at, "a rule needs a 'title'");
  const level = textEntry(rule, 'level', sink)?.toLowerCase() ?? 'medium';
  if (!RULE_LEVELS.includes(level)) {
    const at = entryOf(rule, 'level')?.keyAt ?? rule.at;
    sink.report('value_invalid', at, `'level' must be one of ${RULE_LEVELS.join(', ')}`);
  }
  const name = textEntry(rule, 'name', sink) ?? null;
  const uid = textEntry(rule, 'id', sink) ?? name ?? title ?? '';
  const texts = (key: string): string[] => textListEntry(rule, key, sink).map(({ text }) => text);
  return {
    uid,
    name,
    path: sink.path,
    at: rule.at,
    sink,
    warnings,
    falsePositives: texts('falsepositives'),
    references: texts('references'),
    fields: texts('fields'),
    date: textEntry(rule, 'date', sink) ?? null,
    modified: textEntry(rule, 'modified', sink) ?? null,
    triage: readTriage(rule, warnings),
    description: {
      rule_id: uid,
      title: title ?? '',
      level,
      author: textEntry(rule, 'author', sink) ?? null,
      description: textEntry(rule, 'description', sink) ?? null,
      status: textEntry(rule, 'status', sink) ?? null,
      tags: texts('tags'),
    },
  };
}

function readLogSource(rule: YamlMap, sink: ProblemSink, isNeeded: boolean): LogSource | null {
  const entry = entryOf(rule, 'logsource');
  if (entry?.value.kind !== 'map') {
    if (entry || isNeeded)
      sink.report('key_missing', entry?.keyAt ?? rule.at, "a detection needs a 'logsource', a map");
    return null;
  }
  return {
    product: textEntry(entry.value, 'product', sink) ?? null,
    service: textEntry(entry.value, 'service', sink) ?? null,
    category: textEntry(entry.value, 'category', sink) ?? null,
  };
}
