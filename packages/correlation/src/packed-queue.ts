import type { GroupRef } from './live-group.ts';

/** Below so many entries the queue is not tidied up. */
const TIDY_MIN = 1024;

/**
 * Packed groups, those that were used longest ago first, as nearly as one mark per group tells (CLOCK, Corbató 1968): a group
 * that was used since it took its place goes to the end once. A step costs the same however many groups there are.
 */
export class PackedQueue {
  private refs: GroupRef[] = [];
  private head = 0;
  /** Packed groups: those that were decoded or died lie in the queue until their turn comes. */
  private packed = 0;

  /** The group has just been packed. */
  add(ref: GroupRef): void {
    this.packed++;
    if (ref.queueState === 'out') this.push(ref);
    else ref.queueState = 'used';
  }

  /** The group is packed no more. */
  leave(): void {
    this.packed--;
  }

  /** Takes out the next packed group that has had its second chance; undefined when there is none. */
  next(): GroupRef | undefined {
    while (this.head < this.refs.length) {
      const ref = this.refs[this.head] as GroupRef;
      this.head++;
      const isUsed = ref.queueState === 'used';
      ref.queueState = 'out';
      if (ref.place < 0) continue;
      if (!isUsed) return ref;
      this.push(ref);
    }
    return undefined;
  }

  /** Puts a packed group at the end. */
  push(ref: GroupRef): void {
    this.tidy();
    ref.queueState = 'waits';
    this.refs.push(ref);
  }

  /** Forgets what is packed no more, after as many entries as there are packed groups. */
  private tidy(): void {
    if (this.refs.length < TIDY_MIN + 2 * this.packed) return;
    const kept: GroupRef[] = [];
    for (let index = this.head; index < this.refs.length; index++) {
      const ref = this.refs[index] as GroupRef;
      if (ref.place >= 0) kept.push(ref);
      else ref.queueState = 'out';
    }
    this.refs = kept;
    this.head = 0;
  }
}
