import type { Drafts } from '../detection.ts';
import type { LogSource } from '../field-view.ts';
import { entryOf, type ProblemSink, type YamlMap } from '../yaml-tree.ts';
import { applyPipelines } from './apply-pipelines.ts';
import type { Pipeline } from './pipeline-definition.ts';
import type { RuleDraft } from './rule-draft.ts';

/** What is known of a rule document before its detection is read. */
export type RuleFacts = {
  readonly kind: RuleDraft['kind'];
  readonly document: YamlMap;
  readonly logSource: LogSource | null;
  readonly tags: readonly string[];
  /** Fields that it names beside its detection. */
  readonly fields: readonly string[];
};

const ANY_SOURCE: LogSource = { product: null, service: null, category: null };

/** The draft of a rule without its selections. */
export function ruleDraftOf({ kind, document, logSource, tags, fields }: RuleFacts): RuleDraft {
  return {
    kind,
    at: document.at,
    logSource: logSource ?? ANY_SOURCE,
    selections: new Map(),
    conditions: [],
    fields: new Map(fields.map((name) => [name, [{ name, applied: new Set<string>() }]])),
    tags,
    attributes: attributesOf(document),
  };
}

/** Every key with a single value, a rule's own ones included, and those below `custom`. */
function attributesOf(document: YamlMap): Map<string, string> {
  const custom = entryOf(document, 'custom')?.value;
  const entries = [...document.entries, ...(custom?.kind === 'map' ? custom.entries : [])];
  const attributes = new Map<string, string>();
  for (const { key, value } of entries) {
    if (value.kind !== 'scalar' || value.value === null) continue;
    const text = String(value.value);
    attributes.set(key, key === 'level' || key === 'status' ? text.toLowerCase() : text);
  }
  return attributes;
}

/** Fills in the selections of a draft and applies the pipelines to it; a step that refuses the rule is reported. */
export function rewritten(
  rule: RuleDraft,
  written: Drafts['selections'],
  { pipelines, sink }: { readonly pipelines: readonly Pipeline[]; readonly sink: ProblemSink },
): Drafts {
  for (const [name, draft] of written) rule.selections.set(name, draft);
  applyPipelines(pipelines, rule, (at, message) =>
    sink.report('value_invalid', at, `refused by a pipeline: ${message}`),
  );
  return rule;
}

/** New names of fields that a correlation names, where it stands on a rule of this log source. */
export function renamedFields(facts: RuleFacts, pipelines: readonly Pipeline[], sink: ProblemSink): RenamedFields {
  const rule = ruleDraftOf(facts);
  applyPipelines(pipelines, rule, (at, message) =>
    sink.report('value_invalid', at, `refused by a pipeline: ${message}`),
  );
  return new Map([...rule.fields].map(([name, fields]) => [name, fields.map((field) => field.name)]));
}

export type RenamedFields = ReadonlyMap<string, readonly string[]>;
