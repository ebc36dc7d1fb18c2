import { EVENT_TYPES, eventTypeOf } from '@tracehound/event-model';
import type { Position } from '@tracehound/sigma';
import {
  CATEGORIES,
  CLOSED_FIELDS,
  DEPRECATED_FIELDS,
  eventTypesOf,
  FAMILIES,
  fieldsOf,
  isField,
  isNative,
} from '../catalogue.ts';
import type { Check, CheckContext } from '../check.ts';
import { itemsOf } from '../detection-sketch.ts';
import { suggestion } from '../nearest.ts';
import type { RuleDocument } from '../rule-document.ts';
import { entry } from '../yaml-read.ts';

/** Products of public Sigma rules, and ours. */
const PRODUCTS: readonly string[] = [
  'antivirus',
  'apache',
  'aws',
  'azure',
  'bitbucket',
  'cisco',
  'django',
  'docker',
  'duo',
  'esxi',
  'fortigate',
  'fortios',
  'gcp',
  'github',
  'gitlab',
  'google_workspace',
  'huawei',
  'juniper',
  'jvm',
  'kubernetes',
  'linux',
  'm365',
  'macos',
  'nodejs',
  'okta',
  'onelogin',
  'opencanary',
  'paloalto',
  'python',
  'qualys',
  'rpc_firewall',
  'ruby_on_rails',
  'spring',
  'sql',
  'tracehound',
  'velocity',
  'windows',
  'zeek',
];

/** Runs a check on each value that rules for our own events compare a field with, as whole text. */
function onNativeValues(
  look: (found: { field: string; value: string; at: Position; rule: RuleDocument }, context: CheckContext) => void,
): NonNullable<Check['run']> {
  return (rule, context) => {
    if (!isNative(rule) || !rule.detection) return;
    for (const { field, modifiers, values } of itemsOf(rule.detection)) {
      if (modifiers.some((name) => !['all', 'cased', 'neq'].includes(name))) continue;
      for (const { value, at } of values)
        if (typeof value === 'string' && !/[*?]/.test(value)) look({ field, value, at, rule }, context);
    }
  };
}

function sourceAt(rule: RuleDocument): Position {
  return entry(rule.map, 'logsource')?.keyAt ?? rule.at;
}

const TYPE_NAMES: readonly string[] = EVENT_TYPES.map(({ name }) => name);

export const CATALOGUE_CHECKS: readonly Check[] = [
  {
    code: 'logsource-incomplete',
    area: 'catalogue',
    level: 'warning',
    doc: 'The log source names only a product with many logs, so the rule is tried on every event of it. Add the service or category it is written for.',
    run: (rule, { report }) => {
      const { product, service, category } = rule.logSource;
      const isWide = product !== null && ['aws', 'azure', 'gcp', 'm365', 'windows', 'linux', 'macos'].includes(product);
      if (rule.kind === 'detection' && isWide && service === null && category === null)
        report(sourceAt(rule), `'${product}' has many logs: name the service or category`);
    },
  },
  {
    code: 'logsource-product-unknown',
    area: 'catalogue',
    level: 'info',
    doc: 'No public rule, mapping or source of ours uses this product name. If it is misspelt, no event will ever have it.',
    run: (rule, { report }) => {
      const { product } = rule.logSource;
      if (product !== null && !PRODUCTS.includes(product))
        report(sourceAt(rule), `'${product}' is not a known product${suggestion(product, PRODUCTS)}`);
    },
  },
  {
    code: 'catalogue-service-unknown',
    area: 'catalogue',
    level: 'error',
    doc: 'Events of product tracehound have their family as service. No family has this name, so no event can match.',
    run: (rule, { report }) => {
      const { service } = rule.logSource;
      if (isNative(rule) && service !== null && !FAMILIES.includes(service))
        report(sourceAt(rule), `no event family is called '${service}'${suggestion(service, FAMILIES)}`);
    },
  },
  {
    code: 'catalogue-category-unknown',
    area: 'catalogue',
    level: 'error',
    doc: 'No event type of the catalogue has this category in this service, so no event can match.',
    run: (rule, { report }) => {
      const { service, category } = rule.logSource;
      if (!isNative(rule) || category === null || (service !== null && !FAMILIES.includes(service))) return;
      const isThere = EVENT_TYPES.some(
        (type) => type.category === category && (service === null || type.family === service),
      );
      if (!isThere)
        report(sourceAt(rule), `no event type has the category '${category}' here${suggestion(category, CATEGORIES)}`);
    },
  },
  {
    code: 'catalogue-event-type-unknown',
    area: 'catalogue',
    level: 'error',
    doc: 'A value of `event_type` is not in the event catalogue, so no event can have it. Add the type to the catalogue, or correct the name.',
    run: onNativeValues(({ field, value, at }, { report }) => {
      if (field === 'event_type' && !eventTypeOf(value.toLowerCase()))
        report(at, `the catalogue has no '${value}'${suggestion(value, TYPE_NAMES)}`);
    }),
  },
  {
    code: 'catalogue-event-type-alias',
    area: 'catalogue',
    level: 'error',
    doc: 'A value of `event_type` is a name of another vocabulary. Intake translates those, so rules only ever see the canonical name.',
    run: onNativeValues(({ field, value, at }, { report }) => {
      const type = field === 'event_type' ? eventTypeOf(value.toLowerCase()) : undefined;
      if (type && type.name !== value.toLowerCase()) report(at, `events carry '${type.name}' instead of '${value}'`);
    }),
  },
  {
    code: 'catalogue-event-type-family',
    area: 'catalogue',
    level: 'error',
    doc: 'The log source names one family and the selection a type of another, so no event can satisfy both.',
    run: onNativeValues(({ field, value, at, rule }, { report }) => {
      const type = field === 'event_type' ? eventTypeOf(value.toLowerCase()) : undefined;
      const { service } = rule.logSource;
      if (
        type &&
        type.name === value.toLowerCase() &&
        service !== null &&
        FAMILIES.includes(service) &&
        type.family !== service
      )
        report(at, `'${value}' belongs to the service '${type.family}', not '${service}'`);
    }),
  },
  {
    code: 'catalogue-value-unknown',
    area: 'catalogue',
    level: 'error',
    doc: 'The field holds words of a closed list, and this is none of them, so no event can have it.',
    run: onNativeValues(({ field, value, at }, { report }) => {
      const words = CLOSED_FIELDS.get(field);
      if (words && !words.some((word) => word.toLowerCase() === value.toLowerCase()))
        report(at, `'${field}' is never '${value}'${suggestion(value, words)}`);
    }),
  },
  {
    code: 'catalogue-field-unknown',
    area: 'catalogue',
    level: 'error',
    doc: 'The events this rule is about have no such field, so the test is never true. The catalogue lists the fields; `metadata.*` and `tags.*` are open.',
    run: (rule, { report }) => {
      if (!isNative(rule) || !rule.detection) return;
      const fields = fieldsOf(eventTypesOf(rule));
      for (const { field, at } of itemsOf(rule.detection))
        if (field !== '' && field === field.trim() && !isField(field, fields) && !DEPRECATED_FIELDS.has(field))
          report(at, `events of this log source have no field '${field}'${suggestion(field, fields)}`);
    },
  },
  {
    code: 'catalogue-field-deprecated',
    area: 'catalogue',
    level: 'error',
    doc: 'The field name is of an earlier vocabulary. Events carry the value under the present name only.',
    run: (rule, { report }) => {
      if (!isNative(rule) || !rule.detection) return;
      const fields = fieldsOf(eventTypesOf(rule));
      for (const { field, at } of itemsOf(rule.detection)) {
        const name = DEPRECATED_FIELDS.get(field);
        if (name !== undefined && !isField(field, fields)) report(at, `'${field}' is now '${name}'`);
      }
    },
  },
];
