/** Ids of one span, lower-case hex. */
export type TraceIds = {
  readonly traceId: string;
  readonly spanId: string | null;
  readonly parentSpanId: string | null;
};

const TRACE_ID = /^[0-9a-f]{32}$/;
const SPAN_ID = /^[0-9a-f]{16}$/;
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZERO = /^0+$/;

export function isTraceId(text: string): boolean {
  return TRACE_ID.test(text) && !ZERO.test(text);
}

export function isSpanId(text: string): boolean {
  return SPAN_ID.test(text) && !ZERO.test(text);
}

/**
 * W3C Trace Context level 2, section 3.2: null when invalid. Version ff is invalid; version 00 ends after the flags;
 * a higher version may carry more after a dash, which is ignored.
 */
export function parseTraceparent(text: string): TraceIds | null {
  const match = TRACEPARENT.exec(text);
  const [, version, traceId, spanId, , more] = match ?? [];
  if (traceId === undefined || spanId === undefined || version === 'ff') return null;
  if (version === '00' && more !== undefined) return null;
  return isTraceId(traceId) && isSpanId(spanId) ? { traceId, spanId, parentSpanId: null } : null;
}

/** The `traceparent` of these ids, sampled flag unknown and therefore 00; null without a span. */
export function formatTraceparent(ids: TraceIds): string | null {
  return ids.spanId === null ? null : `00-${ids.traceId}-${ids.spanId}-00`;
}
