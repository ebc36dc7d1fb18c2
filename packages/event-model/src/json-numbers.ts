/**
 * A JSON number that a double cannot hold as written: an integer beyond 2^53, `1.0`, `1e400`. Everything else parses to
 * a plain number.
 */
export class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type ReviverContext = { readonly source?: string };

function keepNumberText(_key: string, value: unknown, context: ReviverContext): unknown {
  if (typeof value !== 'number' || context.source === undefined || context.source === String(value)) return value;
  return new NumberText(context.source);
}

/**
 * `JSON.parse` that loses no digit (ECMAScript 2026, JSON.parse source text access). A key `__proto__` becomes an own
 * property, as with `JSON.parse`. Throws `SyntaxError` for what is not JSON; its message quotes the input, so never
 * show or log it.
 */
export function parseJsonExact(text: string): unknown {
  // The library types do not know the third argument of a reviver yet.
  return JSON.parse(text, keepNumberText as (key: string, value: unknown) => unknown);
}
