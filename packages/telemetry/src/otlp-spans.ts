import {
  type Attributes,
  type Link,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  type Sampler,
  SamplingDecision,
  type SpanExporter,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { classifyError, type Span, type SpanContext, type SpanStart } from '@tracehound/event-model';

export type OtlpSpansOptions = {
  readonly service: string;
  readonly endpoint: string;
  readonly samplePerMillion: number;
  readonly queueSpansMax: number;
  readonly timeoutMs: number;
  readonly onExported: (count: number, error: unknown) => void;
  readonly onDropped: () => void;
};

type RunningSpan = Span & {
  /** With null as it should be; of an error only its code is kept, since messages may hold data. */
  end(error: unknown): void;
};

/** Spans that leave by OTLP over HTTP, as OpenTelemetry's own library writes them. */
export type OtlpSpans = {
  /** Null when this one is not sampled. */
  start(start: SpanStart): RunningSpan | null;
  /** Sends what waits, `timeoutMs` at most. */
  close(): Promise<void>;
};

const KINDS: Readonly<Record<SpanStart['kind'], SpanKind>> = {
  server: SpanKind.SERVER,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
};

/** Pause between two exports: short enough to watch, long enough to fill a request. */
const EXPORT_EVERY_MS = 1_000;

/** Registers nothing globally, so several services can live in one process. This module is loaded only when tracing is on. */
export function createOtlpSpans(options: OtlpSpansOptions): OtlpSpans {
  const queue = boundedQueue(options);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.namespace': 'tracehound', 'service.name': options.service }),
    sampler: requestsByRatio(options.samplePerMillion / 1_000_000),
    spanProcessors: [queue],
  });
  const tracer = provider.getTracer('tracehound');

  return {
    start({ name, kind, attributes = {}, parent = null, links = [] }) {
      const above = parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote(parent));
      const begun = { kind: KINDS[kind], attributes: { ...attributes }, links: links.map(linkTo) };
      const span = tracer.startSpan(name, begun, above);
      if (!span.isRecording()) return null;
      const { traceId, spanId } = span.spanContext();
      return {
        context: { traceId, spanId, sampled: true },
        set: (more) => void span.setAttributes(more as Attributes),
        end(error) {
          if (error !== null) {
            span.setAttribute('error.type', classifyError(error).code);
            span.setStatus({ code: SpanStatusCode.ERROR });
          }
          span.end();
        },
      };
    },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const bound = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, options.timeoutMs);
      });
      await Promise.race([provider.shutdown().catch(() => undefined), bound]);
      clearTimeout(timer);
    },
  };
}

function remote({ traceId, spanId, sampled }: SpanContext) {
  return { traceId, spanId, isRemote: true, traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE };
}

function linkTo(context: SpanContext): Link {
  return { context: remote(context) };
}

/**
 * Requests by ratio of their trace id, whatever flag the client sent: a client must not be able to make us record everything. All
 * other spans are begun only where something sampled is above or beside them.
 */
function requestsByRatio(ratio: number): Sampler {
  const byRatio = new TraceIdRatioBasedSampler(ratio);
  return {
    shouldSample: (context, traceId, _name, kind) =>
      kind === SpanKind.SERVER
        ? byRatio.shouldSample(context, traceId)
        : { decision: SamplingDecision.RECORD_AND_SAMPLED },
    toString: () => `requestsByRatio(${ratio})`,
  };
}

/** The library's batches behind a bound of ours, which counts what it drops and what is on its way. */
function boundedQueue(options: OtlpSpansOptions): SpanProcessor {
  let waiting = 0;
  const otlp = new OTLPTraceExporter({ url: options.endpoint, timeoutMillis: options.timeoutMs });
  const exporter: SpanExporter = {
    export(spans, done) {
      otlp.export(spans, (result) => {
        waiting -= spans.length;
        options.onExported(spans.length, result.code === 0 ? null : (result.error ?? new Error('not exported')));
        done(result);
      });
    },
    shutdown: () => otlp.shutdown(),
  };
  const batches = new BatchSpanProcessor({
    exporter,
    maxQueueSize: options.queueSpansMax,
    maxExportBatchSize: Math.min(512, options.queueSpansMax),
    scheduledDelayMillis: EXPORT_EVERY_MS,
    exportTimeoutMillis: options.timeoutMs + 1_000,
  });
  return {
    onStart: () => undefined,
    onEnd(span) {
      if (waiting >= options.queueSpansMax) return options.onDropped();
      waiting++;
      batches.onEnd(span);
    },
    forceFlush: () => batches.forceFlush(),
    shutdown: () => batches.shutdown(),
  };
}
