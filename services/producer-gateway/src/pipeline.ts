import type { Enrichment, GeoLookup } from '@tracehound/enrich';
import { ENRICHED_FIELDS } from '@tracehound/event-model';
import { Pipeline, type VerdictCounter } from '@tracehound/pipeline';
import { type BodyKind, listEvents } from './domain/event-list.ts';
import type { InFlight } from './domain/in-flight.ts';
import type { RawEvent, RequestContext } from './domain/intake-event.ts';
import type { Admission, AuthenticatedRequest, IntakeRequest } from './domain/intake-request.ts';
import type { IpHashKey } from './domain/ip-hash.ts';
import type { TokenBuckets } from './domain/token-bucket.ts';
import type { TraceIds } from './domain/trace-context.ts';
import type { ApiKeySource, Clock, EnrichmentStates, EventEncoder, EventProducer, RecentEvents } from './ports.ts';
import { createAuthenticateStage } from './stages/authenticate.ts';
import { createDecodeStage } from './stages/decode.ts';
import { createDeduplicateStage } from './stages/deduplicate.ts';
import { createEncodeStage } from './stages/encode.ts';
import { createEnrichStage } from './stages/enrich.ts';
import { createLimitStage } from './stages/limit.ts';
import { createProduceStage } from './stages/produce.ts';
import { createRecallStage } from './stages/recall.ts';
import { type BatchAnswer, createRespondStage } from './stages/respond.ts';
import { createSanitiseStage } from './stages/sanitise.ts';
import { createValidateStage } from './stages/validate.ts';

export type GatewayPipelineOptions = {
  readonly keys: ApiKeySource;
  readonly encoder: EventEncoder;
  readonly producer: EventProducer;
  readonly recent: RecentEvents;
  readonly buckets: TokenBuckets;
  readonly counter: VerdictCounter;
  readonly now: Clock;
  /** For rates: a step of the wall clock must not refuse a key for as long. */
  readonly steadyNow: Clock;
  readonly topicName: (topic: string) => string;
  readonly newEventId?: (nowMs: number) => string;
  readonly onDedupUnknown?: (error: unknown) => void;
  readonly enrichment: Enrichment;
  readonly states: EnrichmentStates;
  readonly onEnrichUnknown?: (error: unknown) => void;
  readonly onEnrichForgotten?: (error: unknown) => void;
  readonly geo: GeoLookup;
  readonly clusterId: string;
  readonly ipHashKey: IpHashKey;
  readonly rawAddresses: 'hash' | 'keep';
  readonly futureAllowanceMs: number;
  readonly bodyBytesMax: number;
  readonly eventBytesMax: number;
  readonly externalBytesMax: number;
  readonly eventsMax: number;
  readonly requestsMax: number;
  readonly inFlight: InFlight;
};

/** A body that was read to its end, within its bounds. */
export type ReadBody = { readonly kind: BodyKind; readonly plain: Buffer; readonly trace: TraceIds | null };

export type GatewayPipeline = {
  /** Stops of one event, in order. */
  readonly stops: readonly string[];
  /** Who sends, and may they now? Decided before the body is read. */
  admit(request: IntakeRequest): Admission<AuthenticatedRequest>;
  /** All events of one body, to an answer for each. Rejects only for bugs: nothing is acknowledged then. */
  take(request: AuthenticatedRequest, body: ReadBody): Promise<Admission<BatchAnswer>>;
};

/**
 * The whole way of an event: a request is authenticated and limited, its body cut into events, and each event decoded,
 * validated, sanitised, enriched, looked up among recent ones, joined with its account's past, encoded and produced; then the request is answered.
 * Cheap checks stand before expensive ones; nothing is answered before Kafka has acknowledged it.
 */
export function createGatewayPipeline(options: GatewayPipelineOptions): GatewayPipeline {
  const authenticate = createAuthenticateStage(options.keys);
  const limit = createLimitStage(options);
  const events = Pipeline.from<RawEvent>('gateway')
    .each(createDecodeStage(options))
    .each(createValidateStage(options))
    .each(createSanitiseStage({ reserved: reservedFields(options.enrichment) }))
    .each(createEnrichStage(options))
    .batch(createDeduplicateStage(options.recent, options.onDedupUnknown))
    .batch(
      createRecallStage({
        ...options,
        onUnknown: options.onEnrichUnknown ?? (() => undefined),
        onForgotten: options.onEnrichForgotten ?? (() => undefined),
      }),
    )
    .each(createEncodeStage(options.encoder, options.topicName))
    .batch(createProduceStage(options.producer, options.recent));
  const respond = createRespondStage(options.counter);

  return {
    stops: events.stops,
    admit(request) {
      const authenticated = authenticate(request);
      return authenticated.ok ? limit(authenticated.value) : authenticated;
    },
    async take({ caller }, body) {
      const listed = listEvents(body.plain, body.kind, options.eventsMax);
      if (!listed.ok) return listed;
      options.buckets.spend(caller.keyId, listed.value.length, options.steadyNow());
      const single = listed.value.length === 1;
      const request: RequestContext = { caller, receivedAtMs: options.now(), trace: single ? body.trace : null };
      const outcomes = await events.run(
        listed.value.map((event, index) => ({
          ...event,
          index,
          request,
          trail: { eventId: null, redactions: [], dedup: 'checked' },
        })),
      );
      return { ok: true, value: respond(outcomes) };
    },
  };
}

/** Of the catalogue, whoever writes them, and of enrichers of one's own. */
function reservedFields({ fields }: Pick<Enrichment, 'fields'>): ReadonlySet<string> {
  return new Set([...Object.keys(ENRICHED_FIELDS), ...fields]);
}
