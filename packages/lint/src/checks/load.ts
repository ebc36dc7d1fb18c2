import type { SigmaProblemCode } from '@tracehound/sigma';
import type { Check } from '../check.ts';

/** What the loader's problem codes mean. `Record` makes a new code fail to compile until it is explained here. */
const DOCS: Readonly<Record<SigmaProblemCode, string>> = {
  yaml_syntax: 'The file is not YAML, or a map names a key twice. Nothing of the document can be read.',
  yaml_alias:
    'Anchors and aliases are accepted within a bound on their number and expanded size, because they hide what a rule says and can be made to explode.',
  yaml_merge_key: 'A merge key (`<<`) hides which keys a rule has. Write them out.',
  duplicate_key: 'A map names a key twice, so one of the two would be lost.',
  not_a_map: 'A document is not a map of keys such as title and detection.',
  key_missing: 'A part that every rule needs is missing, such as detection, condition, logsource or timespan.',
  key_unknown: 'A key stands where Sigma has none.',
  value_invalid: 'A value is not of the kind its key takes.',
  condition_syntax:
    'The condition does not follow the grammar of Sigma 2.1. Aggregations after a pipe belong to Sigma 1: write a correlation.',
  selection_unknown: 'The condition names a selection that the detection does not have.',
  pattern_matches_nothing:
    'A pattern such as `1 of filter_*` stands for no selection, so the condition could never be decided.',
  modifier_unknown: 'Sigma has no such modifier; mostly it is misspelt.',
  modifier_combination: 'The modifiers cannot be combined, or not with this value.',
  regex_refused:
    'The regular expression cannot be run in linear time, or is not one: look-around, back references and counts beyond the bound are refused.',
  placeholder_unresolved:
    'A placeholder of `expand` has no list of values, so the rule could only match nothing. Lint may not know the lists of a deployment, so it only warns.',
  unsupported:
    'The rule uses something that this version cannot run. It is refused rather than loaded as a rule that never matches.',
  reference_unknown: 'A correlation names a rule that is not in the set.',
  reference_ambiguous: 'A correlation names a rule by a name that several rules have.',
  reference_cycle: 'Correlations feed each other in a circle.',
  reference_refused: 'A rule stands on another one that was refused.',
  duplicate_rule: 'Two rules have one id, name or title by which the set knows them.',
  limit_exceeded: 'The rule exceeds a bound that keeps its cost, or the size of its state, in check.',
};

/** Codes that load with a remark, or that depend on lists a lint run need not know. */
const WARNINGS: readonly SigmaProblemCode[] = ['key_unknown', 'placeholder_unresolved'];

/** `yaml_syntax` is reported as `load-yaml-syntax`. */
export function loadCode(code: SigmaProblemCode): string {
  return `load-${code.replaceAll('_', '-')}`;
}

/** Everything the loader refuses is an error of its own; what it only remarks keeps its level. */
export const LOAD_CHECKS: readonly Check[] = (Object.keys(DOCS) as SigmaProblemCode[]).map((code) => ({
  code: loadCode(code),
  area: 'load',
  level: WARNINGS.includes(code) ? 'warning' : 'error',
  doc: DOCS[code],
}));
