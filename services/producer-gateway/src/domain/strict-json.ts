import { NumberText } from '@tracehound/event-model';

/**
 * JSON by RFC 8259, stricter and more exact than `JSON.parse`: duplicate keys are refused (two readers would see two
 * events), depth is bounded, objects have no prototype (so `__proto__` is a key like any other), and a number whose
 * text a double cannot repeat keeps its text. One pass, no backtracking: time is linear in the input.
 */
export type Json = null | boolean | string | number | NumberText | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json };

/** Where and why a text is not JSON. `reason` holds no data; `offset` counts UTF-16 units from 0. */
export class JsonSyntaxError extends Error {
  readonly offset: number;
  readonly duplicateKey: boolean;
  constructor(reason: string, offset: number, duplicateKey = false) {
    super(reason);
    this.name = 'JsonSyntaxError';
    this.offset = offset;
    this.duplicateKey = duplicateKey;
  }
}

/** One element of a top-level array (or of its `events`), with the extent of its text. */
export type JsonElement = { readonly value: Json; readonly from: number; readonly to: number };

/** Deeper than any real log; bounds the stack. */
const DEPTH_MAX = 64;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const PLAIN_TEXT = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

export function parseJson(text: string): Json {
  const parser = new Parser(text);
  const value = parser.value(0);
  parser.end();
  return value;
}

/**
 * Parses a document and gives the extents of the elements when it is an array; `null` when it is anything else.
 */
export function parseElements(text: string): {
  readonly value: Json;
  readonly elements: readonly JsonElement[] | null;
} {
  const parser = new Parser(text);
  const elements = parser.peek() === '[' ? parser.elements() : null;
  const value = elements ? elements.map((element) => element.value) : parser.value(0);
  parser.end();
  return { value, elements };
}

/** Compact JSON text; numbers keep the text they came with. */
export function jsonText(value: Json): string {
  if (value instanceof NumberText) return value.text;
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (isJsonObject(value)) {
    return `{${Object.entries(value)
      .map(([key, member]) => `${JSON.stringify(key)}:${jsonText(member)}`)
      .join(',')}}`;
  }
  return JSON.stringify(value);
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof NumberText);
}

class Parser {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  end(): void {
    this.space();
    if (this.at < this.text.length) this.fail('text after the end of the document');
  }

  peek(): string {
    this.space();
    return this.text[this.at] ?? '';
  }

  elements(): readonly JsonElement[] {
    const elements: JsonElement[] = [];
    this.list(() => {
      this.space();
      const from = this.at;
      const value = this.value(1);
      elements.push({ value, from, to: this.at });
    });
    return elements;
  }

  value(depth: number): Json {
    if (depth > DEPTH_MAX) this.fail('nested too deeply');
    switch (this.peek()) {
      case '{':
        return this.object(depth);
      case '[': {
        const items: Json[] = [];
        this.list(() => items.push(this.value(depth + 1)));
        return items;
      }
      case '"':
        return this.string();
      case 't':
        return this.word('true', true);
      case 'f':
        return this.word('false', false);
      case 'n':
        return this.word('null', null);
      default:
        return this.number();
    }
  }

  private list(item: () => void): void {
    this.at++;
    if (this.peek() === ']') {
      this.at++;
      return;
    }
    for (;;) {
      item();
      const next = this.peek();
      if (next !== ',' && next !== ']') this.fail('expected a comma or the end of the list');
      this.at++;
      if (next === ']') return;
    }
  }

  private object(depth: number): JsonObject {
    const members: Record<string, Json> = Object.create(null);
    this.at++;
    if (this.peek() === '}') {
      this.at++;
      return members;
    }
    for (;;) {
      if (this.peek() !== '"') this.fail('expected a key');
      const keyAt = this.at;
      const key = this.string();
      if (key in members) throw new JsonSyntaxError('a key occurs twice in one object', keyAt, true);
      if (this.peek() !== ':') this.fail('expected a colon');
      this.at++;
      members[key] = this.value(depth + 1);
      const next = this.peek();
      if (next !== ',' && next !== '}') this.fail('expected a comma or the end of the object');
      this.at++;
      if (next === '}') return members;
    }
  }

  private string(): string {
    let result = '';
    this.at++;
    for (;;) {
      PLAIN_TEXT.lastIndex = this.at;
      PLAIN_TEXT.test(this.text);
      const to = PLAIN_TEXT.lastIndex;
      result += this.text.slice(this.at, to);
      this.at = to;
      const next = this.text[to];
      if (next === '"') {
        this.at++;
        return result;
      }
      if (next !== '\\') this.fail(next === undefined ? 'unfinished text' : 'control character in a text');
      result += this.escape();
    }
  }

  private escape(): string {
    const letter = this.text[this.at + 1] ?? '';
    const simple = ESCAPES[letter];
    if (simple !== undefined) {
      this.at += 2;
      return simple;
    }
    const hex = this.text.slice(this.at + 2, this.at + 6);
    if (letter !== 'u' || !/^[0-9a-fA-F]{4}$/.test(hex)) this.fail('unknown escape in a text');
    this.at += 6;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  private number(): number | NumberText {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.text);
    if (!match) this.fail(this.at >= this.text.length ? 'unfinished document' : 'expected a value');
    const text = match[0];
    this.at += text.length;
    const value = Number(text);
    return String(value) === text ? value : new NumberText(text);
  }

  private word<T extends boolean | null>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail('expected a value');
    this.at += word.length;
    return value;
  }

  private space(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
      this.at++;
    }
  }

  private fail(reason: string): never {
    throw new JsonSyntaxError(reason, this.at);
  }
}
