import { foldOrbits } from '../case-fold.ts';
import type { PointerSink } from './candidates.ts';

/**
 * Finds which of many literals are in a text, in one pass whatever their number (Alfred Aho and Margaret Corasick,
 * "Efficient string matching: an aid to bibliographic search", CACM 18:6, 1975), as a full transition table. The ends
 * of the text are symbols of their own, so that a literal can be held to the start or to the end. Letters that fold
 * together are one symbol, so that texts need no folding; this works unit by unit, hence literals are case-folded and
 * hold no surrogates.
 */
export type Literal = {
  readonly text: string;
  readonly atStart: boolean;
  readonly atEnd: boolean;
  /** What is reported when the literal is found. */
  readonly id: number;
};

const OTHER = 0;
const START = 1;
const END = 2;
/** Not a symbol but a column of its own: where in `found` the ids of the row's state are. */
const FOUND = 3;
const FIRST_UNIT = 4;

export class LiteralAutomaton {
  private readonly small = new Uint16Array(256);
  private readonly wide = new Map<number, number>();
  /** At [state * symbols + symbol]: twice the place of the next state's row, plus 1 when literals end there. */
  private readonly table: Int32Array;
  private readonly found: Int32Array[] = [];
  private readonly startRow: number;
  private readonly hasEnds: boolean;
  /** No literal can begin later than at the start of the text. */
  private readonly isAnchored: boolean;

  constructor(literals: readonly Literal[]) {
    const words = literals.map((literal) => this.wordOf(literal));
    const symbols = FIRST_UNIT + this.symbolCount;
    const trie = buildTrie(words, literals);
    this.table = new Int32Array(trie.length * symbols);
    this.hasEnds = literals.some(({ atEnd }) => atEnd);
    this.isAnchored = literals.every(({ atStart }) => atStart);
    this.fill(trie, symbols);
    this.startRow = (this.table[START] as number) >> 1;
  }

  private symbolCount = 0;

  private wordOf({ text, atStart, atEnd }: Literal): readonly number[] {
    const word = atStart ? [START] : [];
    for (let i = 0; i < text.length; i++) word.push(this.define(text.charCodeAt(i)));
    if (atEnd) word.push(END);
    return word;
  }

  private define(unit: number): number {
    const known = unit < 256 ? this.small[unit] : this.wide.get(unit);
    if (known) return known;
    const symbol = FIRST_UNIT + this.symbolCount++;
    for (const member of foldOrbits().get(unit) ?? [unit]) {
      if (member < 256) this.small[member] = symbol;
      else this.wide.set(member, symbol);
    }
    return symbol;
  }

  /** Row by row, shallow states first: a state's row is that of its longest proper suffix, with its own children. */
  private fill(trie: readonly TrieNode[], symbols: number): void {
    const { table, found } = this;
    const suffix = new Int32Array(trie.length);
    const foundOf = new Int32Array(trie.length).fill(-1);
    const order = [0];
    for (const state of order) {
      const row = state * symbols;
      const back = suffix[state] as number;
      if (state > 0) table.copyWithin(row, back * symbols, (back + 1) * symbols);
      const ids = new Set([...(trie[state]?.ids ?? []), ...(found[foundOf[back] as number] ?? [])]);
      if (ids.size > 0) foundOf[state] = found.push(Int32Array.from(ids)) - 1;
      for (const [symbol, child] of trie[state]?.children ?? []) {
        suffix[child] = state === 0 ? 0 : (table[row + symbol] as number) / (2 * symbols);
        order.push(child);
      }
      for (const [symbol, child] of trie[state]?.children ?? []) table[row + symbol] = child * symbols * 2;
    }
    for (let state = 0; state < trie.length; state++) table[state * symbols + FOUND] = foundOf[state] as number;
    for (let i = 0; i < table.length; i++) {
      const column = i % symbols;
      if (column === FOUND) continue;
      const next = table[i] as number;
      if ((foundOf[next / (2 * symbols)] as number) >= 0) table[i] = next | 1;
    }
  }

  /** Reports the ids of all literals in the text, in the order in which they end; an id may come more than once. */
  scan(text: string, sink: PointerSink): void {
    const { table, small, isAnchored } = this;
    let row = this.startRow;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      const symbol = unit < 256 ? (small[unit] as number) : (this.wide.get(unit) ?? OTHER);
      const next = table[row + symbol] as number;
      row = next >> 1;
      if ((next & 1) === 1) sink.add(this.found[table[row + FOUND] as number] as Int32Array);
      else if (row === 0 && isAnchored) return;
    }
    if (!this.hasEnds) return;
    const last = table[row + END] as number;
    if ((last & 1) === 1) sink.add(this.found[table[(last >> 1) + FOUND] as number] as Int32Array);
  }
}

type TrieNode = { readonly children: Map<number, number>; readonly ids: number[] };

function buildTrie(words: readonly (readonly number[])[], literals: readonly Literal[]): readonly TrieNode[] {
  const trie: TrieNode[] = [{ children: new Map(), ids: [] }];
  for (const [index, word] of words.entries()) {
    let node = trie[0] as TrieNode;
    for (const symbol of word) {
      let child = node.children.get(symbol);
      if (child === undefined) {
        child = trie.push({ children: new Map(), ids: [] }) - 1;
        node.children.set(symbol, child);
      }
      node = trie[child] as TrieNode;
    }
    node.ids.push((literals[index] as Literal).id);
  }
  return trie;
}
