/**
 * Steps all states of an automaton at once, one bit each (Ricardo Baeza-Yates and Gaston Gonnet, "A new approach to text
 * searching", CACM 35:10, 1992; Gonzalo Navarro and Mathieu Raffinot, "Flexible Pattern Matching in Strings", 2002,
 * chapter 5). For texts that reach ever new sets of states, where keeping the sets does not pay: a step costs a few
 * operations per 32 states, plus those of states whose successor is not their neighbour.
 */
export type BitStep = {
  /** Sets the states to be those of `members`. */
  load(members: Int32Array): void;
  /** Reads one character of the class; true when that is a match. */
  step(symbol: number): boolean;
};

/** A state that reads a character: the classes it reads, and where it leads; `matches`: a match is among these. */
export type BitState = {
  readonly accepts: Uint8Array;
  readonly next: readonly number[];
  readonly matches: boolean;
};

export function createBitStep(
  states: readonly (BitState | undefined)[],
  restart: readonly number[],
  symbols: number,
): BitStep {
  const words = (states.length + 31) >> 5;
  const bitsOf = (members: Iterable<number>): Int32Array => {
    const bits = new Int32Array(words);
    for (const member of members) bits[member >> 5] = (bits[member >> 5] as number) | (1 << (member & 31));
    return bits;
  };
  const isChained = states.map(
    (state, at) => state?.matches === false && state.next.length === 1 && state.next[0] === at - 1,
  );
  const chained = bitsOf([...states.keys()].filter((at) => isChained[at]));
  const follow = states.map((state, at) => (state && !isChained[at] ? bitsOf(state.next) : undefined));
  const readers = Array.from({ length: symbols }, (_, symbol) =>
    bitsOf([...states.keys()].filter((at) => states[at]?.accepts[symbol] === 1)),
  );
  const again = bitsOf(restart);
  let present = new Int32Array(words);
  let coming = new Int32Array(words);

  function step(symbol: number): boolean {
    const reading = readers[symbol] as Int32Array;
    coming.set(again);
    for (let word = 0; word < words; word++) {
      const active = (present[word] as number) & (reading[word] as number);
      if (active === 0) continue;
      const shifted = active & (chained[word] as number);
      coming[word] = (coming[word] as number) | (shifted >>> 1);
      if ((shifted & 1) === 1 && word > 0) coming[word - 1] = (coming[word - 1] as number) | (1 << 31);
      for (let rest = active & ~(chained[word] as number); rest !== 0; rest &= rest - 1) {
        const at = word * 32 + (31 - Math.clz32(rest & -rest));
        if (states[at]?.matches === true) return true;
        const next = follow[at] as Int32Array;
        for (let other = 0; other < words; other++) coming[other] = (coming[other] as number) | (next[other] as number);
      }
    }
    [present, coming] = [coming, present];
    return false;
  }
  return { load: (members) => present.set(bitsOf(members)), step };
}
