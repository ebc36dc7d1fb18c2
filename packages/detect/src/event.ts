import type { FieldView, LogSource } from '@tracehound/sigma';

/** An event as the engine takes it. */
export type DetectEvent = {
  readonly id: string;
  /** Event time, ms since the epoch. */
  readonly timeMs: number;
  readonly organization: string;
  readonly view: FieldView;
  /** Null: every rule is tried whatever its log source. */
  readonly logSource: LogSource | null;
  /** Run of one source, and the event's number in it: they order events of equal time (X2). */
  readonly instance?: string | null;
  readonly sequence?: number | null;
};

/** What deciding needs to know of an event. */
export type EventPlace = Pick<DetectEvent, 'id' | 'timeMs' | 'organization' | 'instance' | 'sequence'>;
