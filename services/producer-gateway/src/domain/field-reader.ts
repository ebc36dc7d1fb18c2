import { NumberText } from '@tracehound/event-model';
import type { RejectionReason } from '../errors.ts';
import { isJsonObject, type Json, type JsonObject, jsonText } from './strict-json.ts';

/** The first thing wrong with an event; later ones follow from it too often to be worth listing. */
export type FieldProblem = { readonly reason: RejectionReason; readonly field: string; readonly detail: string };

/** Shared by the readers of one event. */
export type ProblemReport = { problem: FieldProblem | null };

/**
 * Reads fields of a JSON object by name and type and reports the first problem with its JSON pointer. Every method
 * answers null for a field that is absent, null or wrong, so a caller reads all fields straight down and then looks at
 * `report.problem` once. Details name rules, never values.
 */
export class FieldReader {
  private readonly object: JsonObject;
  private readonly pointer: string;
  readonly report: ProblemReport;

  constructor(object: JsonObject, pointer: string, report: ProblemReport) {
    this.object = object;
    this.pointer = pointer;
    this.report = report;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.object, key) && this.object[key] !== null;
  }

  at(key: string): string {
    return `${this.pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  }

  problem(key: string, reason: RejectionReason, detail: string): null {
    this.report.problem ??= { reason, field: this.at(key), detail };
    return null;
  }

  /** Refuses names outside `known`: a misspelt field would otherwise be lost in silence. */
  onlyKnown(known: ReadonlySet<string>): void {
    for (const key of Object.keys(this.object)) {
      if (!known.has(key)) this.problem(key, 'unknown_field', 'this field is not known here');
    }
  }

  text(key: string, options: { max: number; required?: boolean; cut?: boolean }): string | null {
    const value = this.object[key] ?? null;
    if (value === null || value === '') {
      return options.required ? this.problem(key, 'missing_field', 'this field is required') : null;
    }
    if (typeof value !== 'string') return this.problem(key, 'wrong_type', 'a text is expected');
    if (value.includes('\u0000')) return this.problem(key, 'invalid_value', 'a NUL character is not allowed');
    if (value.length <= options.max) return value;
    if (options.cut) return value.slice(0, options.max);
    return this.problem(key, 'too_long', `at most ${options.max} characters are allowed`);
  }

  integer(key: string, options: { min: number; max: number }): number | null {
    const value = this.object[key] ?? null;
    if (value === null) return null;
    if (typeof value !== 'number' || !Number.isInteger(value)) {
      return this.problem(key, 'wrong_type', 'a whole number is expected');
    }
    if (value >= options.min && value <= options.max) return value;
    return this.problem(key, 'invalid_value', `allowed are ${options.min} to ${options.max}`);
  }

  /** A reader of the object under `key`. */
  child(key: string): FieldReader | null {
    const value = this.object[key] ?? null;
    if (value === null) return null;
    if (!isJsonObject(value)) return this.problem(key, 'wrong_type', 'an object is expected');
    return new FieldReader(value, this.at(key), this.report);
  }

  raw(key: string): Json {
    return this.object[key] ?? null;
  }

  /** Readers of the objects of a list; at most `max`. */
  children(key: string, max: number): readonly FieldReader[] {
    const value = this.object[key] ?? null;
    if (value === null) return [];
    if (!Array.isArray(value)) {
      this.problem(key, 'wrong_type', 'a list is expected');
      return [];
    }
    if (value.length > max) this.problem(key, 'too_many_keys', `at most ${max} entries are allowed`);
    const readers: FieldReader[] = [];
    for (const [index, item] of (value as readonly Json[]).entries()) {
      if (isJsonObject(item)) readers.push(new FieldReader(item, `${this.at(key)}/${index}`, this.report));
      else
        this.report.problem ??= {
          reason: 'wrong_type',
          field: `${this.at(key)}/${index}`,
          detail: 'an object is expected',
        };
    }
    return readers;
  }

  /** Text of a scalar, or JSON text of anything else; null stays null. */
  anyText(key: string): string | null {
    return textOf(this.object[key] ?? null);
  }

  /**
   * An object of scalars as texts: numbers and booleans by their JSON text, null members left out. `nested` members
   * become their JSON text when allowed.
   */
  textMap(key: string, options: { keysMax: number; nested: boolean }): Readonly<Record<string, string>> {
    const object = this.child(key);
    const result: Record<string, string> = Object.create(null);
    if (!object) return result;
    const entries = Object.entries(object.object);
    if (entries.length > options.keysMax) {
      this.problem(key, 'too_many_keys', `at most ${options.keysMax} keys are allowed`);
      return result;
    }
    for (const [name, value] of entries) {
      const nested = Array.isArray(value) || isJsonObject(value);
      if (nested && !options.nested) object.problem(name, 'wrong_type', 'a text, number or boolean is expected');
      const text = textOf(value);
      if (text !== null) result[name] = text;
    }
    return result;
  }
}

function textOf(value: Json): string | null {
  if (value === null || typeof value === 'string') return value;
  return value instanceof NumberText ? value.text : jsonText(value);
}
