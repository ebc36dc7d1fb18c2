/** What a W3C `traceparent` says. Ids are lower-case hex, never all zeros. */
export type SpanContext = {
  /** 32 characters. */
  readonly traceId: string;
  /** 16 characters. */
  readonly spanId: string;
  /** Whether whoever began the trace records it. */
  readonly sampled: boolean;
};

/** Constants and counts only: no payload, no id of a person, no address of a user. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export type SpanStart = {
  readonly name: string;
  readonly kind: 'server' | 'producer' | 'consumer' | 'internal';
  readonly attributes?: SpanAttributes;
  /** Of another process, for requests. Inside a span that span is the parent. */
  readonly parent?: SpanContext | null;
  /** What a batch came from: many contexts, none of them the parent. */
  readonly links?: readonly SpanContext[];
};

export type Span = { readonly context: SpanContext; set(attributes: SpanAttributes): void };

/**
 * Where spans go. Nothing here throws, waits or rejects for reasons of its own. A `server` span begins a trace and is sampled by
 * ratio; all others exist only below a span or beside a sampled link, so an unsampled event costs nothing downstream.
 */
export type Tracer = {
  /** False: nothing is ever recorded, and callers may leave themselves out altogether. */
  readonly enabled: boolean;
  /** Runs `work` inside a new span, or with null where nothing is recorded. Rejects as `work` does; the span then names the error's code. */
  span<T>(start: SpanStart, work: (span: Span | null) => Promise<T>): Promise<T>;
  /** Runs `work` below a span that may have ended already. */
  within<T>(context: SpanContext | null, work: () => Promise<T>): Promise<T>;
  /** The span that the caller runs in; null once it has ended, for work that was left running. */
  current(): SpanContext | null;
  /** Reads a `traceparent`; null without one. A bad one is counted and ignored. */
  read(traceparent: Buffer | string | undefined): SpanContext | null;
};

/** Records nothing; the default everywhere. */
export const NO_TRACER: Tracer = {
  enabled: false,
  span: (_start, work) => work(null),
  within: (_context, work) => work(),
  current: () => null,
  read: () => null,
};

/** Links of one span at most, the default of OpenTelemetry's `OTEL_SPAN_LINK_COUNT_LIMIT`. */
export const SPAN_LINKS_MAX = 128;

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZERO = /^0+$/;

/**
 * W3C Trace Context level 2, section 3.2: null when invalid. Version ff is invalid; version 00 ends after the flags; a higher version
 * may carry more after a dash, which is ignored.
 */
export function parseTraceparent(text: string): SpanContext | null {
  const match = TRACEPARENT.exec(text);
  const [, version, traceId, spanId, flags, more] = match ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined || version === 'ff') return null;
  if (version === '00' && more !== undefined) return null;
  if (ZERO.test(traceId) || ZERO.test(spanId)) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Version 00 of the same. */
export function formatTraceparent({ traceId, spanId, sampled }: SpanContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** Each span once, in the order given, sampled ones only, `SPAN_LINKS_MAX` at most. */
export function linksOf(contexts: Iterable<SpanContext | null>): readonly SpanContext[] {
  const links = new Map<string, SpanContext>();
  for (const context of contexts) {
    if (context === null || !context.sampled) continue;
    links.set(context.spanId, context);
    if (links.size === SPAN_LINKS_MAX) break;
  }
  return [...links.values()];
}
