import type { FirmEvent } from './firm-event.ts';
import type { FirmHit } from './machine-types.ts';
import { Queue } from './queue.ts';

/**
 * Hits a machine keeps of firm time: 65,536 of some 150 bytes are 10 MB for a group under flood. Beyond, the oldest are let
 * go and a degraded range says so.
 */
export const WINDOW_HITS_MAX = 65_536;

/** Firm events in total order. */
export class EventWindow extends Queue<FirmEvent> {
  private hitCount = 0;

  /** Hits, not events: what memory is bounded by. */
  get hitsLength(): number {
    return this.hitCount;
  }

  override push(event: FirmEvent): void {
    super.push(event);
    this.hitCount += event.hits.length;
  }

  override shift(): FirmEvent | undefined {
    const event = super.shift();
    if (event) this.hitCount -= event.hits.length;
    return event;
  }

  override clear(): void {
    super.clear();
    this.hitCount = 0;
  }

  hits(): FirmHit[] {
    return this.slice(0).flatMap((event) => event.hits);
  }
}
