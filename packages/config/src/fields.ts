import { Secret } from './secret.ts';

/** The text of a key turned into a value, or why not. `problem` must not repeat the text of a secret. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

export type ParseContext = { readonly readFile: (path: string) => string };

/** One declared key. `allowed` says the range in words, `shownDefault` is what `--help` prints. */
export type Field<T> = {
  readonly isField: true;
  readonly key: string;
  readonly kind: string;
  readonly about: string;
  readonly unit: string;
  readonly allowed: string;
  readonly secret: boolean;
  /** Absent: the key is required. */
  readonly fallback?: { readonly value: T };
  readonly shownDefault: string;
  readonly parse: (text: string, context: ParseContext) => Parsed<T>;
};

/** What every kind takes. Without `default` the key is required. */
type Declared<T> = {
  readonly key: string;
  readonly about: string;
  readonly default?: T;
};

type Built<T> = {
  readonly kind: string;
  readonly unit?: string;
  readonly allowed: string;
  readonly secret?: boolean;
  readonly show?: (value: T) => string;
  readonly parse: (text: string, context: ParseContext) => Parsed<T>;
};

function build<T>(declared: Declared<T>, built: Built<T>): Field<T> {
  const show = built.show ?? String;
  const shownDefault =
    declared.default === undefined ? 'required' : show(declared.default) === '' ? 'empty' : show(declared.default);
  return Object.freeze({
    isField: true as const,
    key: declared.key,
    about: declared.about,
    kind: built.kind,
    unit: built.unit ?? '',
    allowed: built.allowed,
    secret: built.secret ?? false,
    shownDefault,
    parse: built.parse,
    ...(declared.default === undefined ? {} : { fallback: { value: declared.default } }),
  });
}

function good<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}

export function string(
  declared: Declared<string> & { readonly pattern?: RegExp; readonly allowed?: string; readonly secret?: boolean },
): Field<string> {
  return build(declared, {
    kind: 'text',
    allowed: declared.allowed ?? (declared.pattern ? `text matching ${declared.pattern.source}` : 'any text'),
    secret: declared.secret ?? false,
    parse: (text) => (declared.pattern && !declared.pattern.test(text) ? bad('has the wrong form') : good(text)),
  });
}

function withinBounds(value: number, bounds: { min?: number; max?: number }): boolean {
  return value >= (bounds.min ?? Number.MIN_SAFE_INTEGER) && value <= (bounds.max ?? Number.MAX_SAFE_INTEGER);
}

type Bounds = { readonly min?: number; readonly max?: number };

function range(bounds: Bounds, show: (value: number) => string): string {
  if (bounds.min !== undefined && bounds.max !== undefined) return `${show(bounds.min)} to ${show(bounds.max)}`;
  if (bounds.min !== undefined) return `${show(bounds.min)} or more`;
  if (bounds.max !== undefined) return `${show(bounds.max)} or less`;
  return 'any';
}

export function integer(declared: Declared<number> & Bounds & { readonly unit?: string }): Field<number> {
  return build(declared, {
    kind: 'integer',
    unit: declared.unit ?? '',
    allowed: range(declared, String),
    parse: (text) => {
      if (!/^-?\d{1,16}$/.test(text)) return bad(`'${text.slice(0, 40)}' is not a whole number`);
      const value = Number(text);
      return withinBounds(value, declared) ? good(value) : bad(`${text} is out of range`);
    },
  });
}

const DURATION_UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];

function showDuration(ms: number): string {
  for (const [unit, size] of DURATION_UNITS) if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  return `${ms}ms`;
}

/** `500ms`, `5s`, `2m`, `1h`, `30d`; the value is milliseconds. A bare number is refused because its unit is unknown. */
export function duration(declared: Declared<number> & Bounds): Field<number> {
  return build(declared, {
    kind: 'duration',
    unit: 'ms, s, m, h, d',
    allowed: range(declared, showDuration),
    show: showDuration,
    parse: (text) => {
      const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text);
      const size = DURATION_UNITS.find(([unit]) => unit === match?.[2])?.[1];
      if (!match || size === undefined) return bad(`'${text.slice(0, 40)}' is not a duration such as 500ms or 5s`);
      const value = Number(match[1]) * size;
      return withinBounds(value, declared) ? good(value) : bad(`${text} is out of range`);
    },
  });
}

const BYTE_UNITS: readonly (readonly [string, number])[] = [
  ['GiB', 1_073_741_824],
  ['MiB', 1_048_576],
  ['KiB', 1_024],
  ['B', 1],
];

function showBytes(size: number): string {
  for (const [unit, factor] of BYTE_UNITS) if (size >= factor && size % factor === 0) return `${size / factor}${unit}`;
  return `${size}B`;
}

/** `64KiB`, `1MiB`, `512B`; the value is bytes. */
export function bytes(declared: Declared<number> & Bounds): Field<number> {
  return build(declared, {
    kind: 'size',
    unit: 'B, KiB, MiB, GiB',
    allowed: range(declared, showBytes),
    show: showBytes,
    parse: (text) => {
      const match = /^(\d{1,12})(B|KiB|MiB|GiB)$/.exec(text);
      const factor = BYTE_UNITS.find(([unit]) => unit === match?.[2])?.[1];
      if (!match || factor === undefined) return bad(`'${text.slice(0, 40)}' is not a size such as 64KiB or 1MiB`);
      const value = Number(match[1]) * factor;
      return withinBounds(value, declared) ? good(value) : bad(`${text} is out of range`);
    },
  });
}

export function boolean(declared: Declared<boolean>): Field<boolean> {
  return build(declared, {
    kind: 'boolean',
    allowed: 'true or false',
    parse: (text) =>
      text === 'true' ? good(true) : text === 'false' ? good(false) : bad(`'${text.slice(0, 40)}' is neither`),
  });
}

/** An address with one of `protocols` (without the colon). Its text may hold a password, so it is never repeated. */
export function url(declared: Declared<string> & { readonly protocols: readonly string[] }): Field<string> {
  return build(declared, {
    kind: 'url',
    allowed: declared.protocols.map((protocol) => `${protocol}://…`).join(' or '),
    secret: true,
    parse: (text) => {
      if (!URL.canParse(text)) return bad('is not an address');
      const protocol = new URL(text).protocol.slice(0, -1);
      return declared.protocols.includes(protocol) ? good(text) : bad('has a protocol that is not allowed here');
    },
  });
}

/** Comma list without empty entries; `pattern` holds for each entry. */
export function list(
  declared: Declared<readonly string[]> & {
    readonly pattern?: RegExp;
    readonly allowed?: string;
    readonly min?: number;
  },
): Field<readonly string[]> {
  return build(declared, {
    kind: 'list',
    unit: 'comma separated',
    allowed: declared.allowed ?? 'a comma list',
    show: (value) => value.join(','),
    parse: (text) => {
      const entries = text.split(',').map((entry) => entry.trim());
      const kept = entries.filter((entry) => entry !== '');
      const wrong = kept.findIndex((entry) => declared.pattern && !declared.pattern.test(entry));
      if (wrong >= 0) return bad(`entry ${wrong + 1} has the wrong form`);
      return kept.length < (declared.min ?? 0) ? bad(`needs ${declared.min} or more entries`) : good(kept);
    },
  });
}

export function enumOf<const T extends string>(
  declared: Declared<NoInfer<T>> & { readonly values: readonly T[] },
): Field<T> {
  return build<T>(declared, {
    kind: 'one of',
    allowed: declared.values.join(', '),
    parse: (text) => {
      const value = declared.values.find((entry) => entry === text);
      return value === undefined ? bad(`'${text.slice(0, 40)}' is unknown`) : good(value);
    },
  });
}

/** The key names a file; the value is its text without the last line break, as a `Secret`. */
export function secretFile(declared: Omit<Declared<Secret>, 'default'>): Field<Secret> {
  return build<Secret>(declared, {
    kind: 'secret file',
    allowed: 'path of a readable file that is not empty',
    secret: true,
    parse: (text, context) => {
      const read = readText(text, context);
      return read.ok ? good(new Secret(read.value)) : read;
    },
  });
}

/** The key names a file that is no secret (a CA certificate); the value is its text. */
export function textFile(declared: Omit<Declared<string>, 'default'>): Field<string> {
  return build<string>(declared, {
    kind: 'file',
    allowed: 'path of a readable file that is not empty',
    parse: readText,
  });
}

function readText(path: string, context: ParseContext): Parsed<string> {
  let text: string;
  try {
    text = context.readFile(path).replace(/\r?\n$/, '');
  } catch {
    return bad('names a file that cannot be read');
  }
  return text === '' ? bad('names an empty file') : good(text);
}

/** Makes a key optional: `null` when it is not set. */
export function optional<T>(field: Field<T>): Field<T | null> {
  return Object.freeze({ ...field, fallback: { value: null }, shownDefault: 'not set' });
}
