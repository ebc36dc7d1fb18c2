import { type BitStep, createBitStep } from './bit-parallel.ts';
import { contains, NEWLINE, POINT_MAX, WORDS } from './char-set.ts';
import type { Program } from './program.ts';
import type { Assertion } from './syntax.ts';

/**
 * Runs a program over a text in one pass: the set of instructions reachable at a position is one state of a
 * deterministic automaton, built when it is first reached and kept (Russ Cox, "Regular Expression Matching Can Be
 * Simple And Fast", 2007, and "Regular Expression Matching in the Wild", 2010, which RE2 is described by). The number
 * of states kept is bounded: past it all are dropped and built anew as needed, so that memory is bounded for any text
 * and time is at most length of text times size of program.
 *
 * Zero-width conditions need to know both neighbours of a position. So a state stands *before* its next character:
 * conditions that only look back are resolved when it is built, the others when the next character is known. Hence a
 * match is seen one character late, or at the end of the text.
 */
export type LazyDfa = (text: string) => boolean;

/** What stands before a position, as far as conditions can tell. */
const BEFORE_START = 0;
const BEFORE_NEWLINE = 1;
const BEFORE_WORD = 2;
const BEFORE_OTHER = 3;

/** Where a transition leads; known states are >= 0. */
const UNKNOWN = -1;
const MATCH = -2;
const DEAD = -3;

/** Numbers held by the kept states of one pattern; 4 bytes each. Typical patterns need a few hundred. */
const STATE_NUMBERS_MAX = 100_000;
/** States one search may build before it goes on without keeping them. */
const BUILT_MAX = 200;
/** Transition table of an automaton of common size; it doubles as needed. */
const TABLE_SIZE_START = 512;

type Alphabet = {
  /** Class of each code point below 256. */
  readonly small: Uint16Array;
  /** First code points of the classes' ranges, sorted, and the class of each. */
  readonly starts: Int32Array;
  readonly classes: Uint16Array;
  /** One member of each class. */
  readonly members: readonly number[];
};

/** `builtMax`: states a search may build before it steps them as bits; for tests. */
export function createLazyDfa(program: Program, builtMax: number = BUILT_MAX): LazyDfa {
  const alphabet = createAlphabet(program);
  const automaton = new Automaton(program, alphabet, builtMax);
  return (text) => automaton.search(text);
}

/** Code points that no set and no condition of the program tells apart are one class. */
function createAlphabet(program: Program): Alphabet {
  const bounds = new Set<number>([0]);
  const sets = new Map<string, readonly number[]>();
  for (const instruction of program.code) {
    if (instruction.op === 'set') sets.set(instruction.set.join(), instruction.set);
  }
  const told = [...sets.values()];
  if (program.code.some((instruction) => instruction.op === 'assert')) told.push(WORDS, [NEWLINE, NEWLINE]);
  for (const set of told) {
    for (let i = 0; i < set.length; i += 2) {
      bounds.add(set[i] as number);
      if ((set[i + 1] as number) < POINT_MAX) bounds.add((set[i + 1] as number) + 1);
    }
  }
  const starts = Int32Array.from(bounds).sort();
  const signatures = signaturesOf(starts, told);
  const ids = new Map<string, number>();
  const members: number[] = [];
  const classes = Uint16Array.from(starts, (start, range) => {
    const signature = signatures[range] ?? '';
    let id = ids.get(signature);
    if (id === undefined) {
      id = ids.size;
      ids.set(signature, id);
      members.push(start);
    }
    return id;
  });
  const small = Uint16Array.from({ length: 256 }, (_, point) => classes[rangeOf(starts, point)] ?? 0);
  return { small, starts, classes, members };
}

/** For each range between bounds: which of the sets hold it. */
function signaturesOf(starts: Int32Array, sets: readonly (readonly number[])[]): readonly string[] {
  const holders: number[][] = Array.from(starts, () => []);
  for (const [index, set] of sets.entries()) {
    for (let i = 0; i < set.length; i += 2) {
      const first = rangeOf(starts, set[i] as number);
      for (let range = first; (starts[range] ?? Number.POSITIVE_INFINITY) <= (set[i + 1] as number); range++) {
        holders[range]?.push(index);
      }
    }
  }
  return holders.map((held) => held.join());
}

function rangeOf(starts: Int32Array, point: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] as number) <= point) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** What an instruction is, as a number. */
const SET = 0;
const ASSERT = 1;
const SPLIT = 2;
const ACCEPT = 3;

type State = { readonly members: Int32Array; readonly before: number; readonly hasAssertion: boolean };

class Automaton {
  readonly #alphabet: Alphabet;
  readonly #classCount: number;
  readonly #start: number;
  /** The program, by instruction: what it is, its one successor, its successors, its condition. */
  readonly #kinds: Uint8Array;
  readonly #next: Int32Array;
  readonly #splits: readonly (readonly number[])[];
  readonly #conditions: readonly (Assertion | undefined)[];
  /** Per set instruction: 1 for each class in its set. */
  readonly #accepts: readonly (Uint8Array | undefined)[];
  readonly #before: Uint8Array;
  /** False when the pattern can only begin at the start of the text. */
  readonly #canRestart: boolean;

  /** The closure being built: its instructions, and a stamp for each that it has. */
  readonly #closure: Int32Array;
  #closureLength = 0;
  readonly #seen: Uint32Array;
  #seenStamp = 0;
  readonly #stack: number[] = [];

  #table = new Int32Array(TABLE_SIZE_START).fill(UNKNOWN);
  #states: State[] = [];
  #numbers = 0;
  #byHash = new Map<number, number[]>();
  #startState = UNKNOWN;
  readonly #builtMax: number;
  readonly #canStepBits: boolean;
  #bits: BitStep | undefined;

  constructor({ code, start }: Program, alphabet: Alphabet, builtMax: number) {
    this.#builtMax = builtMax;
    this.#alphabet = alphabet;
    this.#classCount = alphabet.members.length;
    this.#start = start;
    this.#kinds = Uint8Array.from(code, ({ op }) => ({ set: SET, assert: ASSERT, split: SPLIT, match: ACCEPT })[op]);
    this.#next = Int32Array.from(code, (instruction) =>
      'next' in instruction && typeof instruction.next === 'number' ? instruction.next : 0,
    );
    this.#splits = code.map((instruction) => (instruction.op === 'split' ? instruction.next : []));
    this.#conditions = code.map((instruction) => (instruction.op === 'assert' ? instruction.what : undefined));
    this.#accepts = acceptsOf(code, alphabet);
    this.#canStepBits = !this.#kinds.includes(ASSERT);
    this.#before = Uint8Array.from(alphabet.members, (point) => {
      if (point === NEWLINE) return BEFORE_NEWLINE;
      return contains(WORDS, point) ? BEFORE_WORD : BEFORE_OTHER;
    });
    this.#seen = new Uint32Array(code.length);
    this.#closure = new Int32Array(code.length);
    this.#canRestart = [BEFORE_NEWLINE, BEFORE_WORD, BEFORE_OTHER].some((before) => {
      this.#begin();
      return this.#follow(start, before) || this.#closureLength > 0;
    });
  }

  search(text: string): boolean {
    if (this.#startState === UNKNOWN) this.#startState = this.#stateAtStart();
    let state = this.#startState;
    if (state < 0) return state === MATCH;
    const small = this.#alphabet.small;
    const classCount = this.#classCount;
    let built = 0;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      let symbol: number;
      if (unit < 256) symbol = small[unit] as number;
      else {
        const point = text.codePointAt(i) as number;
        if (point > 0xffff) i++;
        symbol = this.#alphabet.classes[rangeOf(this.#alphabet.starts, point)] as number;
      }
      let next = this.#table[state * classCount + symbol] as number;
      if (next === UNKNOWN) {
        if (++built > this.#builtMax && this.#canStepBits) return this.#searchBits(text, i, state);
        next = this.#step(state, symbol);
      }
      if (next < 0) return next === MATCH;
      state = next;
    }
    return this.#matchesAtEnd(state);
  }

  /** Goes on from the last unit of the character at `from`. Conditions need states, so their patterns stay with them. */
  #searchBits(text: string, from: number, state: number): boolean {
    this.#bits ??= this.#createBits();
    this.#bits.load((this.#states[state] as State).members);
    const first = from > 0 && (text.codePointAt(from - 1) ?? 0) > 0xffff ? from - 1 : from;
    for (let i = first; i < text.length; i++) {
      const point = text.codePointAt(i) as number;
      if (point > 0xffff) i++;
      if (this.#bits.step(this.#symbolOf(point))) return true;
    }
    return false;
  }

  #symbolOf(point: number): number {
    if (point < 256) return this.#alphabet.small[point] as number;
    return this.#alphabet.classes[rangeOf(this.#alphabet.starts, point)] as number;
  }

  #createBits(): BitStep {
    const closureOf = (entry: number): { next: readonly number[]; matches: boolean } => {
      this.#begin();
      const matches = this.#follow(entry, BEFORE_OTHER);
      return { next: [...this.#closure.subarray(0, this.#closureLength)], matches };
    };
    const states = this.#accepts.map((accepts, at) => accepts && { accepts, ...closureOf(this.#next[at] as number) });
    return createBitStep(states, closureOf(this.#start).next, this.#classCount);
  }

  #stateAtStart(): number {
    this.#begin();
    return this.#follow(this.#start, BEFORE_START) ? MATCH : this.#intern(BEFORE_START);
  }

  /** Builds the transition of a state over a class of characters. */
  #step(from: number, symbol: number): number {
    const state = this.#states[from];
    if (!state) throw new RangeError('a state that is not kept');
    const next = this.#nextOf(state, symbol);
    // A flush has dropped `from`: its number now means another state.
    if (this.#states[from] === state) this.#table[from * this.#classCount + symbol] = next;
    return next;
  }

  #nextOf(state: State, symbol: number): number {
    const before = this.#before[symbol] as number;
    const sources = state.hasAssertion ? this.#resolved(state, before) : state.members;
    if (!sources) return MATCH;
    this.#begin();
    for (let i = 0; i < sources.length; i++) {
      const source = sources[i] as number;
      if (this.#accepts[source]?.[symbol] !== 1) continue;
      if (this.#follow(this.#next[source] as number, before)) return MATCH;
    }
    if (this.#canRestart && this.#follow(this.#start, before)) return MATCH;
    return this.#closureLength === 0 && !this.#canRestart ? DEAD : this.#intern(before);
  }

  /** The state's instructions with the conditions that look ahead resolved; undefined when that reaches a match. */
  #resolved({ members, before }: State, after: number): Int32Array | undefined {
    this.#begin();
    for (const member of members) {
      const condition = this.#conditions[member];
      if (condition === undefined) this.#add(member);
      else if (holds(condition, before, after) && this.#follow(this.#next[member] as number, before, after)) {
        return undefined;
      }
    }
    return this.#closure.slice(0, this.#closureLength);
  }

  #matchesAtEnd(id: number): boolean {
    const state = this.#states[id];
    return state?.hasAssertion === true && this.#resolved(state, BEFORE_START) === undefined;
  }

  #begin(): void {
    if (this.#seenStamp === 0xffffffff) {
      this.#seen.fill(0);
      this.#seenStamp = 0;
    }
    this.#seenStamp++;
    this.#closureLength = 0;
    this.#stack.length = 0;
  }

  #add(member: number): void {
    if (this.#seen[member] === this.#seenStamp) return;
    this.#seen[member] = this.#seenStamp;
    this.#closure[this.#closureLength++] = member;
  }

  /**
   * Adds what is reachable without reading a character; true when that is a match. Without `after`, conditions
   * that look ahead are kept for later.
   */
  #follow(entry: number, before: number, after?: number): boolean {
    const stack = this.#stack;
    stack.push(entry);
    while (stack.length > 0) {
      const at = stack.pop() as number;
      if (this.#seen[at] === this.#seenStamp) continue;
      const kind = this.#kinds[at];
      if (kind === SET) this.#add(at);
      else if (kind === ACCEPT) return true;
      else if (kind === SPLIT) {
        this.#seen[at] = this.#seenStamp;
        for (const next of this.#splits[at] ?? []) stack.push(next);
      } else {
        const condition = this.#conditions[at] as Assertion;
        if (after === undefined && looksAhead(condition)) this.#add(at);
        else if (holds(condition, before, after ?? BEFORE_OTHER)) {
          this.#seen[at] = this.#seenStamp;
          stack.push(this.#next[at] as number);
        }
      }
    }
    return false;
  }

  /** The number of the state with the present closure, built if it is new. */
  #intern(before: number): number {
    const members = sorted(this.#closure.slice(0, this.#closureLength));
    let hasAssertion = false;
    let hash = 0;
    for (let i = 0; i < members.length; i++) {
      const member = members[i] as number;
      hash = Math.imul(hash ^ member, 0x01000193);
      if (this.#kinds[member] === ASSERT) hasAssertion = true;
    }
    // What stood before matters to conditions only.
    const state: State = { members, before: hasAssertion ? before : BEFORE_OTHER, hasAssertion };
    const known = this.#byHash.get(hash)?.find((id) => isSame(this.#states[id], state));
    if (known !== undefined) return known;
    if (this.#numbers > STATE_NUMBERS_MAX) this.#flush();
    const id = this.#states.push(state) - 1;
    this.#numbers += members.length + this.#classCount + 8;
    const bucket = this.#byHash.get(hash);
    if (bucket) bucket.push(id);
    else this.#byHash.set(hash, [id]);
    if ((id + 1) * this.#classCount > this.#table.length) this.#grow();
    return id;
  }

  #grow(): void {
    const size = Math.max(this.#table.length * 2, (this.#states.length + 1) * this.#classCount);
    const table = new Int32Array(size).fill(UNKNOWN);
    table.set(this.#table);
    this.#table = table;
  }

  #flush(): void {
    this.#states = [];
    this.#numbers = 0;
    this.#byHash = new Map();
    this.#table.fill(UNKNOWN);
    this.#startState = UNKNOWN;
  }
}

function acceptsOf(code: Program['code'], alphabet: Alphabet): readonly (Uint8Array | undefined)[] {
  const shared = new Map<string, Uint8Array>();
  return code.map((instruction) => {
    if (instruction.op !== 'set') return undefined;
    const key = instruction.set.join();
    let accepts = shared.get(key);
    if (!accepts) {
      accepts = Uint8Array.from(alphabet.members, (point) => (contains(instruction.set, point) ? 1 : 0));
      shared.set(key, accepts);
    }
    return accepts;
  });
}

/** Sorts in place. Closures come almost sorted, as successors have falling numbers, and then it is one pass. */
function sorted(members: Int32Array): Int32Array {
  let moves = 0;
  for (let i = 1; i < members.length; i++) {
    const member = members[i] as number;
    let at = i;
    for (; at > 0 && (members[at - 1] as number) > member; at--) members[at] = members[at - 1] as number;
    members[at] = member;
    moves += i - at;
    if (moves > 8 * members.length) return members.sort();
  }
  return members;
}

function isSame(a: State | undefined, b: State): boolean {
  if (!a || a.before !== b.before || a.members.length !== b.members.length) return false;
  for (let i = 0; i < a.members.length; i++) if (a.members[i] !== b.members[i]) return false;
  return true;
}

function looksAhead(what: Assertion): boolean {
  return what !== 'textStart' && what !== 'lineStart';
}

/** At the end of the text `after` is BEFORE_START: neither a word nor a newline stands there. */
function holds(what: Assertion, before: number, after: number): boolean {
  switch (what) {
    case 'textStart':
      return before === BEFORE_START;
    case 'lineStart':
      return before === BEFORE_START || before === BEFORE_NEWLINE;
    case 'textEnd':
      return after === BEFORE_START;
    case 'lineEnd':
      return after === BEFORE_START || after === BEFORE_NEWLINE;
    case 'word':
      return (before === BEFORE_WORD) !== (after === BEFORE_WORD);
    case 'notWord':
      return (before === BEFORE_WORD) === (after === BEFORE_WORD);
  }
}
