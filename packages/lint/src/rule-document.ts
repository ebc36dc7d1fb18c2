import type { Position, YamlMap } from '@tracehound/sigma';
import { type CorrelationSketch, readCorrelation } from './correlation-sketch.ts';
import { type DetectionSketch, readDetection } from './detection-sketch.ts';
import { mapAt, textAt, textsAt } from './yaml-read.ts';

/**
 * A rule as written: the tree of its file with places, not what the compiler makes of it. Checks read it so that a
 * rule that cannot be loaded still gets every other remark.
 */
export type RuleDocument = {
  readonly path: string;
  /** Where the document begins. */
  readonly at: Position;
  readonly map: YamlMap;
  readonly kind: 'detection' | 'correlation' | 'filter';
  readonly id: string | null;
  readonly name: string | null;
  readonly title: string;
  /** As written, in lower case; medium where absent, as the loader reads it. */
  readonly level: string;
  readonly status: string | null;
  readonly tags: readonly string[];
  readonly logSource: Readonly<Record<'product' | 'service' | 'category', string | null>>;
  /** Of a detection rule or a filter; null for correlations. */
  readonly detection: DetectionSketch | null;
  readonly correlation: CorrelationSketch | null;
};

/** Reads one document of a rule file. Undefined when it has no part that makes it a rule; the loader says so. */
export function readRuleDocument(path: string, map: YamlMap): RuleDocument | undefined {
  const detection = mapAt(map, 'detection');
  const correlation = mapAt(map, 'correlation');
  const filter = mapAt(map, 'filter');
  const kind = correlation ? 'correlation' : detection ? 'detection' : filter ? 'filter' : undefined;
  if (!kind) return undefined;
  const logSource = mapAt(map, 'logsource');
  const part = (key: string): string | null => textAt(logSource, key)?.toLowerCase() ?? null;
  const body = kind === 'filter' ? filter : kind === 'detection' ? detection : undefined;
  return {
    path,
    at: map.entries[0]?.keyAt ?? map.at,
    map,
    kind,
    id: textAt(map, 'id') ?? null,
    name: textAt(map, 'name') ?? null,
    title: textAt(map, 'title') ?? '',
    level: textAt(map, 'level')?.toLowerCase() ?? 'medium',
    status: textAt(map, 'status')?.toLowerCase() ?? null,
    tags: textsAt(map, 'tags'),
    logSource: { product: part('product'), service: part('service'), category: part('category') },
    detection: body ? readDetection(body) : null,
    correlation: correlation ? readCorrelation(map, correlation) : null,
  };
}

/** Id, name or title: what a reader calls the rule by. */
export function labelOf(rule: RuleDocument): string {
  return rule.name ?? rule.id ?? rule.title;
}

/** `custom.profile` of a rule, in lower case: whom the rule is for. Null when it names none. */
export function profileOf(rule: RuleDocument): string | null {
  return textAt(mapAt(rule.map, 'custom'), 'profile')?.toLowerCase() ?? null;
}
