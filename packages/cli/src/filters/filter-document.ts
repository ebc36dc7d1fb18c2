import { createHash } from 'node:crypto';
import type { LogSource } from '@tracehound/sigma';
import { stringify } from 'yaml';
import { type FilterField, type FilterValue, ORGANIZATION_FIELD } from './filter-fields.ts';

/** What a drafted filter says. */
export type FilterDraft = {
  readonly alertId: string;
  /** Title of the rule that alerted. */
  readonly ruleTitle: string;
  readonly organization: string;
  /** The detections it is put into: their ids, or names where they have none. */
  readonly detections: readonly { readonly id: string; readonly logSource: LogSource }[];
  readonly fields: readonly FilterField[];
  readonly owner: string;
  readonly reason: string;
  /** A day or an instant, as the loader takes it. */
  readonly expires: string;
};

export type FilterDocument = { readonly id: string; readonly text: string };

/**
 * A Sigma filter (Sigma 2.1, "Filters") as a YAML document. The same draft has the same id and the same bytes, so that drafting
 * twice is no second filter.
 */
export function filterDocument(draft: FilterDraft): FilterDocument {
  const { alertId, ruleTitle, organization, detections, fields, owner, reason, expires } = draft;
  const own = fields.filter(({ field }) => field !== ORGANIZATION_FIELD);
  const selection = Object.fromEntries(
    [{ field: ORGANIZATION_FIELD, values: [organization] }, ...own].map(selectionEntry),
  );
  const rules = detections.map(({ id }) => id);
  const id = idOf(JSON.stringify([rules, selection]));
  const logsource = commonLogSource(detections.map(({ logSource }) => logSource));
  const document = {
    title: `Left out in ${organization}: ${ruleTitle}`,
    id,
    description: `Drafted from alert ${alertId}.`,
    ...(logsource === null ? {} : { logsource }),
    // 'not' is how other engines read an exclusion; ours takes it with and without.
    filter: { rules, selection, condition: 'not selection' },
    custom: { owner, reason, expires },
  };
  return { id, text: stringify(document, { lineWidth: 0 }) };
}

/** Exact: without `cased`, `Acme` would be left out with `acme`. Values with the same case anyway go without, as people write them. */
function selectionEntry({ field, values }: FilterField): readonly [string, unknown] {
  const isCased = values.some((value) => typeof value === 'string' && value.toLowerCase() !== value.toUpperCase());
  const modifiers = [...(isCased ? ['cased'] : []), ...(values.length > 1 ? ['all'] : [])];
  const written = values.map(literal);
  return [[field, ...modifiers].join('|'), written.length === 1 ? written[0] : written];
}

/** What stands for any text in Sigma stands for itself here. */
function literal(value: FilterValue): FilterValue {
  return typeof value === 'string' ? value.replaceAll(/[\\*?]/g, '\\$&') : value;
}

/** The parts of the log source that all rules have; null when there is none. */
function commonLogSource(all: readonly LogSource[]): Partial<Record<keyof LogSource, string>> | null {
  const parts = (['product', 'service', 'category'] as const).flatMap((part) => {
    const [first, ...others] = all.map((source) => source[part]);
    const isCommon = others.every((other) => other === first);
    return isCommon && first !== null && first !== undefined ? [[part, first] as const] : [];
  });
  return parts.length === 0 ? null : Object.fromEntries(parts);
}

/** A UUID of version 8 (RFC 9562, section 5.8) made of a hash. */
function idOf(content: string): string {
  const hash = createHash('sha256').update(content).digest('hex');
  const variant = ((Number.parseInt(hash.slice(16, 17), 16) & 3) | 8).toString(16);
  const parts = [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `8${hash.slice(13, 16)}`,
    `${variant}${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ];
  return parts.join('-');
}
