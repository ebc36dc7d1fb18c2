import { classifyError, ok, retry, type Verdict } from '@tracehound/event-model';
import type { EncodedEvent, EnrichedEvent } from '../domain/intake-event.ts';
import { formatTraceparent } from '../domain/trace-context.ts';
import { type RetryReason, reject } from '../errors.ts';
import type { EventEncoder } from '../ports.ts';

/**
 * Avro value, key `<organization>|<event_id>` (X1: even load, duplicates together) and CloudEvents headers in binary
 * mode (kafka-protocol-binding, section 3.2), which any consumer can read without the registry.
 */
export function createEncodeStage(
  encoder: EventEncoder,
  topicName: (topic: string) => string,
): (event: EnrichedEvent) => Verdict<EncodedEvent> {
  return function encode(event) {
    let value: Buffer;
    try {
      value = encoder.encode(event.name, event.record);
    } catch (error) {
      if (classifyError(error).retriable) return retry('registry_unavailable' satisfies RetryReason, error);
      return reject('not_encodable', '', 'the event does not fit its record');
    }
    return ok({
      request: event.request,
      trail: event.trail,
      eventId: event.eventId,
      intakeOrg: event.intakeOrg,
      topic: topicName(event.topic),
      key: `${event.intakeOrg}|${event.eventId}`,
      value,
      headers: headersOf(event),
    });
  };
}

function headersOf({ record: { envelope } }: EnrichedEvent): Readonly<Record<string, string>> {
  const { trace, source } = envelope;
  const traceparent =
    trace &&
    formatTraceparent({
      traceId: trace.trace_id,
      spanId: trace.span_id ?? null,
      parentSpanId: trace.parent_span_id ?? null,
    });
  const parts = source.service ? [source.platform, source.service] : [source.platform];
  return {
    ce_specversion: '1.0',
    ce_id: envelope.event_id,
    ce_type: envelope.event_type,
    ce_source: `/${parts.map(encodeURIComponent).join('/')}`,
    ce_time: new Date(envelope.event_time).toISOString(),
    ...(traceparent ? { ce_traceparent: traceparent } : {}),
    'content-type': 'application/avro',
    th_org: envelope.intake_org,
  };
}
