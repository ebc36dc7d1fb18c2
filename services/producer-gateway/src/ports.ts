import type { ChangedState } from '@tracehound/enrich';
import type { ApiKeys } from './domain/api-key.ts';
import type { Coordinates, EnrichedEvent } from './domain/intake-event.ts';

/** Milliseconds: UTC where it stamps events, since an unknown start (and never stepping) where it paces. */
export type Clock = () => number;

/** The API keys in force now; never waits. */
export type ApiKeySource = { current(): ApiKeys };

/** Turns a record into Confluent-framed Avro. Throws a `TracehoundError`; `retriable` says whether a later try may work. */
export type EventEncoder = {
  encode(name: EnrichedEvent['name'], record: EnrichedEvent['record']): Buffer;
};

export type EventToProduce = {
  readonly key: string;
  readonly value: Buffer;
  readonly headers: Readonly<Record<string, string>>;
};

/** `unknown`: the event may be in the log or not, and another try may put it there twice (X6). `refused`: never. */
export type ProduceAnswer =
  | { readonly kind: 'acknowledged'; readonly at: Coordinates }
  | { readonly kind: 'refused' }
  | { readonly kind: 'unknown'; readonly cause: unknown };

/** Writes events to one topic with acks=all. Never rejects: each event has its own answer, in the order given. */
export type EventProducer = {
  send(topic: string, events: readonly EventToProduce[]): Promise<readonly ProduceAnswer[]>;
};

/**
 * States of enrichers. `load` is one call for the whole batch and rejects when it cannot tell in time. `save` writes each state only
 * over the one it was made from, and resolves with those that were others by then; it rejects when the outcome is not known.
 */
export type EnrichmentStates = {
  load(ids: readonly string[]): Promise<readonly (string | null)[]>;
  save(changed: readonly ChangedState[]): Promise<readonly { readonly id: string; readonly state: string | null }[]>;
};

/**
 * Which events were acknowledged lately (X6): a courtesy that saves work, not a guarantee. `lookup` is one call for the
 * whole batch and rejects when it cannot tell in time; `remember` never throws and is not waited for.
 */
export type RecentEvents = {
  lookup(ids: readonly string[]): Promise<readonly (Coordinates | null)[]>;
  remember(events: readonly { readonly id: string; readonly at: Coordinates }[]): void;
};
