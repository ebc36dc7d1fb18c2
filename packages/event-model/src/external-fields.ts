import { TracehoundError } from './errors.ts';
import type { ExternalField, ScalarValue } from './generated/records.ts';
import { NumberText } from './json-numbers.ts';

/** Real events have up to 145 fields and 12 kB. */
export const EXTERNAL_FIELDS_MAX: number = 512;
/** UTF-8 bytes of all names and values together. */
export const EXTERNAL_BYTES_MAX: number = 256 * 1_024;
/** Deepest nesting; deeper input is refused, not cut. */
export const EXTERNAL_DEPTH_MAX: number = 64;

/** A third-party record that cannot be carried. `fields.limit` names the bound. */
export class ExternalEventError extends TracehoundError {
  constructor(
    message: string,
    code: 'SEC_EVENT_NOT_OBJECT' | 'SEC_EVENT_FIELDS' | 'SEC_EVENT_BYTES' | 'SEC_EVENT_DEPTH' | 'SEC_EVENT_SCALAR',
    limit?: number,
  ) {
    super(message, {
      code,
      category: 'invalid_input',
      retriable: false,
      ...(limit === undefined ? {} : { fields: { limit } }),
    });
  }
}

type OpenField = { readonly name: string; is_list: boolean; readonly values: ScalarValue[] };
type Flattening = { readonly fields: Map<string, OpenField>; bytes: number };

/**
 * Fields of a parsed JSON object in document order (names that are array indices first), under dotted names. Arrays add no name of their own: all elements
 * are values of one field, marked as list. Scalars keep their exact text when the input came from `parseJsonExact`.
 * The shape of arrays of objects is not kept, nor whether a dot was nesting or part of a name.
 *
 * Throws `ExternalEventError` beyond 512 fields, 256 kB or 64 levels.
 */
export function flattenExternal(record: unknown): readonly ExternalField[] {
  if (typeof record !== 'object' || record === null || Array.isArray(record) || record instanceof NumberText) {
    throw new ExternalEventError('record is not a JSON object', 'SEC_EVENT_NOT_OBJECT');
  }
  const flattening: Flattening = { fields: new Map(), bytes: 0 };
  for (const [name, value] of Object.entries(record)) flatten(flattening, { name, inList: false, depth: 1 }, value);
  return inPropertyOrder([...flattening.fields.values()]);
}

/** The order in which JSON text of these names is read back: JavaScript puts array indices first (ECMA-262, OrdinaryOwnPropertyKeys). */
function inPropertyOrder(fields: readonly OpenField[]): readonly OpenField[] {
  const indices = fields.filter(({ name }) => isArrayIndex(name));
  if (indices.length === 0) return fields;
  indices.sort((a, b) => Number(a.name) - Number(b.name));
  return [...indices, ...fields.filter(({ name }) => !isArrayIndex(name))];
}

function isArrayIndex(name: string): boolean {
  return /^(?:0|[1-9]\d{0,9})$/.test(name) && Number(name) < 2 ** 32 - 1;
}

function flatten(into: Flattening, at: { name: string; inList: boolean; depth: number }, value: unknown): void {
  if (at.depth > EXTERNAL_DEPTH_MAX) {
    throw new ExternalEventError('record is nested too deeply', 'SEC_EVENT_DEPTH', EXTERNAL_DEPTH_MAX);
  }
  const depth = at.depth + 1;
  if (Array.isArray(value)) {
    if (value.length === 0) openField(into, at.name, true);
    for (const item of value) flatten(into, { name: at.name, inList: true, depth }, item);
    return;
  }
  if (typeof value === 'object' && value !== null && !(value instanceof NumberText)) {
    const entries = Object.entries(value);
    if (entries.length === 0) openField(into, at.name, at.inList);
    for (const [key, inner] of entries) flatten(into, { name: `${at.name}.${key}`, inList: at.inList, depth }, inner);
    return;
  }
  const scalar = scalarValue(value);
  addBytes(into, Buffer.byteLength(scalar.text));
  openField(into, at.name, at.inList).values.push(scalar);
}

function openField(into: Flattening, name: string, inList: boolean): OpenField {
  const known = into.fields.get(name);
  if (known) {
    // Met twice: inside an array, or because a dot was part of a name. Either way it has a list of values.
    known.is_list = true;
    return known;
  }
  if (into.fields.size === EXTERNAL_FIELDS_MAX) {
    throw new ExternalEventError('record has too many fields', 'SEC_EVENT_FIELDS', EXTERNAL_FIELDS_MAX);
  }
  addBytes(into, Buffer.byteLength(name));
  const field: OpenField = { name, is_list: inList, values: [] };
  into.fields.set(name, field);
  return field;
}

function addBytes(into: Flattening, bytes: number): void {
  into.bytes += bytes;
  if (into.bytes > EXTERNAL_BYTES_MAX) {
    throw new ExternalEventError('record is too large', 'SEC_EVENT_BYTES', EXTERNAL_BYTES_MAX);
  }
}

function scalarValue(value: unknown): ScalarValue {
  if (value === null) return { type: 'NULL', text: 'null' };
  if (value instanceof NumberText) return { type: 'NUMBER', text: value.text };
  switch (typeof value) {
    case 'string':
      return { type: 'STRING', text: value };
    case 'boolean':
      return { type: 'BOOLEAN', text: String(value) };
    case 'bigint':
      return { type: 'NUMBER', text: String(value) };
    case 'number':
      if (Number.isFinite(value)) return { type: 'NUMBER', text: JSON.stringify(value) };
      break;
    default:
  }
  throw new ExternalEventError('record holds something JSON has not', 'SEC_EVENT_SCALAR');
}

/**
 * JSON text of the fields, one dotted name each, lists as arrays, numbers digit by digit. The way back:
 * `flattenExternal(parseJsonExact(externalText(fields)))` equals `fields`.
 */
export function externalText(fields: readonly ExternalField[]): string {
  const members = fields.map((field) => `${JSON.stringify(field.name)}:${fieldText(field)}`);
  return `{${members.join(',')}}`;
}

function fieldText(field: ExternalField): string {
  if (field.is_list) return `[${field.values.map(scalarText).join(',')}]`;
  const value = field.values[0];
  return value === undefined ? '{}' : scalarText(value);
}

function scalarText(value: ScalarValue): string {
  return value.type === 'STRING' ? JSON.stringify(value.text) : value.text;
}

/** A scalar as rules compare it. Numbers a double cannot hold stay text, so that equal means equal. */
export function scalarOf(value: ScalarValue): string | number | boolean | null {
  switch (value.type) {
    case 'NULL':
      return null;
    case 'BOOLEAN':
      return value.text === 'true';
    case 'NUMBER': {
      const number = Number(value.text);
      return Number.isFinite(number) && (!Number.isInteger(number) || Number.isSafeInteger(number))
        ? number
        : value.text;
    }
    case 'STRING':
      return value.text;
  }
}
