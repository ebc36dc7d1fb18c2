import { InvariantError } from '@tracehound/event-model';

type Part = Readonly<Record<string, unknown>>;
type Field = { readonly name: string; readonly type: unknown; readonly default?: unknown };

/**
 * A reader schema with only the given dotted paths (`envelope.network.ip_hash`): what Avro resolution then skips is
 * never built. A path to a record keeps all of it. Throws `InvariantError` for a path that does not exist.
 */
export function projectSchema(schema: unknown, paths: readonly string[]): unknown {
  const named = new Map<string, Part>();
  collect(schema, named);
  const emitted = new Set<string>();

  function project(part: unknown, inner: readonly string[], whole: boolean): unknown {
    if (typeof part === 'string') {
      const known = named.get(part);
      return known ? project(known, inner, whole) : part;
    }
    if (Array.isArray(part)) return part.map((branch) => project(branch, inner, whole));
    const definition = part as Part;
    if (definition['items'] !== undefined) return { ...definition, items: project(definition['items'], [], true) };
    if (definition['values'] !== undefined) return { ...definition, values: project(definition['values'], [], true) };
    const name = fullName(definition);
    if (name === undefined) return definition;
    if (emitted.has(name)) return name;
    emitted.add(name);
    const fields = definition['fields'] as readonly Field[] | undefined;
    if (!fields) return definition;
    const kept = whole ? fields : fields.filter((field) => inner.some((path) => headOf(path) === field.name));
    return {
      ...definition,
      fields: kept.map((field) => {
        const below = inner.filter((path) => headOf(path) === field.name);
        const isWhole = whole || below.some((path) => !path.includes('.'));
        const rest = below.filter((path) => path.includes('.')).map((path) => path.slice(path.indexOf('.') + 1));
        return { ...field, type: project(field.type, rest, isWhole) };
      }),
    };
  }

  for (const path of paths) assertPath(schema, path, named);
  return project(schema, paths, false);
}

function assertPath(schema: unknown, path: string, named: ReadonlyMap<string, Part>): void {
  let part: unknown = schema;
  for (const name of path.split('.')) {
    const fields = recordOf(part, named)?.['fields'] as readonly Field[] | undefined;
    const field = fields?.find((candidate) => candidate.name === name);
    if (!field) throw new InvariantError('projection names no field', { path });
    part = field.type;
  }
}

/** The record behind a name or a nullable. */
function recordOf(part: unknown, named: ReadonlyMap<string, Part>): Part | undefined {
  if (typeof part === 'string') return named.get(part);
  if (Array.isArray(part))
    return recordOf(
      part.find((branch) => branch !== 'null'),
      named,
    );
  return part as Part;
}

function headOf(path: string): string {
  const dot = path.indexOf('.');
  return dot === -1 ? path : path.slice(0, dot);
}

function fullName(part: Part): string | undefined {
  return typeof part['name'] === 'string' ? `${String(part['namespace'])}.${part['name']}` : undefined;
}

function collect(schema: unknown, named: Map<string, Part>): void {
  if (typeof schema !== 'object' || schema === null) return;
  if (Array.isArray(schema)) {
    for (const branch of schema) collect(branch, named);
    return;
  }
  const part = schema as Part;
  const name = fullName(part);
  if (name !== undefined) named.set(name, part);
  const fields = part['fields'] as readonly Field[] | undefined;
  for (const field of fields ?? []) collect(field.type, named);
  collect(part['items'], named);
  collect(part['values'], named);
}
