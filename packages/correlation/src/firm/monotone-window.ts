import type { CorrelationDefinition } from '@tracehound/sigma';
import type { ByteReader, ByteWriter } from '../byte-codec.ts';
import { EventWindow, WINDOW_HITS_MAX } from './event-window.ts';
import { eventsOf, type FirmEvent } from './firm-event.ts';
import { degraded, type Emit } from './firm-mode.ts';
import { readFirmHits, writeFirmHits } from './hit-codec.ts';
import type { FirmHit } from './machine-types.ts';
import { createMonotoneState } from './monotone-state.ts';
import type { MonotoneState } from './monotone-state-type.ts';

/** The events that a monotone condition can still see, with what it knows of them. State is the events alone. */
export class MonotoneWindow {
  readonly events: EventWindow = new EventWindow();
  private readonly definition: CorrelationDefinition;
  private state: MonotoneState;

  constructor(definition: CorrelationDefinition) {
    this.definition = definition;
    this.state = createMonotoneState(definition, this.events);
  }

  take(event: FirmEvent, emit: Emit): void {
    this.events.push(event);
    this.state.take(event);
    const first = this.events.at(0)?.timeMs ?? event.timeMs;
    if (this.events.hitsLength <= WINDOW_HITS_MAX) return;
    while (this.events.hitsLength > WINDOW_HITS_MAX) this.dropFirst();
    emit(degraded({ fromMs: first, toMs: event.timeMs, reason: 'window_hits_max' }));
  }

  /** Lets go of events before the time. */
  forget(beforeMs: number): void {
    while ((this.events.at(0)?.timeMs ?? beforeMs) < beforeMs) this.dropFirst();
  }

  clear(): void {
    this.events.clear();
    this.state = createMonotoneState(this.definition, this.events);
  }

  latestStart(): number {
    return this.state.latestStart();
  }

  evidence(question: { fromMs: number; atMs: number }): readonly FirmHit[] {
    return this.state.evidence(question);
  }

  count(): number {
    return this.state.count();
  }

  write(writer: ByteWriter): void {
    writeFirmHits(writer, this.events.hits());
  }

  read(reader: ByteReader): void {
    for (const event of eventsOf(readFirmHits(reader))) {
      this.events.push(event);
      this.state.take(event);
    }
  }

  private dropFirst(): void {
    const event = this.events.shift();
    if (event) this.state.drop(event);
  }
}
