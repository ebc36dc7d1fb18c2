import { RECORD_SCHEMAS } from '@tracehound/event-model';
import type { EnrichedEvent, TextMap } from './intake-event.ts';

type TypedField = { readonly name: string; readonly type: 'string' | 'int' | 'long' | 'boolean' };

/** The nullable typed fields of a record: everything but what all records share. */
const SHARED = new Set(['schema_rev', 'envelope', 'payload', 'changes', 'log_source', 'fields']);
const INT_MAX = 2_147_483_647;
const byRecord = new Map<string, readonly TypedField[]>();

/**
 * Typed fields filled from payload keys of the same name when the text fits the type; the payload itself stays as it
 * is, so nothing is lost when it does not.
 */
export function typedFields(
  name: EnrichedEvent['name'],
  payload: TextMap,
): Readonly<Record<string, string | number | boolean>> {
  const result: Record<string, string | number | boolean> = {};
  for (const field of typedFieldsOf(name)) {
    const text = Object.hasOwn(payload, field.name) ? payload[field.name] : undefined;
    const value = text === undefined ? undefined : typedValue(field.type, text);
    if (value !== undefined) result[field.name] = value;
  }
  return result;
}

function typedValue(type: TypedField['type'], text: string): string | number | boolean | undefined {
  switch (type) {
    case 'string':
      return text;
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined;
    case 'int':
    case 'long': {
      if (!/^-?[0-9]{1,15}$/.test(text)) return undefined;
      const value = Number(text);
      return type === 'long' || Math.abs(value) <= INT_MAX ? value : undefined;
    }
  }
}

function typedFieldsOf(name: EnrichedEvent['name']): readonly TypedField[] {
  const known = byRecord.get(name);
  if (known) return known;
  // Our own generated schemas; nullable fields have the form {name, type: ['null', T]}.
  const declared = RECORD_SCHEMAS[name].fields as readonly { readonly name: string; readonly type: unknown }[];
  const fields = declared.flatMap((field) => {
    const type: unknown = Array.isArray(field.type) ? field.type[1] : undefined;
    return !SHARED.has(field.name) && isTyped(type) ? [{ name: field.name, type }] : [];
  });
  byRecord.set(name, fields);
  return fields;
}

function isTyped(type: unknown): type is TypedField['type'] {
  return type === 'string' || type === 'int' || type === 'long' || type === 'boolean';
}
