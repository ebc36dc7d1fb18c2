import type { PatternAnchor, PatternPart } from './value-pattern.ts';

/**
 * What a detection asks of an event, as data: it is compiled to a predicate, is indexed, explained and linted, and is,
 * in canonical JSON, part of the semantic hash of every correlation that stands on it. Everything a modifier does
 * to a *value* (wildcards, encodings, dash variants, placeholders) is done before; only operators are left.
 *
 * Field tests are true when any member of the field's values satisfies them (arrays: any member). An absent field
 * satisfies `null` and `exists: false` and nothing else.
 */
export type Test =
  | { readonly op: 'and' | 'or'; readonly of: readonly Test[] }
  | { readonly op: 'not'; readonly of: Test }
  | { readonly op: 'exists'; readonly field: string; readonly present: boolean }
  /** Absent, or present with null. */
  | { readonly op: 'null'; readonly field: string }
  | {
      readonly op: 'text';
      readonly field: string;
      readonly parts: readonly PatternPart[];
      readonly anchor: PatternAnchor;
      readonly cased: boolean;
    }
  | { readonly op: 'compare'; readonly field: string; readonly relation: Relation; readonly value: number }
  /** Unanchored search by the linear-time engine; flags are the letters i, m, s, sorted. */
  | { readonly op: 'regex'; readonly field: string; readonly pattern: string; readonly flags: string }
  /** Network in canonical form, host bits cleared; an IPv4 network also holds its IPv4-mapped IPv6 addresses. */
  | { readonly op: 'cidr'; readonly field: string; readonly network: string }
  /** Field against field; false when either is absent. */
  | {
      readonly op: 'fieldref';
      readonly field: string;
      readonly other: string;
      readonly anchor: PatternAnchor;
      readonly cased: boolean;
      /** `neq`: true only when both are present and no pair of members is equal. */
      readonly negated: boolean;
    }
  /** A part of a time: offset of the text, else UTC. `week` is the ISO week. */
  | {
      readonly op: 'time';
      readonly field: string;
      readonly unit: TimeUnit;
      readonly relation: Relation | 'eq';
      readonly value: number;
    }
  /** Text in any leaf value of the event, numbers and booleans as their JSON text; never in field names. */
  | { readonly op: 'keyword'; readonly parts: readonly PatternPart[]; readonly cased: boolean }
  /** As `regex`, over every leaf value. */
  | { readonly op: 'keyword_regex'; readonly pattern: string; readonly flags: string };

export type Relation = 'lt' | 'lte' | 'gt' | 'gte';
export type TimeUnit = 'minute' | 'hour' | 'day' | 'week' | 'month' | 'year';
