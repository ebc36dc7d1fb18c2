import { parseTraceparent as parse } from '@tracehound/event-model';

/** Ids of one span, lower-case hex. */
export type TraceIds = {
  readonly traceId: string;
  readonly spanId: string | null;
  readonly parentSpanId: string | null;
};

const TRACE_ID = /^[0-9a-f]{32}$/;
const SPAN_ID = /^[0-9a-f]{16}$/;
const ZERO = /^0+$/;

export function isTraceId(text: string): boolean {
  return TRACE_ID.test(text) && !ZERO.test(text);
}

export function isSpanId(text: string): boolean {
  return SPAN_ID.test(text) && !ZERO.test(text);
}

/** Ids of the span that the header names; null when it is invalid. */
export function parseTraceparent(text: string): TraceIds | null {
  const context = parse(text);
  return context && { traceId: context.traceId, spanId: context.spanId, parentSpanId: null };
}

/** The `traceparent` of these ids, sampled flag unknown and therefore 00; null without a span. */
export function formatTraceparent(ids: TraceIds): string | null {
  return ids.spanId === null ? null : `00-${ids.traceId}-${ids.spanId}-00`;
}
