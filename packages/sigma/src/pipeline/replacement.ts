/** Characters of a value that `replace_string` looks at; longer ones are refused: the expression may backtrack. */
export const REPLACED_CHARACTERS_MAX = 1_024;

/**
 * The expression and replacement of `replace_string`, written for Python's `re.sub`, in the terms of this language.
 * Groups that are repeated, and backward references, are refused: they can take exponential time, and no mapping needs
 * them. `reason` in words for the author.
 */
export function readReplacement(
  regex: string,
  replacement: string,
): { readonly pattern: RegExp; readonly replacement: string } | { readonly reason: string } {
  if (/\)\s*(?:[*+]|\{\d*,?\d*\})/.test(withoutEscapes(regex))) return { reason: 'a repeated group can take forever' };
  if (/\\[1-9]|\(\?P=/.test(regex)) return { reason: 'backward references can take forever' };
  try {
    const pattern = new RegExp(regex.replaceAll('(?P<', '(?<'), 'gu');
    return { pattern, replacement: translated(replacement) };
  } catch {
    return { reason: 'it is not a regular expression' };
  }
}

function withoutEscapes(regex: string): string {
  return regex.replaceAll(/\\./g, '').replaceAll(/\[\^?\]?[^\]]*\]/g, '');
}

/** `\1`, `\g<1>`, `\g<name>` become `$1`, `$<name>`; a dollar sign is itself. */
function translated(replacement: string): string {
  const shape = /\\\\|\\g<(\w+)>|\\(\d)|\$/g;
  return replacement.replaceAll(shape, (found: string, group: string | undefined, digit: string | undefined) => {
    if (found === '$') return '$$';
    if (found === '\\\\') return '\\';
    const name = group ?? digit ?? '';
    if (name === '0') return '$&';
    return /^\d+$/.test(name) ? `$${name}` : `$<${name}>`;
  });
}
