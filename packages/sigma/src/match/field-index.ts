import { isList, type Scalar, textOf } from '../field-view.ts';
import { networkOf } from '../matcher.ts';
import type { EventTexts, FieldSlot } from './event-texts.ts';
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

/** Shorter values are searched faster than looked up. */
const REMEMBERED_LENGTH_MIN = 24;
/** Values whose findings are remembered per field, and the longest that is: at most about 2 MB per field. */
const REMEMBERED_MAX = 4_096;
const REMEMBERED_LENGTH_MAX = 192;
/** After so many values it is seen whether remembering pays, and if not, how many are left unremembered. */
const TRIAL_LENGTH = 4_096;
const PAUSE_LENGTH = 500_000;
/** Literals are cut to the first length with which all of a field have at most so many units: memory of the automaton. */
const LITERAL_LENGTHS: readonly number[] = [64, 24, 12, 6];
const LITERAL_UNITS_MAX = 200_000;

const NONE: readonly Pointer[] = [];

/** The index over the values of one field. */
export function createFieldIndex(entries: readonly Entry[], texts: EventTexts, field: string): FieldIndex {
  return new SlotIndex(entries, texts.slot(field));
}

/** The index over all leaf values, for keywords. */
export function createLeafIndex(entries: readonly Entry[], texts: EventTexts): FieldIndex {
  const automaton = createAutomaton(entries);
  const present = pointersOf(entries, 'present');
  return {
    collect(report) {
      const leaves = texts.leaves();
      if (leaves.length > 0 && present.length > 0) report(present);
      if (automaton) for (const leaf of leaves) automaton.scan(leaf, report);
    },
  };
}

function pointersOf(entries: readonly Entry[], kind: Witness['kind']): readonly Pointer[] {
  return entries.filter(({ witness }) => witness.kind === kind).map(({ pointer }) => pointer);
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
  readonly #slot: FieldSlot;
  readonly #present: readonly Pointer[];
  readonly #automaton: LiteralAutomaton | undefined;
  readonly #networks: NetworkIndex | undefined;
  /** Findings by value: logs repeat themselves, and looking a long value up is cheaper than searching it. */
  #memory = new Map<string, readonly Pointer[]>();
  #asked = 0;
  #missed = 0;
  #pause = 0;

  constructor(entries: readonly Entry[], slot: FieldSlot) {
    const networks = entries.filter(({ witness }) => witness.kind === 'network');
    this.#slot = slot;
    this.#present = pointersOf(entries, 'present');
    this.#automaton = createAutomaton(entries);
    this.#networks = networks.length > 0 ? new NetworkIndex(networks) : undefined;
  }

  collect(report: Report): void {
    const found = this.#slot.found();
    if (found === undefined) return;
    if (this.#present.length > 0) report(this.#present);
    if (typeof found === 'string') this.#find(found, report);
    else if (isList(found)) for (const value of found) this.#findScalar(value, report);
    else this.#findScalar(found, report);
  }

  #findScalar(value: Scalar, report: Report): void {
    const text = textOf(value);
    if (text !== undefined) this.#find(text, report);
  }

  #find(text: string, report: Report): void {
    this.#networks?.find(text, report);
    if (!this.#automaton) return;
    if (text.length < REMEMBERED_LENGTH_MIN || text.length > REMEMBERED_LENGTH_MAX) this.#automaton.scan(text, report);
    else if (this.#pause > 0) {
      this.#pause--;
      this.#automaton.scan(text, report);
    } else {
      const pointers = this.#remembered(text, this.#automaton);
      if (pointers.length > 0) report(pointers);
    }
  }

  #remembered(text: string, automaton: LiteralAutomaton): readonly Pointer[] {
    if (++this.#asked >= TRIAL_LENGTH) this.#judge();
    const known = this.#memory.get(text);
    if (known) return known;
    this.#missed++;
    const gathered = new Set<Pointer>();
    automaton.scan(text, (ids) => {
      for (const id of ids) gathered.add(id);
    });
    const pointers = gathered.size === 0 ? NONE : [...gathered];
    if (this.#memory.size >= REMEMBERED_MAX) this.#memory.clear();
    this.#memory.set(text, pointers);
    return pointers;
  }

  #judge(): void {
    if (this.#missed * 3 > this.#asked) {
      this.#pause = PAUSE_LENGTH;
      this.#memory = new Map();
    }
    this.#asked = 0;
    this.#missed = 0;
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
