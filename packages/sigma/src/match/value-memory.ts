/** Longer values are not remembered, so that 1,024 of them take a megabyte at most. */
const LENGTH_MAX = 192;
/** After so many values it is seen whether remembering pays, and if not, how many are let pass unremembered. */
const TRIAL_LENGTH = 2_048;
const PAUSE_LENGTH = 200_000;

/**
 * Remembers what was found out about values of one field: logs repeat themselves, and to know a value again is cheaper than
 * to search it for all rules, or to make its group key. One value per place, by a hash of its length and some of its units; a newcomer takes the place of what was
 * there. So memory is bounded, and made-up values cost no more than having no memory.
 */
export class ValueMemory<Note extends { readonly text: string }> {
  private readonly places: number;
  private notes: (Note | undefined)[] = [];
  private asked = 0;
  private missed = 0;
  private pause = 0;

  /** Places: a power of two, or 0 to remember nothing. */
  constructor(places: number) {
    if ((places & (places - 1)) !== 0) throw new RangeError('places of a value memory are a power of two');
    this.places = places;
  }

  /** False for values that are to be searched without asking. */
  takes(text: string): boolean {
    if (this.pause > 0) {
      this.pause--;
      return false;
    }
    return text.length <= LENGTH_MAX && this.places > 0;
  }

  find(text: string): Note | undefined {
    if (++this.asked >= TRIAL_LENGTH) this.judge();
    const note = this.notes[this.placeOf(text)];
    if (note !== undefined && note.text === text) return note;
    this.missed++;
    return undefined;
  }

  keep(note: Note): void {
    if (this.notes.length === 0) this.notes = new Array<Note | undefined>(this.places).fill(undefined);
    this.notes[this.placeOf(note.text)] = note;
  }

  /** Values that differ mostly do so in their last units: names with numbers, addresses, paths. */
  private placeOf(text: string): number {
    const { length } = text;
    if (length === 0) return 0;
    let hash = length * 31 + text.charCodeAt(length - 1);
    hash = hash * 31 + text.charCodeAt(length >> 1);
    hash = hash * 31 + text.charCodeAt(length >> 2);
    if (length > 3) {
      hash = hash * 31 + text.charCodeAt(length - 2);
      hash = hash * 31 + text.charCodeAt(length - 3);
      hash = (hash | 0) * 31 + text.charCodeAt(length - 4);
    }
    return (hash ^ (hash >>> 11)) & (this.places - 1);
  }

  private judge(): void {
    if (this.missed * 3 > this.asked) {
      this.pause = PAUSE_LENGTH;
      this.notes = [];
    }
    this.asked = 0;
    this.missed = 0;
  }
}
