import type { Position, YamlScalar } from '../yaml-tree.ts';

/**
 * A processing pipeline: how rules written for one naming of fields run on events with another. The format is that of
 * pySigma's pipeline files ("Processing Pipelines" of its documentation).
 */
export type Pipeline = {
  readonly name: string;
  /** Lower ones first; of equal ones the earlier given. */
  readonly priority: number;
  readonly path: string;
  /** The text it was read from: part of the identity of a rule set. */
  readonly content: string;
  /** Values for placeholders. */
  readonly vars: Readonly<Record<string, readonly string[]>>;
  readonly steps: readonly Step[];
};

export type Step = {
  readonly id: string | null;
  readonly at: Position;
  readonly transformation: Transformation;
  readonly rule: Gate<RuleCondition>;
  readonly item: Gate<ItemCondition>;
  readonly field: Gate<FieldCondition>;
};

/** Conditions of one kind, joined. `and` of none is true. */
export type Gate<C> =
  | { readonly op: 'and' | 'or'; readonly of: readonly Gate<C>[] }
  | { readonly op: 'not'; readonly of: Gate<C> }
  | { readonly op: 'is'; readonly condition: C };

export type Value = YamlScalar['value'];
export type StateTest = {
  readonly type: 'processing_state';
  readonly key: string;
  readonly op: Comparison;
  readonly value: string;
};
export type AppliedTest = { readonly type: 'processing_item_applied'; readonly id: string };
export type Comparison = 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte';

export type RuleCondition =
  | {
      readonly type: 'logsource';
      readonly product: string | null;
      readonly service: string | null;
      readonly category: string | null;
    }
  | { readonly type: 'contains_detection_item'; readonly field: string; readonly value: Value }
  | { readonly type: 'contains_field'; readonly field: string }
  | { readonly type: 'is_sigma_rule' | 'is_sigma_correlation_rule' }
  | {
      readonly type: 'rule_attribute';
      readonly attribute: string;
      readonly op: Comparison | 'in' | 'not_in';
      /** One, but for `in` and `not_in`. */
      readonly values: readonly string[];
    }
  | { readonly type: 'tag'; readonly tag: string }
  | StateTest
  | AppliedTest;

export type ItemCondition =
  | { readonly type: 'match_string'; readonly every: boolean; readonly negated: boolean; test(text: string): boolean }
  | { readonly type: 'match_value'; readonly every: boolean; readonly value: Value }
  | { readonly type: 'contains_wildcard' | 'is_null'; readonly every: boolean }
  | StateTest
  | AppliedTest;

export type FieldCondition =
  | { readonly type: 'fields'; readonly include: boolean; test(field: string): boolean }
  | StateTest
  | AppliedTest;

export type Names = ReadonlyMap<string, readonly string[]>;

export type Transformation =
  | { readonly type: 'field_name_mapping' | 'field_name_prefix_mapping'; readonly mapping: Names }
  | { readonly type: 'field_name_prefix' | 'field_name_suffix'; readonly text: string }
  | { readonly type: 'drop_detection_item' }
  | {
      readonly type: 'add_condition';
      readonly conditions: readonly { readonly key: string; readonly values: readonly YamlScalar[] }[];
      readonly template: boolean;
      readonly negated: boolean;
    }
  | {
      readonly type: 'change_logsource';
      readonly product: string | null;
      readonly service: string | null;
      readonly category: string | null;
    }
  | {
      readonly type: 'replace_string';
      readonly pattern: RegExp;
      readonly replacement: string;
      readonly skipSpecial: boolean;
    }
  | { readonly type: 'map_string'; readonly mapping: Names }
  | { readonly type: 'set_value'; readonly value: Value }
  | { readonly type: 'convert_type'; readonly to: 'str' | 'num' }
  | { readonly type: 'case'; readonly to: 'lower' | 'upper' }
  | {
      readonly type: 'value_placeholders' | 'wildcard_placeholders';
      readonly include: readonly string[] | null;
      readonly exclude: readonly string[] | null;
    }
  | {
      readonly type: 'hashes_fields';
      readonly algorithms: readonly string[];
      readonly prefix: string;
      readonly dropsAlgorithm: boolean;
    }
  | { readonly type: 'set_state'; readonly key: string; readonly value: string }
  | { readonly type: 'rule_failure' | 'detection_item_failure'; readonly message: string }
  | { readonly type: 'set_custom_attribute'; readonly attribute: string; readonly value: string }
  | { readonly type: 'add_field' | 'remove_field' | 'set_field'; readonly fields: readonly string[] }
  | { readonly type: 'nest'; readonly steps: readonly Step[] };
