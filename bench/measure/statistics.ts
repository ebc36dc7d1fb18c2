/** Middle and ends of several runs. */
export type Spread = { readonly median: number; readonly least: number; readonly most: number; readonly runs: number };

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { median, least: at(0), most: at(sorted.length - 1), runs: sorted.length };
}

/** For people: `512k (480k-530k)`. */
export function inThousands({ median, least, most }: Spread): string {
  const text = (value: number): string => `${Math.round(value / 1_000).toLocaleString('en-US')}k`;
  return `${text(median)} (${text(least)}-${text(most)})`;
}

/** What must be equal before a speed counts. @throws Error naming the first difference. */
export function assertSameCounts(
  what: string,
  got: Readonly<Record<string, number>>,
  wanted: Readonly<Record<string, number>>,
): void {
  for (const name of new Set([...Object.keys(got), ...Object.keys(wanted)])) {
    const [has, needs] = [got[name] ?? 0, wanted[name] ?? 0];
    if (has !== needs)
      throw new Error(`${what}: ${name} has ${has} results, but must have ${needs}; nothing was measured`);
  }
}
