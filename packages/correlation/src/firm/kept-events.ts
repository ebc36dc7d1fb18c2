import type { ByteReader, ByteWriter } from '../byte-codec.ts';
import { EventWindow, WINDOW_HITS_MAX } from './event-window.ts';
import { eventsOf, type FirmEvent } from './firm-event.ts';
import { degraded, type Emit } from './firm-mode.ts';
import { readFirmHits, readTime, writeFirmHits, writeTime } from './hit-codec.ts';

/** The events of one open window, up to `WINDOW_HITS_MAX` hits; what comes beyond is a degraded range, told at the end. */
export class KeptEvents {
  private readonly events = new EventWindow();
  private lostFromMs = Number.POSITIVE_INFINITY;
  private lostToMs = Number.NEGATIVE_INFINITY;

  get length(): number {
    return this.events.length;
  }

  get isWhole(): boolean {
    return this.lostToMs === Number.NEGATIVE_INFINITY;
  }

  at(index: number): FirmEvent | undefined {
    return this.events.at(index);
  }

  list(): FirmEvent[] {
    return this.events.slice(0);
  }

  push(event: FirmEvent): void {
    if (this.events.hitsLength + event.hits.length <= WINDOW_HITS_MAX) {
      this.events.push(event);
      return;
    }
    this.lostFromMs = Math.min(this.lostFromMs, event.timeMs);
    this.lostToMs = Math.max(this.lostToMs, event.timeMs);
  }

  clear(emit: Emit): void {
    this.events.clear();
    if (this.isWhole) return;
    emit(degraded({ fromMs: this.lostFromMs, toMs: this.lostToMs, reason: 'window_hits_max' }));
    this.lostFromMs = Number.POSITIVE_INFINITY;
    this.lostToMs = Number.NEGATIVE_INFINITY;
  }

  write(writer: ByteWriter): void {
    writeFirmHits(writer, this.events.hits());
    writeTime(writer, this.lostFromMs);
    writeTime(writer, this.lostToMs);
  }

  read(reader: ByteReader): void {
    for (const event of eventsOf(readFirmHits(reader))) this.events.push(event);
    this.lostFromMs = readTime(reader, Number.POSITIVE_INFINITY);
    this.lostToMs = readTime(reader, Number.NEGATIVE_INFINITY);
  }
}
