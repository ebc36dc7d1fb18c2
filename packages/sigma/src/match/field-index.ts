import { isList, type Scalar } from '../field-view.ts';
import { networkOf } from '../matcher.ts';
import { type EventTexts, type FieldSlot, foldScalar } from './event-texts.ts';
import { ipv4Of, isInNetwork, type Network, parseAddress, parseIpv4 } from './ip-address.ts';
import { type Literal, LiteralAutomaton } from './literal-automaton.ts';
import type { Witness } from './witness.ts';

/** A rule that a witness points to: twice the rule's number, plus 1 when the witness alone makes the rule true. */
export type Pointer = number;

export function pointerTo(rule: number, sure: boolean): Pointer {
  return rule * 2 + (sure ? 1 : 0);
}

/** What candidates are reported to. */
export type Report = (pointers: ArrayLike<Pointer>) => void;

/** Finds the rules that one field of an event, or all its leaf values, point to. */
export type FieldIndex = { collect(report: Report): void };

export type Entry = { readonly witness: Witness; readonly pointer: Pointer };

/** Values whose findings are remembered per field, and the longest that is: at most about 2 MB per field. */
const REMEMBERED_MAX = 4_096;
const REMEMBERED_LENGTH_MAX = 128;
/** After so many values it is seen whether remembering pays, and if not, how many are left unremembered. */
const TRIAL_LENGTH = 8_192;
const PAUSE_LENGTH = 200_000;

const NONE: readonly Pointer[] = [];

/** The index over the values of one field. */
export function createFieldIndex(entries: readonly Entry[], texts: EventTexts, field: string): FieldIndex {
  return new SlotIndex(new TextIndex(entries), texts.slot(field), pointersOf(entries, 'present'));
}

/** The index over all leaf values, for keywords. */
export function createLeafIndex(entries: readonly Entry[], texts: EventTexts): FieldIndex {
  const index = new TextIndex(entries);
  const present = pointersOf(entries, 'present');
  return {
    collect(report) {
      const leaves = texts.foldedLeaves();
      if (leaves.length > 0 && present.length > 0) report(present);
      for (const leaf of leaves) index.find(leaf, leaf, report);
    },
  };
}

function pointersOf(entries: readonly Entry[], kind: Witness['kind']): readonly Pointer[] {
  return entries.filter(({ witness }) => witness.kind === kind).map(({ pointer }) => pointer);
}

type Remembered = { readonly folded: string; readonly pointers: readonly Pointer[] };

class SlotIndex implements FieldIndex {
  readonly #index: TextIndex;
  readonly #slot: FieldSlot;
  readonly #present: readonly Pointer[];
  /** Findings by value: logs repeat themselves, and looking a value up is cheaper than folding and searching it. */
  #memory = new Map<string | number, Remembered>();
  #asked = 0;
  #missed = 0;
  #pause = 0;
  #gathered: Pointer[] = [];
  readonly #gather = (pointers: ArrayLike<Pointer>): void => {
    for (let i = 0; i < pointers.length; i++) this.#gathered.push(pointers[i] as Pointer);
  };

  constructor(index: TextIndex, slot: FieldSlot, present: readonly Pointer[]) {
    this.#index = index;
    this.#slot = slot;
    this.#present = present;
  }

  collect(report: Report): void {
    const found = this.#slot.found();
    if (found === undefined) return;
    if (this.#present.length > 0) report(this.#present);
    if (this.#index.isEmpty) return;
    if (typeof found === 'string' || typeof found === 'number') this.#collectOne(found, report);
    else if (!isList(found)) this.#find(found, report);
    else for (const value of found) this.#find(value, report);
  }

  #find(value: Scalar, report: Report): void {
    const folded = foldScalar(value);
    if (folded !== undefined) this.#index.find(folded, value, report);
  }

  #collectOne(value: string | number, report: Report): void {
    if (this.#pause > 0 || (typeof value === 'string' && value.length > REMEMBERED_LENGTH_MAX)) {
      if (this.#pause > 0) this.#pause--;
      const folded = this.#slot.folded();
      if (typeof folded === 'string') this.#index.find(folded, value, report);
      return;
    }
    let remembered = this.#memory.get(value);
    this.#asked++;
    if (!remembered) {
      remembered = this.#remember(value);
      if (this.#asked >= TRIAL_LENGTH) this.#judge();
    }
    this.#slot.setFolded(remembered.folded);
    if (remembered.pointers.length > 0) report(remembered.pointers);
  }

  #remember(value: string | number): Remembered {
    this.#missed++;
    const folded = foldScalar(value) ?? '';
    this.#gathered = [];
    this.#index.find(folded, value, this.#gather);
    const pointers = this.#gathered.length === 0 ? NONE : [...new Set(this.#gathered)];
    const remembered = { folded, pointers };
    if (this.#memory.size >= REMEMBERED_MAX) this.#memory.clear();
    this.#memory.set(value, remembered);
    return remembered;
  }

  #judge(): void {
    if (this.#missed * 2 > this.#asked) {
      this.#pause = PAUSE_LENGTH;
      this.#memory = new Map();
    }
    this.#asked = 0;
    this.#missed = 0;
  }
}

/** What a single text points to. */
class TextIndex {
  readonly isEmpty: boolean;
  readonly #exact = new Map<string, Pointer[]>();
  readonly #automaton: LiteralAutomaton | undefined;
  readonly #networks: NetworkIndex | undefined;

  constructor(entries: readonly Entry[]) {
    const literals: Literal[] = [];
    for (const { witness, pointer } of entries) {
      if (witness.kind === 'exact') {
        const known = this.#exact.get(witness.text);
        if (known) known.push(pointer);
        else this.#exact.set(witness.text, [pointer]);
      } else if (witness.kind === 'starts' || witness.kind === 'ends' || witness.kind === 'contains') {
        const { text, kind } = witness;
        literals.push({ text, atStart: kind === 'starts', atEnd: kind === 'ends', id: pointer });
      }
    }
    const networks = entries.filter(({ witness }) => witness.kind === 'network');
    this.#automaton = literals.length > 0 ? new LiteralAutomaton(literals) : undefined;
    this.#networks = networks.length > 0 ? new NetworkIndex(networks) : undefined;
    this.isEmpty = this.#exact.size === 0 && !this.#automaton && !this.#networks;
  }

  find(folded: string, value: Scalar, report: Report): void {
    const exact = this.#exact.size > 0 ? this.#exact.get(folded) : undefined;
    if (exact) report(exact);
    this.#automaton?.scan(folded, report);
    if (this.#networks && typeof value === 'string') this.#networks.find(value, report);
  }
}

/** IPv4 networks by length and prefix; the few others one by one. */
class NetworkIndex {
  readonly #byLength = new Map<number, Map<number, Pointer[]>>();
  readonly #others: { readonly network: Network; readonly pointers: readonly Pointer[] }[] = [];

  constructor(entries: readonly Entry[]) {
    for (const { witness, pointer } of entries) {
      const network = networkOf(witness.text);
      const ipv4 = network.bits >= 96 ? ipv4Of(network.words) : -1;
      if (ipv4 < 0) {
        this.#others.push({ network, pointers: [pointer] });
        continue;
      }
      const hostSize = 2 ** (128 - network.bits);
      const prefixes = this.#byLength.get(hostSize) ?? new Map<number, Pointer[]>();
      this.#byLength.set(hostSize, prefixes);
      const prefix = Math.floor(ipv4 / hostSize);
      prefixes.set(prefix, [...(prefixes.get(prefix) ?? []), pointer]);
    }
  }

  find(text: string, report: Report): void {
    const dotted = parseIpv4(text);
    const address = dotted >= 0 && this.#others.length === 0 ? undefined : parseAddress(text);
    const ipv4 = dotted >= 0 ? dotted : address ? ipv4Of(address) : -1;
    if (ipv4 >= 0) {
      for (const [hostSize, prefixes] of this.#byLength) {
        const pointers = prefixes.get(Math.floor(ipv4 / hostSize));
        if (pointers) report(pointers);
      }
    }
    if (!address) return;
    for (const { network, pointers } of this.#others) if (isInNetwork(address, network)) report(pointers);
  }
}
