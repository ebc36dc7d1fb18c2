import { type MatchBatch, NO_WATERMARK_MS } from '@tracehound/event-model';
import { claimOf, type Source } from './alert.ts';
import type { Instance } from './live-group.ts';
import { type LogMark, LogReach, reachOf, type WrittenStart } from './log-reach.ts';
import { rebuildFromMs, UPDATE_MS } from './window-rule.ts';
import type { Windows } from './windows.ts';

/**
 * Where in its log the state of a partition begins: an engine that reads it from there is the same from now on (X12). Events before
 * it cannot matter any more, and every source has spoken since.
 */
export class RebuildStart {
  private readonly reach: LogReach;
  private readonly spokenAt: number[];

  private constructor(reach: LogReach, spokenAt: readonly number[]) {
    this.reach = reach;
    this.spokenAt = [...spokenAt];
  }

  /** The log is read from the mark on; without one, from its first record. */
  static from(mark: LogMark | null): RebuildStart {
    return new RebuildStart(mark === null ? new LogReach() : LogReach.from(mark), []);
  }

  static read({ reach, spokenAt }: WrittenStart): RebuildStart {
    return new RebuildStart(LogReach.read(reach), spokenAt);
  }

  written(): WrittenStart {
    return { reach: this.reach.written(), spokenAt: this.spokenAt };
  }

  /** After the windows have taken the record. */
  note(
    batch: MatchBatch,
    at: { readonly offset: number; readonly slot: number; readonly source: Source },
    windows: Windows,
  ): void {
    const { markOffset, watermarkMs } = at.source;
    // Copies of what was said before, and claims of an owner that begins anew, say less.
    if (batch.to === markOffset && claimOf(batch) === watermarkMs) this.spokenAt[at.slot] = at.offset;
    if (this.reach.note(at.offset, reachOf(batch))) this.reach.forgetBefore(neededFromMs(windows));
  }

  /** `slots`: the sources that hold a watermark back. Null: from the earliest record. */
  find(windows: Windows, slots: readonly number[]): LogMark | null {
    const mark = this.reach.markBefore(neededFromMs(windows));
    if (mark === null || mark.reachMs === NO_WATERMARK_MS) return null;
    const offset = slots.reduce((least, slot) => Math.min(least, this.spokenAt[slot] ?? 0), mark.offset);
    return { offset, reachMs: mark.reachMs };
  }
}

/** From which event time on events can still matter; below every time when that cannot be told. */
function neededFromMs(windows: Windows): number {
  let neededMs = Math.min(...windows.watermarks);
  for (const instance of windows.table.instances.values()) {
    if (!isInUse(instance, windows)) continue;
    const { expect, spanMs } = instance.rule.definition;
    // Silence is counted from the first hit ever.
    if (expect.length > 0) return Number.NEGATIVE_INFINITY;
    neededMs = Math.min(neededMs, rebuildFromMs(windows.watermarkOf(instance), spanMs) - spanMs);
  }
  return neededMs;
}

/**
 * Whether hits of the correlation can still matter. It may have no groups and yet be in use: a machine lets go of hits that are
 * covered, and without what covers them they would count.
 */
export function isInUse(instance: Instance, windows: Pick<Windows, 'watermarkOf'>): boolean {
  if (instance.families.size > 0) return true;
  if (instance.newestMs === NO_WATERMARK_MS) return false;
  const spanMs = Math.max(instance.rule.definition.spanMs, UPDATE_MS);
  return instance.newestMs + 2 * spanMs >= windows.watermarkOf(instance);
}
