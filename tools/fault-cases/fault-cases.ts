/** A row of `docs/fault-cases.md`. */
export type FaultCase = {
  readonly id: string;
  readonly name: string;
  readonly evidence: readonly { readonly file: string; readonly test: string }[];
  /** What no test shows. */
  readonly gaps: readonly string[];
  /** Parts of the evidence that are neither a test nor a gap. */
  readonly unread: readonly string[];
};

/** The rows of all tables on the page whose first two cells are code, in order. */
export function readFaultCases(page: string): readonly FaultCase[] {
  return [...page.matchAll(/^\| `([^`]+)` \| `([^`]+)` \| [^|]+ \| ([^|]*) \|$/gm)].map(([, id, name, cell]) => {
    const parts = (cell ?? '').split('<br>').map((part) => part.trim());
    const evidence = parts.map((part) => /^`([^`]+)` › `([^`]+)`$/.exec(part));
    const gaps = parts.map((part) => /^not covered: (.+)$/.exec(part)?.[1]);
    return {
      id: id ?? '',
      name: name ?? '',
      evidence: evidence.flatMap((found) => (found ? [{ file: found[1] ?? '', test: found[2] ?? '' }] : [])),
      gaps: gaps.flatMap((gap) => (gap === undefined ? [] : [gap])),
      unread: parts.filter((_, index) => !evidence[index] && gaps[index] === undefined),
    };
  });
}

/**
 * Whether a test (or a group of them) that runs begins with these words, or a fault of the soak has this name. Reads
 * text, not syntax: a name is a literal right behind an opening bracket that neither `skip` nor `todo` opened.
 */
export function standsIn(source: string, test: string): boolean {
  const words = test.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  return (
    new RegExp(`(?<!\\b(?:skip|todo))\\(\\s*['"\`]${words}`).test(source) ||
    new RegExp(`^ *async '?${words}'?\\(`, 'm').test(source)
  );
}
