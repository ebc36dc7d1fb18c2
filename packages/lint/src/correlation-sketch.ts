import type { Position, YamlEntry, YamlMap, YamlScalar } from '@tracehound/sigma';
import { entry, isTrueAt, mapAt, scalarsAt, textAt, textsAt } from './yaml-read.ts';

/** The `correlation` part of a rule as written. */
export type CorrelationSketch = {
  readonly at: Position;
  readonly map: YamlMap;
  readonly type: string;
  readonly references: readonly YamlScalar[];
  readonly groupBy: readonly YamlScalar[];
  readonly aliases: readonly YamlEntry[];
  /** Undefined when absent or not a timespan. */
  readonly timespanMs: number | undefined;
  readonly timespanAt: Position;
  /** Bounds in the order written; values that are no numbers are left out. */
  readonly bounds: readonly BoundSketch[];
  readonly fields: readonly YamlScalar[];
  /** The text of an extended condition over steps. */
  readonly expression: YamlScalar | undefined;
  readonly extensions: YamlMap | undefined;
  readonly generates: { readonly inRule: boolean; readonly inCorrelation: boolean };
};

export type BoundSketch = { readonly relation: string; readonly value: number; readonly at: Position };

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const RELATIONS: readonly string[] = ['lt', 'lte', 'gt', 'gte', 'eq', 'neq'];

/** Milliseconds of `30s`, `15m`, `1h`, `7d`, `2w`; undefined for anything else. */
export function timespanMsOf(text: string): number | undefined {
  const parts = /^(\d{1,9})([smhdw])$/.exec(text);
  return parts ? Number(parts[1]) * (UNIT_MS[parts[2] ?? ''] ?? 0) : undefined;
}

export function readCorrelation(rule: YamlMap, map: YamlMap): CorrelationSketch {
  const timespan = entry(map, 'timespan');
  const condition = entry(map, 'condition')?.value;
  return {
    at: map.at,
    map,
    type: textAt(map, 'type') ?? '',
    references: scalarsAt(map, 'rules'),
    groupBy: scalarsAt(map, 'group-by'),
    aliases: mapAt(map, 'aliases')?.entries ?? [],
    timespanMs: timespanMsOf(textAt(map, 'timespan') ?? ''),
    timespanAt: timespan?.value.at ?? map.at,
    bounds: condition?.kind === 'map' ? boundsOf(condition) : [],
    fields: condition?.kind === 'map' ? scalarsAt(condition, 'field') : [],
    expression: condition?.kind === 'scalar' ? condition : undefined,
    extensions: mapAt(map, 'x-corr'),
    generates: { inRule: entry(rule, 'generate') !== undefined, inCorrelation: entry(map, 'generate') !== undefined },
  };
}

function boundsOf(condition: YamlMap): readonly BoundSketch[] {
  return condition.entries.flatMap(({ key, keyAt, value }) =>
    RELATIONS.includes(key) && value.kind === 'scalar' && typeof value.value === 'number'
      ? [{ relation: key, value: value.value, at: keyAt }]
      : [],
  );
}

/** Does the rule, or its correlation part, say that findings of its steps are wanted too? */
export function generates(rule: YamlMap): boolean {
  return isTrueAt(rule, 'generate') || isTrueAt(mapAt(rule, 'correlation'), 'generate');
}

/** What `x-corr` says, as text. */
export function extensionOf(correlation: CorrelationSketch, key: string): string | undefined {
  return textAt(correlation.extensions, key);
}

/** Names of the rules a correlation names. */
export function referencesOf(correlation: CorrelationSketch): readonly string[] {
  return textsAt(correlation.map, 'rules');
}
