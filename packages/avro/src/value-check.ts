import type { ValueIssue } from './errors.ts';
import { LONG_MAX, LONG_MIN } from './guarded-types.ts';

/** Enough to mend an event by; more would let a hostile one make long answers. */
const ISSUES_MAX = 20;
/** Map keys and undeclared names come from outside: only plain ones are repeated. */
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;
const INT32 = (value: number): boolean => (value | 0) === value;
const EXACT_LONG = (value: number): boolean => Number.isInteger(value) && value >= LONG_MIN && value <= LONG_MAX;

type Part = Readonly<Record<string, unknown>>;

/**
 * Finds what a schema does not allow in a value, by position. Complete but slow: the codec asks avsc's compiled check
 * first and comes here only to say where and what. Undeclared fields and the map key `__proto__` are issues.
 */
export function findValueIssues(schema: unknown, value: unknown): readonly ValueIssue[] {
  const named = new Map<string, Part>();
  collectNamed(schema, named);
  const issues: ValueIssue[] = [];
  const report = (path: string, expected: string, got: string): void => {
    if (issues.length < ISSUES_MAX) issues.push({ path, expected, got });
  };
  check(schema, value, '', { named, report });
  return issues;
}

type Context = {
  readonly named: ReadonlyMap<string, Part>;
  readonly report: (path: string, expected: string, got: string) => void;
};

function check(schema: unknown, value: unknown, path: string, context: Context): void {
  if (Array.isArray(schema)) checkUnion(schema, value, path, context);
  else if (typeof schema === 'string') checkNamed(schema, value, path, context);
  else checkDefinition(schema as Part, value, path, context);
}

function checkNamed(name: string, value: unknown, path: string, context: Context): void {
  const part = context.named.get(name);
  if (part) checkDefinition(part, value, path, context);
  else if (!isPrimitive(name, value)) context.report(path, name, kindOf(value));
}

function checkDefinition(part: Part, value: unknown, path: string, context: Context): void {
  switch (part['type']) {
    case 'record':
      checkRecord(part, value, path, context);
      break;
    case 'enum':
      if (typeof value !== 'string' || !symbolsOf(part).includes(value)) {
        context.report(path, `one of ${symbolsOf(part).join(', ')}`, kindOf(value));
      }
      break;
    case 'array':
      checkArray(part, value, path, context);
      break;
    case 'map':
      checkMap(part, value, path, context);
      break;
    default:
      check(part['type'], value, path, context);
  }
}

function checkArray(part: Part, value: unknown, path: string, context: Context): void {
  if (!Array.isArray(value)) {
    context.report(path, 'array', kindOf(value));
    return;
  }
  value.forEach((item, index) => {
    check(part['items'], item, `${path}[${index}]`, context);
  });
}

function checkUnion(branches: readonly unknown[], value: unknown, path: string, context: Context): void {
  if (value === null && branches.includes('null')) return;
  const rest = branches.filter((branch) => branch !== 'null');
  // Lint allows ["null", T] only, so there is one branch to compare with.
  if (rest.length === 1 && value !== null && value !== undefined) check(rest[0], value, path, context);
  else context.report(path, branches.map((branch) => nameOf(branch)).join(' or '), kindOf(value));
}

function checkRecord(part: Part, value: unknown, path: string, context: Context): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Buffer.isBuffer(value)) {
    context.report(path, nameOf(part), kindOf(value));
    return;
  }
  const fields = part['fields'] as readonly { name: string; type: unknown; default?: unknown }[];
  const given = value as Part;
  for (const field of fields) {
    const inner = given[field.name];
    const innerPath = join(path, field.name);
    if (inner !== undefined) check(field.type, inner, innerPath, context);
    else if (field.default === undefined) context.report(innerPath, nameOf(field.type), 'nothing');
  }
  for (const key of Object.keys(given)) {
    if (!fields.some((field) => field.name === key))
      context.report(join(path, shown(key)), 'no such field', 'undeclared');
  }
}

function checkMap(part: Part, value: unknown, path: string, context: Context): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Buffer.isBuffer(value)) {
    context.report(path, 'map', kindOf(value));
    return;
  }
  for (const key of Object.keys(value)) {
    if (key === '__proto__') context.report(join(path, '*'), 'another key', 'forbidden key');
    else check(part['values'], (value as Part)[key], join(path, shown(key)), context);
  }
}

function isPrimitive(type: string, value: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'boolean':
      return typeof value === 'boolean';
    case 'int':
      return typeof value === 'number' && INT32(value);
    case 'long':
      return typeof value === 'number' && EXACT_LONG(value);
    case 'float':
    case 'double':
      return typeof value === 'number';
    case 'bytes':
      return Buffer.isBuffer(value);
    case 'string':
      return typeof value === 'string';
    default:
      return false;
  }
}

/** What a value is, without saying what it holds. */
function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'array';
  if (Buffer.isBuffer(value)) return 'bytes';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function nameOf(schema: unknown): string {
  if (typeof schema === 'string') return schema;
  if (Array.isArray(schema)) return schema.map((branch) => nameOf(branch)).join(' or ');
  const part = schema as Part;
  if (typeof part['name'] === 'string') return part['name'];
  return nameOf(part['type']);
}

function symbolsOf(part: Part): readonly string[] {
  return part['symbols'] as readonly string[];
}

function shown(key: string): string {
  return PLAIN_NAME.test(key) ? key : '*';
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function collectNamed(schema: unknown, named: Map<string, Part>): void {
  if (typeof schema !== 'object' || schema === null) return;
  if (Array.isArray(schema)) {
    for (const branch of schema) collectNamed(branch, named);
    return;
  }
  const part = schema as Part;
  if (typeof part['name'] === 'string') named.set(`${String(part['namespace'])}.${part['name']}`, part);
  const fields = part['fields'];
  if (Array.isArray(fields)) for (const field of fields) collectNamed((field as { type: unknown }).type, named);
  collectNamed(part['items'], named);
  collectNamed(part['values'], named);
  if (typeof part['type'] === 'object') collectNamed(part['type'], named);
}
