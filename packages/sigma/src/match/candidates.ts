/**
 * A rule that a witness points to: twice the rule's number, plus 1 when the part of the rule that the witness stands
 * for is then true, so that only the rest of the rule is to be asked.
 */
export type Pointer = number;

export function pointerTo(rule: number, sure: boolean): Pointer {
  return rule * 2 + (sure ? 1 : 0);
}

/** What takes the pointers that an index finds. */
export type PointerSink = { add(pointers: Int32Array): void };

/** Rules that the present event may match, each once; one object serves all events, nothing is allocated per event. */
export class Candidates implements PointerSink {
  count = 0;
  readonly rules: Int32Array;
  private event = 0;
  /** Per rule the event it was found in, and the one in which it was found surely. */
  private readonly foundIn: Float64Array;
  private readonly sureIn: Float64Array;

  constructor(rules: number) {
    this.rules = new Int32Array(rules);
    this.foundIn = new Float64Array(rules);
    this.sureIn = new Float64Array(rules);
  }

  begin(event: number): void {
    this.event = event;
    this.count = 0;
  }

  add(pointers: Int32Array): void {
    const event = this.event;
    for (let i = 0; i < pointers.length; i++) {
      const pointer = pointers[i] as Pointer;
      const rule = pointer >> 1;
      if ((pointer & 1) === 1) this.sureIn[rule] = event;
      if (this.foundIn[rule] === event) continue;
      this.foundIn[rule] = event;
      this.rules[this.count++] = rule;
    }
  }

  isSure(rule: number): boolean {
    return this.sureIn[rule] === this.event;
  }

  /** In the order of their numbers. */
  sort(): void {
    const { count, rules } = this;
    if (count > 32) {
      rules.subarray(0, count).sort();
      return;
    }
    for (let i = 1; i < count; i++) {
      const rule = rules[i] as number;
      let at = i;
      for (; at > 0 && (rules[at - 1] as number) > rule; at--) rules[at] = rules[at - 1] as number;
      rules[at] = rule;
    }
  }
}

/** Gathers pointers, to be remembered. */
export class GatheredPointers implements PointerSink {
  private readonly gathered = new Set<Pointer>();

  add(pointers: Int32Array): void {
    for (const pointer of pointers) this.gathered.add(pointer);
  }

  take(): Int32Array {
    const pointers = Int32Array.from(this.gathered);
    this.gathered.clear();
    return pointers;
  }
}
