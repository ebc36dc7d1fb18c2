import {
  entryOf,
  type Position,
  type ProblemSink,
  textListEntry,
  type YamlEntry,
  type YamlMap,
  type YamlNode,
} from '../yaml-tree.ts';
import type { Value } from './pipeline-definition.ts';

/** A part of a pipeline that cannot be used; thrown by readers, reported once, with its place. */
export class PipelineRefusal extends Error {
  readonly at: Position;
  readonly code: 'value_invalid' | 'key_missing' | 'key_unknown' | 'unsupported' | 'regex_refused';
  constructor(at: Position, message: string, code: PipelineRefusal['code'] = 'value_invalid') {
    super(message);
    this.at = at;
    this.code = code;
  }
}

/** Reads the keys of one map, and refuses those that nobody asked for: a slip must not silently change a pipeline. */
export class KeyReader {
  readonly map: YamlMap;
  readonly #what: string;
  readonly #asked = new Set<string>();

  /** `what`: the owner in words, such as `'logsource' condition`. */
  constructor(node: YamlNode, what: string) {
    if (node.kind !== 'map') throw new PipelineRefusal(node.at, `${what} must be a map`);
    this.map = node;
    this.#what = what;
  }

  entry(key: string): YamlEntry | undefined {
    this.#asked.add(key);
    return entryOf(this.map, key);
  }

  needed(key: string): YamlEntry {
    const entry = this.entry(key);
    if (entry) return entry;
    throw new PipelineRefusal(this.map.at, `${this.#what} needs '${key}'`, 'key_missing');
  }

  text(key: string): string {
    return textOf(this.needed(key));
  }

  optionalText(key: string): string | null {
    const entry = this.entry(key);
    return !entry || isNull(entry.value) ? null : textOf(entry);
  }

  flag(key: string): boolean {
    const entry = this.entry(key);
    if (!entry || isNull(entry.value)) return false;
    if (entry.value.kind === 'scalar' && typeof entry.value.value === 'boolean') return entry.value.value;
    throw new PipelineRefusal(entry.value.at, `'${key}' must be true or false`);
  }

  value(key: string): Value {
    const { value } = this.needed(key);
    if (value.kind === 'scalar') return value.value;
    throw new PipelineRefusal(value.at, `'${key}' must be a single value`);
  }

  choice<T extends string>(key: string, choices: readonly T[], otherwise?: T): T {
    const entry = otherwise === undefined ? this.needed(key) : this.entry(key);
    if (!entry) return otherwise as T;
    const written = textOf(entry);
    const choice = choices.find((one) => one === written);
    if (choice !== undefined) return choice;
    throw new PipelineRefusal(entry.value.at, `'${key}' must be one of ${choices.join(', ')}`);
  }

  /** Null when the key is absent. */
  texts(key: string): readonly string[] | null {
    const entry = this.entry(key);
    return entry ? textsOf(entry) : null;
  }

  neededTexts(key: string): readonly string[] {
    const texts = textsOf(this.needed(key));
    if (texts.length > 0) return texts;
    throw new PipelineRefusal(this.needed(key).keyAt, `'${key}' must not be empty`);
  }

  refuseOthers(): void {
    const stranger = this.map.entries.find(({ key }) => !this.#asked.has(key));
    if (!stranger) return;
    const known = [...this.#asked].join(', ');
    const message = `${this.#what} has no key '${stranger.key}'; it has: ${known}`;
    throw new PipelineRefusal(stranger.keyAt, message, 'key_unknown');
  }
}

export function isNull(node: YamlNode): boolean {
  return node.kind === 'scalar' && node.value === null;
}

export function textOf({ key, keyAt, value }: YamlEntry): string {
  if (value.kind === 'scalar' && value.value !== null) return String(value.value);
  throw new PipelineRefusal(keyAt, `'${key}' must be text`);
}

/** One text or a list of texts. */
export function textsOf(entry: YamlEntry): readonly string[] {
  const map: YamlMap = { kind: 'map', at: entry.keyAt, entries: [entry] };
  const refuse: ProblemSink = {
    path: '',
    report(_code, at, message) {
      throw new PipelineRefusal(at, message);
    },
  };
  return textListEntry(map, entry.key, refuse).map(({ text }) => text);
}
