import { readFileSync } from 'node:fs';
import { ConfigError, type ConfigProblem } from './config-error.ts';
import type { Field } from './fields.ts';

/** Fields by property name; a group nests (`kafka: kafkaConfig`). */
export type FieldGroup = { readonly [name: string]: Field<unknown> | FieldGroup };

/** The object `load` returns for a group. */
export type ConfigOf<G> = {
  readonly [K in keyof G]: G[K] extends Field<infer T> ? T : G[K] extends FieldGroup ? ConfigOf<G[K]> : never;
};

/** A service's whole configuration. Keys that start with `prefix` and are not declared are reported as unknown. */
export type ConfigSpec<G extends FieldGroup = FieldGroup> = { readonly fields: G; readonly prefix: string | null };

export type LoadOptions = {
  /** Called once per set but undeclared key of the prefix; default: one JSON line on standard error. */
  readonly onUnknownKey?: (key: string) => void;
  readonly readFile?: (path: string) => string;
};

/** Declares a configuration; a key declared twice is a programmer error and throws at once. */
export function defineConfig<const G extends FieldGroup>(fields: G, options: { prefix?: string } = {}): ConfigSpec<G> {
  const seen = new Set<string>();
  for (const field of fieldsOf(fields)) {
    if (seen.has(field.key)) throw new Error(`configuration key ${field.key} is declared twice`);
    seen.add(field.key);
  }
  return Object.freeze({ fields, prefix: options.prefix ?? null });
}

/** Every field of a group, depth first, in the order of declaration. */
export function fieldsOf(group: FieldGroup): readonly Field<unknown>[] {
  return Object.values(group).flatMap((entry) => (isField(entry) ? [entry] : fieldsOf(entry)));
}

function isField(entry: Field<unknown> | FieldGroup): entry is Field<unknown> {
  return entry['isField'] === true;
}

/**
 * Reads `env` once and returns a deeply frozen object. An empty text counts as not set, as in compose files.
 * Throws `ConfigError` with all bad keys.
 */
export function load<G extends FieldGroup>(
  spec: ConfigSpec<G>,
  env: Readonly<Record<string, string | undefined>>,
  options: LoadOptions = {},
): ConfigOf<G> {
  const problems: ConfigProblem[] = [];
  const readFile = options.readFile ?? ((path: string) => readFileSync(path, 'utf8'));
  const value = loadGroup(spec.fields, env, readFile, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  const warn = options.onUnknownKey ?? warnOnStderr;
  for (const key of unknownKeys(spec, env)) warn(key);
  // The shape was built field by field from the same group, which the compiler cannot follow.
  return value as ConfigOf<G>;
}

function loadGroup(
  group: FieldGroup,
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
  problems: ConfigProblem[],
): Readonly<Record<string, unknown>> {
  const result: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(group)) {
    if (!isField(entry)) {
      result[name] = loadGroup(entry, env, readFile, problems);
      continue;
    }
    const text = env[entry.key];
    if (text === undefined || text === '') {
      if (entry.fallback) result[name] = entry.fallback.value;
      else problems.push({ key: entry.key, problem: 'is required and not set', allowed: entry.allowed });
      continue;
    }
    const parsed = entry.parse(text, { readFile });
    if (parsed.ok) result[name] = Array.isArray(parsed.value) ? Object.freeze(parsed.value) : parsed.value;
    else problems.push({ key: entry.key, problem: parsed.problem, allowed: entry.allowed });
  }
  return Object.freeze(result);
}

function unknownKeys(spec: ConfigSpec, env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const prefix = spec.prefix;
  if (prefix === null) return [];
  const known = new Set(fieldsOf(spec.fields).map((field) => field.key));
  return Object.keys(env)
    .filter((key) => key.startsWith(prefix) && !known.has(key))
    .sort();
}

function warnOnStderr(key: string): void {
  process.stderr.write(`${JSON.stringify({ level: 'warn', msg: 'unknown configuration key', key })}\n`);
}
