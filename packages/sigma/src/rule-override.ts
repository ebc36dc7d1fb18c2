import { entryOf, type Position, type ProblemSink, textEntry, type YamlEntry, type YamlMap } from './yaml-tree.ts';

/**
 * Another number for a correlation in one organization, without a copy of the rule. Ours, not Sigma's: a document with
 * `override: {rule, organization, condition}`.
 */
export type ParsedOverride = {
  readonly kind: 'override';
  /** Id or name of the correlation. */
  readonly rule: { readonly text: string; readonly at: Position } | undefined;
  readonly organization: string | undefined;
  /** The numbers that take the place of the rule's, by operator. */
  readonly numbers: readonly YamlEntry[];
};

const KEYS: readonly string[] = ['rule', 'organization', 'condition'];
/** Of conditions with a number. */
export const OPERATORS: readonly string[] = ['gt', 'gte', 'lt', 'lte', 'eq', 'neq'];

/** Reads the `override` part; what is missing or does not belong there is reported. */
export function parseOverride(override: YamlMap, sink: ProblemSink): ParsedOverride {
  for (const { key, keyAt } of override.entries) {
    if (KEYS.includes(key)) continue;
    const message = `an override has no key '${key}': it changes the number of a condition only; another timespan or group-by is another rule`;
    sink.report('key_unknown', keyAt, message);
  }
  const needed = (key: 'rule' | 'organization'): string | undefined => {
    const text = textEntry(override, key, sink);
    if (text === undefined) sink.report('key_missing', override.at, `an override needs '${key}'`);
    return text;
  };
  const rule = needed('rule');
  const organization = needed('organization');
  const condition = entryOf(override, 'condition');
  if (condition?.value.kind !== 'map' || condition.value.entries.length === 0) {
    const at = condition?.keyAt ?? override.at;
    sink.report('key_missing', at, "an override needs a 'condition', a map such as {gte: 40}");
  }
  const numbers = condition?.value.kind === 'map' ? condition.value.entries : [];
  for (const { key, keyAt } of numbers) {
    if (!OPERATORS.includes(key)) {
      sink.report('key_unknown', keyAt, `'${key}' is no operator: an override changes ${OPERATORS.join(', ')}`);
    }
  }
  const at = entryOf(override, 'rule')?.value.at ?? override.at;
  return { kind: 'override', rule: rule === undefined ? undefined : { text: rule, at }, organization, numbers };
}
