import type { GroupRef } from './live-group.ts';

/** A range in which what is said of a group may differ from the exact result (X14), and why. */
type Degraded = { readonly fromMs: number; readonly toMs: number; readonly reason: string };

/**
 * Ranges of groups that wait to be said: those of one group and reason that overlap become one. Under a flood every hit may make
 * one, and a sender could fill the log of alerts with them.
 */
export class DegradedRanges {
  private byGroup = new Map<GroupRef, Degraded[]>();

  add(ref: GroupRef, range: Degraded): void {
    const ranges = this.byGroup.get(ref) ?? [];
    const apart = ranges.filter((other) => !isOne(other, range));
    const joined = ranges.filter((other) => isOne(other, range));
    const fromMs = Math.min(range.fromMs, ...joined.map((other) => other.fromMs));
    const toMs = Math.max(range.toMs, ...joined.map((other) => other.toMs));
    this.byGroup.set(ref, [...apart, { fromMs, toMs, reason: range.reason }]);
  }

  /** All of them, by the order in which the groups came; they wait no more. */
  take(): readonly (readonly [GroupRef, readonly Degraded[]])[] {
    if (this.byGroup.size === 0) return NONE;
    const taken = [...this.byGroup];
    this.byGroup = new Map();
    return taken;
  }
}

const NONE: readonly (readonly [GroupRef, readonly Degraded[]])[] = [];

function isOne(a: Degraded, b: Degraded): boolean {
  return a.reason === b.reason && a.fromMs <= b.toMs && b.fromMs <= a.toMs;
}
