import type { CorrelationDefinition, StepSource } from './correlation-definition.ts';
import type { FieldView, LogSource } from './field-view.ts';
import type { MatchWatch } from './match/event-matcher.ts';
import type { SigmaProblem } from './problems.ts';
import type { Feed, RuleMatches } from './rule-matches.ts';
import type { Test } from './test-tree.ts';
import type { Triage, TriageGuide } from './triage.ts';

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
  readonly triage: TriageGuide | null;
};

/** Where a rule stands, and what people want to read of it. */
export type RuleText = {
  readonly path: string;
  /** 1-based line of the document in its file. */
  readonly line: number;
  readonly falsePositives: readonly string[];
  readonly references: readonly string[];
  readonly date: string | null;
  readonly modified: string | null;
  readonly triage: Triage | null;
};

/** A detection that another part of the set, or a finding, stands on. */
export type DetectionRule = RuleText & {
  readonly index: number;
  readonly id: string;
  readonly name: string | null;
  readonly logSource: LogSource;
  /** What it asks of an event, filters included. */
  readonly test: Test;
  /** `fields`: what to look at in a matching event. */
  readonly fields: readonly string[];
  /** True when a match is a finding of its own: no correlation stands on it, or one that says `generate`. */
  readonly emitsFinding: boolean;
  /** Correlations fed by this detection, in order of their index. */
  readonly feeds: readonly Feed[];
  readonly description: RuleDescription;
};

/** A correlation ready to run. `index` is stable within the set: order of paths, then of documents. */
export type CorrelationRule = RuleText & {
  readonly index: number;
  /** Id, or else name: the correlation's uid in alert ids and partition keys. */
  readonly uid: string;
  readonly name: string | null;
  /**
   * For an engine that knows three types only: `temporal` counts as ordered, everything over values or numbers as a
   * count. The type itself is `definition.type`.
   */
  readonly type: 'event_count' | 'value_count' | 'temporal_ordered';
  /** Detection index per step; -1 for a step that is a correlation. */
  readonly steps: readonly number[];
  readonly groupBy: readonly string[];
  /** Fields whose tuples or numbers hits carry, as named in the rule. */
  readonly valueFields: readonly string[];
  readonly timespanMs: number;
  /** Counts: the lower bound, else 0; temporal_ordered: steps. The whole condition is `definition`. */
  readonly threshold: number;
  readonly strict: boolean;
  /** What it asks of a group's matches, whole (docs/design/correlation-semantics.md). */
  readonly definition: CorrelationDefinition;
  /** Where each step's hits come from. */
  readonly stepSources: readonly StepSource[];
  /** 0 for a correlation over detections only; 1 + the deepest inner correlation in a chain (EXACTNESS X11). */
  readonly depth: number;
  /** Correlations that stand on this one, in order of their index. */
  readonly feeds: readonly Feed[];
  /** False when a correlation stands on it and none of those says `generate`: its alerts are only steps of others. */
  readonly emitsAlert: boolean;
  /** Equal as long as nothing changed that could change what it alerts on: its window state may be kept. */
  readonly semanticHash: string;
  /** Where this is another correlation's form in one organization; null for the rule itself. */
  readonly override: RuleOverride | null;
  /** Of the set that is to come (`WARMING_FOLDER`): it runs on trial until that set takes effect. */
  readonly isWarming: boolean;
  readonly description: RuleDescription;
};

/** How a correlation came to differ in an organization. */
export type RuleOverride = {
  readonly organization: string;
  /** Index of the correlation as it is elsewhere. */
  readonly base: number;
  /** Where the override stands; null where only a rule below in the chain has one. */
  readonly from: { readonly uid: string; readonly title: string; readonly path: string; readonly line: number } | null;
};

/** A filter or an override of the set, with who answers for it. */
export type RuleException = {
  readonly kind: 'filter' | 'override';
  readonly uid: string;
  readonly title: string;
  readonly path: string;
  readonly line: number;
  /**
   * The only one in which it holds; null: in all. Of a filter: the one whose key events came in under, where it asks for
   * that exactly (`intake_org|cased`).
   */
  readonly organization: string | null;
  /** Ids of the rules it reaches: detections of a filter, the correlation of an override. Empty: it has no effect. */
  readonly rules: readonly string[];
  /** Under `custom`; null where nobody wrote them. */
  readonly owner: string | null;
  readonly reason: string | null;
  /** First moment at which it should be gone, ms UTC; null: never. It does not go by itself (EXACTNESS X7). */
  readonly expiresMs: number | null;
};

export type RuleSetCompiled = {
  /** SHA-256 over the canonical content: files by path, line ends as LF; and the placeholder lists and pipelines, if any. */
  readonly rulesetId: string;
  readonly files: readonly RuleFile[];
  /** Pipelines that the rules went through, in their order; `readPipeline` makes the same of them again. */
  readonly pipelines: readonly RuleFile[];
  readonly detections: readonly DetectionRule[];
  /** First all rules, those of a set to come last, then their forms in organizations with overrides. */
  readonly correlations: readonly CorrelationRule[];
  /** Filters, then overrides, in the order of the files; those of a set to come are left out. */
  readonly exceptions: readonly RuleException[];
  /** Things that load but deserve a look. */
  readonly warnings: readonly SigmaProblem[];
  /** Why rules were left out, with `onProblem: 'refuse-rule'`; else empty. */
  readonly refused: readonly SigmaProblem[];
  /** Indices of the detections that match the event, growing. Log source null: every rule is tried, whatever its own. */
  matchEvent(view: FieldView, logSource: LogSource | null, watch?: MatchWatch): readonly number[];
  /** The form of a correlation in an organization, by index: itself where there is no override. */
  inOrganization(correlation: number, organization: string): number;
  /** What those detections give to correlations, as rules; `inOrganization` is the caller's: ordered by (rule, step, group key). */
  matchesOf(view: FieldView, detections: readonly number[]): RuleMatches;
  /** What a hit of a correlation in one of its groups gives to the correlations over it. */
  chainMatchesOf(correlation: number, groupKey: string): RuleMatches;
  /** The longest window, along chains the longest sum; what must be kept of the log follows from it. */
  readonly timespanMsMax: number;
};
