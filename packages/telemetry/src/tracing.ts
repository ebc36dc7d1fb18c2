import { AsyncLocalStorage } from 'node:async_hooks';
import {
  NO_TRACER,
  parseTraceparent,
  type Span,
  type SpanContext,
  type SpanStart,
  type Tracer,
} from '@tracehound/event-model';
import type { Counter } from 'prom-client';
import type { Logger } from './logger.ts';
import { defineMetrics, type Metrics } from './metrics.ts';
import type { OtlpSpans } from './otlp-spans.ts';

export type TracingOptions = {
  /** Names the process in every span: `producer-gateway`. */
  readonly service: string;
  /** Full address of the OTLP receiver; null turns tracing off. */
  readonly endpoint: string | null;
  /** Of a million server spans, those that are recorded. */
  readonly samplePerMillion: number;
  /** Ended spans in memory at most. */
  readonly queueSpansMax: number;
  /** Upper bound of one export. */
  readonly timeoutMs: number;
};

/** A tracer and its life. Spans before `start` and after `stop` are not recorded. */
export type Tracing = {
  readonly tracer: Tracer;
  start(): Promise<void>;
  /** Sends what waits, `timeoutMs` at most; never rejects. */
  stop(): Promise<void>;
  /** Bound of `stop` for a lifecycle: `timeoutMs` and a little. */
  readonly stopTimeoutMs: number;
};

/** Longer texts are no `traceparent` of any version known; they are not even looked at. */
const TRACEPARENT_CHARACTERS_MAX = 512;

/**
 * Tracing as the configuration says. Without an endpoint this is the tracer that does nothing: no library is loaded and no metric
 * declared. Export runs in the background; a receiver that is away costs spans, never work.
 */
export function createTracing(options: TracingOptions, deps: { metrics: Metrics; logger: Logger }): Tracing {
  const { endpoint } = options;
  const stopTimeoutMs = options.timeoutMs + 1_000;
  if (endpoint === null) {
    return { tracer: NO_TRACER, start: async () => undefined, stop: async () => undefined, stopTimeoutMs };
  }
  const counted = tracingMetrics(deps.metrics);
  let spans: OtlpSpans | null = null;
  let isReachable = true;

  function onExported(count: number, error: unknown): void {
    counted.spans.inc({ outcome: error === null ? 'exported' : 'failed' }, count);
    if (isReachable === (error === null)) return;
    isReachable = error === null;
    if (isReachable) deps.logger.info('spans are exported again');
    else deps.logger.warn('spans cannot be exported and are lost, the service goes on', { err: error });
  }

  return {
    tracer: createTracer(() => spans, counted.invalid),
    async start() {
      const { createOtlpSpans } = await import('./otlp-spans.ts');
      const onDropped = (): void => counted.spans.inc({ outcome: 'dropped' });
      spans = createOtlpSpans({ ...options, endpoint, onExported, onDropped });
    },
    async stop() {
      const last = spans;
      spans = null;
      await last?.close();
    },
    stopTimeoutMs,
  };
}

/** What is current, until the work that it was made current for has ended. */
type Scope = { readonly context: SpanContext | null; isOver: boolean };

function createTracer(spans: () => OtlpSpans | null, invalid: Counter): Tracer {
  const scopes = new AsyncLocalStorage<Scope>();

  /** A loop that was woken inside a span runs on in its scope for ever: what comes after the end belongs to no span. */
  function current(): SpanContext | null {
    const scope = scopes.getStore();
    return scope === undefined || scope.isOver ? null : scope.context;
  }

  async function within<T>(context: SpanContext | null, work: () => Promise<T>): Promise<T> {
    const scope: Scope = { context, isOver: false };
    try {
      return await scopes.run(scope, work);
    } finally {
      scope.isOver = true;
    }
  }

  async function span<T>(start: SpanStart, work: (span: Span | null) => Promise<T>): Promise<T> {
    const inside = current();
    const { links = [], kind } = start;
    // Nothing above and nothing beside: only a request may begin a trace.
    const isBegun = inside !== null || links.length > 0 || kind === 'server';
    const made = isBegun ? spans()?.start({ ...start, parent: inside ?? start.parent ?? null }) : null;
    if (!made) return within(null, () => work(null));
    try {
      const done = await within(made.context, () => work(made));
      made.end(null);
      return done;
    } catch (error) {
      made.end(error);
      throw error;
    }
  }

  return {
    enabled: true,
    span,
    within,
    current,
    read(traceparent) {
      if (traceparent === undefined) return null;
      const context = traceparent.length > TRACEPARENT_CHARACTERS_MAX ? null : parseTraceparent(traceparent.toString());
      if (context === null) invalid.inc();
      return context;
    },
  };
}

function tracingMetrics(metrics: Metrics) {
  return defineMetrics(metrics, {
    invalid: {
      type: 'counter',
      name: `${metrics.service}_traceparent_invalid_total`,
      help: 'Headers named traceparent that say nothing valid; they were ignored.',
    },
    spans: {
      type: 'counter',
      name: `${metrics.service}_spans_total`,
      help: 'Ended spans by what became of them: exported, failed (the receiver did not take them), dropped (the queue was full).',
      labels: ['outcome'],
    },
  });
}
