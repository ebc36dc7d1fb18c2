import { foldCase } from '../case-fold.ts';
import { type FieldPath, type FieldView, fieldPath, isList, type Scalar, textOf } from '../field-view.ts';

/**
 * What is known of the event being matched: each field is looked up once and folded once, whoever asks. One object
 * serves all events, one after another; `epoch` tells what belongs to the present one.
 */
export class EventTexts {
  view: FieldView = NO_EVENT;
  epoch = 0;
  readonly #slots = new Map<string, FieldSlot>();
  #leavesEpoch = 0;
  #foldedLeavesEpoch = 0;
  readonly #leaves: string[] = [];
  readonly #foldedLeaves: string[] = [];

  begin(view: FieldView): void {
    this.view = view;
    this.epoch++;
  }

  /** The slot of a field, the same for all tests; for compiling. */
  slot(field: string): FieldSlot {
    let slot = this.#slots.get(field);
    if (!slot) {
      slot = new FieldSlot(this, field);
      this.#slots.set(field, slot);
    }
    return slot;
  }

  /** Texts of all leaf values. */
  leaves(): readonly string[] {
    if (this.#leavesEpoch === this.epoch) return this.#leaves;
    this.#leaves.length = 0;
    if (this.view.forEachLeaf) this.view.forEachLeaf(this.#addLeaf);
    else for (const value of this.view.keywords()) this.#addLeaf(value);
    // Last: when a view throws, nothing of the event before may stand for this one.
    this.#leavesEpoch = this.epoch;
    return this.#leaves;
  }

  readonly #addLeaf = (value: Scalar): void => {
    const text = textOf(value);
    if (text !== undefined) this.#leaves.push(text);
  };

  foldedLeaves(): readonly string[] {
    if (this.#foldedLeavesEpoch === this.epoch) return this.#foldedLeaves;
    this.#foldedLeaves.length = 0;
    for (const text of this.leaves()) this.#foldedLeaves.push(foldCase(text));
    this.#foldedLeavesEpoch = this.epoch;
    return this.#foldedLeaves;
  }
}

const NO_EVENT: FieldView = { values: () => undefined, keywords: () => [] };

export type Found = Scalar | readonly Scalar[] | undefined;

/** One field of the present event. */
export class FieldSlot {
  private readonly path: FieldPath;
  private readonly texts: EventTexts;
  private foundEpoch = 0;
  private value: Found;
  private foldedEpoch = 0;
  private text: string | readonly string[] | undefined;

  constructor(texts: EventTexts, field: string) {
    this.texts = texts;
    this.path = fieldPath(field);
  }

  /** Its value bare, or its values. */
  found(): Found {
    const { epoch, view } = this.texts;
    if (this.foundEpoch === epoch) return this.value;
    this.value = view.lookup ? view.lookup(this.path) : bare(view.values(this.path.name));
    this.foundEpoch = epoch;
    return this.value;
  }

  /** Its folded text, or texts; undefined when there is none. */
  folded(): string | readonly string[] | undefined {
    if (this.foldedEpoch === this.texts.epoch) return this.text;
    this.text = foldFound(this.found());
    this.foldedEpoch = this.texts.epoch;
    return this.text;
  }

  /** Spares the folding when it is known from earlier. */
  know(folded: string): void {
    this.foldedEpoch = this.texts.epoch;
    this.text = folded;
  }
}

function bare(values: readonly Scalar[] | undefined): Found {
  return values?.length === 1 ? values[0] : values;
}

function foldFound(found: Found): string | readonly string[] | undefined {
  if (found === undefined) return undefined;
  if (!isList(found)) return foldScalar(found);
  const texts: string[] = [];
  for (const value of found) {
    const text = foldScalar(value);
    if (text !== undefined) texts.push(text);
  }
  return texts;
}

function foldScalar(value: Scalar): string | undefined {
  if (typeof value === 'string') return foldCase(value);
  return value === null ? undefined : String(value);
}
