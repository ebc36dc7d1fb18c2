import { type EnrichableEvent, enrichableOf, type GeoLookup } from '@tracehound/enrich';
import { type EventEnvelopeInput, type NetworkContextInput, ok, type Verdict } from '@tracehound/event-model';
import { eventTimeOf } from '../domain/event-time.ts';
import type { EnrichedEvent, EventRecordInput, SanitisedEvent } from '../domain/intake-event.ts';
import { canonicalAddress, hashAddress, type IpHashKey } from '../domain/ip-hash.ts';
import { typedFields } from '../domain/typed-fields.ts';

/** Revision of the record schemas this gateway writes. */
const SCHEMA_REV = 1;
/** Tag under which the word of another vocabulary is kept, so that it can be given back. */
const ALIAS_TAG = 'event_type_original';

/** Adds what only the gateway knows: times, organization, hash of the address, cluster. Makes the record. */
export function createEnrichStage(options: {
  readonly clusterId: string;
  readonly futureAllowanceMs: number;
  readonly ipHashKey: IpHashKey;
  /** `keep` stores the address beside its hash (organization policy, R-113); `hash` drops it. */
  readonly rawAddresses: 'hash' | 'keep';
  readonly geo: GeoLookup;
}): (event: SanitisedEvent) => Verdict<EnrichedEvent> {
  return function enrich(event) {
    const external = event.body.kind === 'external';
    const time = eventTimeOf({
      occurredAtMs: event.occurredAtMs,
      clockSkewMs: event.clockSkewMs,
      eventId: event.eventId,
      receivedAtMs: event.request.receivedAtMs,
      futureAllowanceMs: options.futureAllowanceMs,
    });
    const network = networkOf(event, external, options);
    const redactions = network.redaction === null ? event.redactions : [...event.redactions, network.redaction];
    event.trail.redactions = redactions;
    const envelope: EventEnvelopeInput = {
      event_id: event.eventId,
      event_type: event.definition.name,
      family: external ? 'external' : event.definition.family,
      category: event.definition.category,
      severity: event.severity,
      outcome: event.outcome,
      occurred_at: event.occurredAtMs,
      event_time: time.eventTimeMs,
      event_time_source: time.source,
      clock_skew_ms: event.occurredAtMs === null ? null : event.clockSkewMs,
      received_at: event.request.receivedAtMs,
      organization_id: event.placement.organizationId,
      intake_org: event.placement.intakeOrg,
      cluster_id: options.clusterId,
      trace: event.trace && {
        trace_id: event.trace.traceId,
        span_id: event.trace.spanId,
        parent_span_id: event.trace.parentSpanId,
        trust: 'AUTHENTICATED',
      },
      actor: event.actor,
      subject: event.subject,
      source: event.source,
      network: network.context,
      session_id: event.sessionId,
      request_id: event.requestId,
      error: event.error,
      tags: event.alias === null ? event.tags : { ...event.tags, [ALIAS_TAG]: event.alias },
      metadata: event.metadata,
      redactions,
      flags: [...time.flags, ...event.flags],
    };
    return ok({
      request: event.request,
      trail: event.trail,
      eventId: event.eventId,
      intakeOrg: event.placement.intakeOrg,
      topic: !external && event.definition.topic === 'security.telemetry' ? 'security.telemetry' : 'security.events',
      ...recordOf(event, envelope),
      enrichable: facts(event, {
        timeMs: time.eventTimeMs,
        asn: network.context?.asn ?? null,
        place: network.place,
      }),
    });
  };
}

/** What enrichers look at; null for third-party events. */
function facts(
  event: SanitisedEvent,
  known: Pick<EnrichableEvent, 'timeMs' | 'asn' | 'place'>,
): EnrichableEvent | null {
  if (event.body.kind === 'external') return null;
  const { eventId, outcome } = event;
  return enrichableOf(
    {
      ...known,
      eventId,
      eventType: event.definition.name,
      outcome,
      organization: event.placement.intakeOrg,
      actorId: event.actor?.id ?? null,
    },
    event.body.payload,
  );
}

function recordOf(
  event: SanitisedEvent,
  envelope: EventEnvelopeInput,
): { readonly name: EnrichedEvent['name']; readonly record: EventRecordInput } {
  if (event.body.kind === 'external') {
    return {
      name: 'tracehound.events.v1.ExternalEvent',
      record: { schema_rev: SCHEMA_REV, envelope, log_source: event.body.logSource, fields: event.body.fields },
    };
  }
  const name: EnrichedEvent['name'] = `tracehound.events.v1.${event.definition.record}`;
  const { payload, changes } = event.body;
  return { name, record: { schema_rev: SCHEMA_REV, envelope, payload, changes, ...typedFields(name, payload) } };
}

type Network = {
  readonly context: NetworkContextInput | null;
  readonly redaction: string | null;
  readonly place: EnrichableEvent['place'];
};

/**
 * An address becomes its keyed hash. A service name where an address belongs (13 to 35 % of real third-party logs) stays
 * as text for third-party events and is dropped from native ones, where it could only be a mistake.
 */
function networkOf(
  event: SanitisedEvent,
  external: boolean,
  options: { readonly ipHashKey: IpHashKey; readonly rawAddresses: 'hash' | 'keep'; readonly geo: GeoLookup },
): Network {
  const { address, userAgent } = event;
  if (address === null) {
    return { context: userAgent === null ? null : { user_agent: userAgent }, redaction: null, place: null };
  }
  const canonical = canonicalAddress(address);
  if (canonical === null) {
    const kept = external ? address : null;
    return {
      context: kept === null && userAgent === null ? null : { ip: kept, user_agent: userAgent },
      redaction: external ? null : 'network.ip:not_an_address',
      place: null,
    };
  }
  const { country, asn, place } = options.geo(canonical);
  return {
    context: {
      country,
      asn,
      ip: options.rawAddresses === 'keep' ? canonical : null,
      ip_hash: hashAddress(canonical, options.ipHashKey),
      ip_hash_kid: options.ipHashKey.kid,
      user_agent: userAgent,
    },
    redaction: null,
    place,
  };
}
