import { foldCase } from './case-fold.ts';

/**
 * Sigma string values: `*` stands for any run of characters (line ends included), `?` for exactly one code point.
 * Escapes as Sigma 2.1, "Escaping": a backslash before `*`, `?` or `\` takes the meaning away from that
 * character; before any other it is itself. So `\\*` is a backslash and a wildcard, `\\\*` a backslash and a star.
 */
export type PatternPart = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'any' | 'one' };

/** Reads the wildcards and escapes of one rule value. Neighbouring texts are one part, neighbouring `*` too. */
export function parsePattern(source: string): readonly PatternPart[] {
  const parts: PatternPart[] = [];
  let text = '';
  const endText = (): void => {
    if (text !== '') parts.push({ kind: 'text', text });
    text = '';
  };
  for (let i = 0; i < source.length; i++) {
    const char = source[i] as string;
    const next = source[i + 1];
    if (char === '\\' && (next === '*' || next === '?' || next === '\\')) {
      text += next;
      i++;
    } else if (char === '*') {
      endText();
      if (parts.at(-1)?.kind !== 'any') parts.push({ kind: 'any' });
    } else if (char === '?') {
      endText();
      parts.push({ kind: 'one' });
    } else {
      text += char;
    }
  }
  endText();
  return parts;
}

/** Where the value may lie in the field: as a whole, or anywhere, at the start, at the end. */
export type PatternAnchor = 'whole' | 'contains' | 'startswith' | 'endswith';

export function anchorPattern(parts: readonly PatternPart[], anchor: PatternAnchor): readonly PatternPart[] {
  const any: PatternPart = { kind: 'any' };
  const open = anchor === 'contains' || anchor === 'endswith';
  const close = anchor === 'contains' || anchor === 'startswith';
  const anchored = [...(open && parts[0]?.kind !== 'any' ? [any] : []), ...parts];
  if (close && anchored.at(-1)?.kind !== 'any') anchored.push(any);
  return anchored;
}

/**
 * Compiles to a test of one text. Comparison folds case (simple folding by code point) unless `cased`.
 * Cost: one search for a plain value; with wildcards at most length of text times length of pattern.
 */
export function compilePattern(parts: readonly PatternPart[], cased: boolean): (text: string) => boolean {
  if (cased) return compileParts(parts);
  const test = compileFoldedPattern(parts);
  return (text) => test(foldCase(text));
}

/** As `compilePattern` without `cased`, for texts that the caller has folded, once for many patterns. */
export function compileFoldedPattern(parts: readonly PatternPart[]): (folded: string) => boolean {
  return compileParts(parts.map((part) => (part.kind === 'text' ? { ...part, text: foldCase(part.text) } : part)));
}

function compileParts(parts: readonly PatternPart[]): (text: string) => boolean {
  const texts = parts.filter((part) => part.kind === 'text');
  const shape = parts.map((part) => part.kind).join(' ');
  const first = texts[0]?.kind === 'text' ? texts[0].text : '';
  switch (shape) {
    case '':
      return (text) => text === '';
    case 'any':
      return () => true;
    case 'text':
      return (text) => text === first;
    case 'any text':
      return (text) => text.endsWith(first);
    case 'text any':
      return (text) => text.startsWith(first);
    case 'any text any':
      return (text) => text.includes(first);
    default:
      return compileGlob(parts);
  }
}

/** The two-pointer wildcard match: on a mismatch it goes back to the latest `*` only, so it never explodes. */
function compileGlob(parts: readonly PatternPart[]): (text: string) => boolean {
  const symbols: (string | PatternPart['kind'])[] = [];
  const ANY = 'any';
  const ONE = 'one';
  const isWild: boolean[] = [];
  for (const part of parts) {
    if (part.kind === 'text') {
      for (const symbol of part.text) {
        symbols.push(symbol);
        isWild.push(false);
      }
    } else {
      symbols.push(part.kind === 'any' ? ANY : ONE);
      isWild.push(true);
    }
  }
  return (text) => {
    const points = [...text];
    let p = 0;
    let t = 0;
    let star = -1;
    let starText = 0;
    while (t < points.length) {
      if (p < symbols.length && isWild[p] && symbols[p] === ANY) {
        star = p++;
        starText = t;
      } else if (p < symbols.length && (isWild[p] || symbols[p] === points[t])) {
        p++;
        t++;
      } else if (star >= 0) {
        p = star + 1;
        t = ++starText;
      } else {
        return false;
      }
    }
    while (p < symbols.length && isWild[p] && symbols[p] === ANY) p++;
    return p === symbols.length;
  };
}
