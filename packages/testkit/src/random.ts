/** A source of randomness that gives the same values for the same seed, on every machine. */
export type SeededRandom = {
  /** A number in [0, 1) with 32 random bits. */
  next(): number;
  /** An integer in [0, bound). `bound` is 1 to 2^32. */
  below(bound: number): number;
  /** One element; the list must not be empty. */
  pick<T>(items: readonly T[]): T;
  /** A new list with the same elements in another order (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[];
};

/**
 * Chris Doty-Humphrey's sfc32 (PractRand): 128 bits of state, passes BigCrush, four additions a number.
 * The seed fills one word, the counter starts at 1 and the first 12 outputs are thrown away, as its author advises.
 */
export function sfc32(seed: number): SeededRandom {
  let a = 0;
  let b = seed | 0;
  let c = 0;
  let counter = 1;
  const nextUint32 = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) nextUint32();

  const next = (): number => nextUint32() / 2 ** 32;
  const below = (bound: number): number => Math.floor(next() * bound);
  return {
    next,
    below,
    pick<T>(items: readonly T[]): T {
      const index = below(items.length);
      const item = items[index];
      if (index >= items.length) throw new RangeError('cannot pick from an empty list');
      // The index lies inside the list, so the element is a T even where T includes undefined.
      return item as T;
    },
    shuffle<T>(items: readonly T[]): T[] {
      const shuffled = [...items];
      for (let i = shuffled.length - 1; i > 0; i--) {
        const j = below(i + 1);
        const [left, right] = [shuffled[i] as T, shuffled[j] as T]; // both indexes lie inside the list
        shuffled[i] = right;
        shuffled[j] = left;
      }
      return shuffled;
    },
  };
}
