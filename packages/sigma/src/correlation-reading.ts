import type { CorrelationDefinition, CorrelationType } from './correlation-definition.ts';
import type { Reference, Report } from './correlation-extensions.ts';
import type { RuleLimits } from './limits.ts';
import { entryOf, type ProblemSink, textListEntry, type YamlEntry, type YamlMap } from './yaml-tree.ts';

export type CorrelationContext = {
  readonly limits: RuleLimits;
  readonly problems: ProblemSink;
  readonly warnings: ProblemSink;
  /** The one name of a rule that an id or a name means; any other text is its own. */
  canonical(text: string): string;
};

/** What reading one correlation shares. */
export type Reading = CorrelationContext & {
  readonly correlation: YamlMap;
  readonly report: Report;
  readonly type: CorrelationType;
  readonly isMedian: boolean;
};

/** What the type-specific keys say. */
export type Asked = Pick<CorrelationDefinition, 'type' | 'bounds' | 'percentile' | 'temporal' | 'ordered' | 'until'> & {
  readonly references: readonly Reference[];
  readonly fields: readonly string[];
};

/** Value of an entry that holds a single one. */
export function scalarOf(entry: YamlEntry | undefined): string | number | boolean | null | undefined {
  return entry?.value.kind === 'scalar' ? entry.value.value : undefined;
}

/** A list of different field names, not too long. */
export function readFields(map: YamlMap, key: string, { report, limits, problems }: Reading): readonly string[] {
  const fields = textListEntry(map, key, { path: problems.path, report }).map(({ text }) => text);
  const at = entryOf(map, key)?.keyAt ?? map.at;
  if (fields.length > limits.groupFieldsMax) {
    report('limit_exceeded', at, `'${key}' takes at most ${limits.groupFieldsMax} fields`);
  }
  if (new Set(fields).size !== fields.length) report('value_invalid', at, `'${key}' names a field twice`);
  return fields;
}
