/** Degrees, WGS 84. */
export type Place = { readonly latitude: number; readonly longitude: number };

/** What enrichers may look at. */
export type EnrichableEvent = {
  readonly eventId: string;
  readonly eventType: string;
  readonly outcome: 'SUCCESS' | 'FAILURE' | 'UNKNOWN';
  readonly organization: string;
  /** Event time (X2), ms UTC. */
  readonly timeMs: number;
  readonly actorId: string | null;
  readonly deviceId: string | null;
  /** By the geo database; null without one. */
  readonly asn: number | null;
  readonly place: Place | null;
};

/** `values`: text of the fields to add, by name. */
export type Step = { readonly state: string; readonly values: Readonly<Record<string, string>> };

/**
 * One kind of fact. `step` is pure and keeps what it needs in `state`, a text of at most a few hundred bytes. Events come roughly
 * in order: one that is older than the state must not move it back.
 */
export type Enricher = {
  /** Part of the key of its state. Change it when the form of the state changes. */
  readonly name: string;
  /** Names as rules use them. Clients cannot set them: the gateway takes them out of what they send. */
  readonly fields: readonly string[];
  /** Whose past counts; null: this event has nothing to do with it. The organization is added by the host. */
  keyOf(event: EnrichableEvent): string | null;
  /** `state` null: never seen, or forgotten. */
  step(state: string | null, event: EnrichableEvent): Step;
  /** Time after which an untouched state is forgotten, ms. */
  readonly keptMs: number;
};

export const DAY_MS = 86_400_000;
