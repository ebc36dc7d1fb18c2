import { foldCase } from '../case-fold.ts';
import { isList, type Scalar, textOf } from '../field-view.ts';
import { GatheredPointers, type Pointer, type PointerSink } from './candidates.ts';
import type { EventTexts, FieldSlot } from './event-texts.ts';
import { type Literal, LiteralAutomaton } from './literal-automaton.ts';
import { NetworkIndex } from './network-index.ts';
import { ValueMemory } from './value-memory.ts';
import type { Witness } from './witness.ts';

/** What is known of a value of a field. */
export type ValueNote = {
  readonly text: string;
  /** The text, case-folded. */
  readonly folded: string;
  /** The rules it points to. */
  readonly pointers: Int32Array;
};

/** Finds the rules that one field of an event, or all its leaf values, point to. */
export type FieldIndex = { collect(sink: PointerSink): void };

export type Entry = { readonly witness: Witness; readonly pointer: Pointer };

/** Literals are cut to the first length with which all of a field have at most so many units: memory of the automaton. */
const LITERAL_LENGTHS: readonly number[] = [64, 24, 12, 6];
const LITERAL_UNITS_MAX = 200_000;

/** The index over the values of one field, which remembers up to so many of them. */
export function createFieldIndex(entries: readonly Entry[], slot: FieldSlot, remembered: number): FieldIndex {
  return new SlotIndex(entries, slot, remembered);
}

/** The index over all leaf values, for keywords. */
export function createLeafIndex(entries: readonly Entry[], texts: EventTexts): FieldIndex {
  const automaton = createAutomaton(entries);
  const present = pointersOf(entries, 'present');
  return {
    collect(sink) {
      const leaves = texts.leaves();
      if (leaves.length > 0 && present.length > 0) sink.add(present);
      if (automaton) for (const leaf of leaves) automaton.scan(leaf, sink);
    },
  };
}

function pointersOf(entries: readonly Entry[], kind: Witness['kind']): Int32Array {
  return Int32Array.from(entries.filter(({ witness }) => witness.kind === kind).map(({ pointer }) => pointer));
}

function createAutomaton(entries: readonly Entry[]): LiteralAutomaton | undefined {
  const searched = entries.filter(({ witness }) => witness.kind !== 'present' && witness.kind !== 'network');
  if (searched.length === 0) return undefined;
  const length = LITERAL_LENGTHS.find(
    (max) => searched.reduce((sum, { witness }) => sum + Math.min(max, witness.text.length), 0) <= LITERAL_UNITS_MAX,
  );
  return new LiteralAutomaton(searched.map((entry) => literalOf(entry, length ?? 4)));
}

/** A literal that is cut finds more than it should, so it is sure of nothing. */
function literalOf({ witness, pointer }: Entry, lengthMax: number): Literal {
  const { kind, text } = witness;
  const atStart = kind === 'exact' || kind === 'starts';
  const atEnd = kind === 'exact' || kind === 'ends';
  if (text.length <= lengthMax) return { text, atStart, atEnd, id: pointer };
  const isEnd = kind === 'ends';
  const piece = isEnd ? text.slice(-lengthMax) : text.slice(0, lengthMax);
  return { text: piece, atStart, atEnd: isEnd, id: pointer & ~1 };
}

class SlotIndex implements FieldIndex {
  private readonly slot: FieldSlot;
  private readonly present: Int32Array;
  private readonly automaton: LiteralAutomaton | undefined;
  private readonly networks: NetworkIndex | undefined;
  private readonly memory: ValueMemory<ValueNote>;
  private readonly gathered = new GatheredPointers();

  constructor(entries: readonly Entry[], slot: FieldSlot, remembered: number) {
    const networks = entries.filter(({ witness }) => witness.kind === 'network');
    this.slot = slot;
    this.present = pointersOf(entries, 'present');
    this.automaton = createAutomaton(entries);
    this.networks =
      networks.length > 0
        ? new NetworkIndex(networks.map(({ witness, pointer }) => ({ network: witness.text, pointer })))
        : undefined;
    // Where all that counts is that there is a value, there is nothing to remember.
    this.memory = new ValueMemory(this.automaton || this.networks ? remembered : 0);
  }

  collect(sink: PointerSink): void {
    const found = this.slot.found();
    if (found === undefined) return;
    if (this.present.length > 0) sink.add(this.present);
    if (typeof found === 'string') {
      if (this.memory.takes(found)) this.recall(found, sink);
      else this.search(found, sink);
    } else if (isList(found)) for (const value of found) this.searchScalar(value, sink);
    else this.searchScalar(found, sink);
  }

  private recall(text: string, sink: PointerSink): void {
    let note = this.memory.find(text);
    if (note === undefined) {
      this.search(text, this.gathered);
      note = { text, folded: foldCase(text), pointers: this.gathered.take() };
      this.memory.keep(note);
    }
    this.slot.know(note.folded);
    if (note.pointers.length > 0) sink.add(note.pointers);
  }

  private searchScalar(value: Scalar, sink: PointerSink): void {
    const text = textOf(value);
    if (text !== undefined) this.search(text, sink);
  }

  private search(text: string, sink: PointerSink): void {
    if (this.networks) this.networks.find(text, sink);
    if (this.automaton) this.automaton.scan(text, sink);
  }
}
