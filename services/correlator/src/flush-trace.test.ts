import { formatTraceparent, NO_TRACER, type SpanContext, type SpanStart, type Tracer } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import { describe, expect, it } from 'vitest';
import { createFlushTrace } from './flush-trace.ts';
import type { FlushRequest } from './ports.ts';

const context = (n: number, sampled = true): SpanContext => ({
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  spanId: n.toString(16).padStart(16, '0'),
  sampled,
});

function record(offset: number, traceparent?: string): KafkaRecord {
  const headers: Record<string, Buffer> = traceparent === undefined ? {} : { traceparent: Buffer.from(traceparent) };
  return { topic: 'm', partition: 2, offset: BigInt(offset), appendTimeMs: 0, key: null, value: null, headers };
}

function flushUntil(next: number, outbox: readonly Buffer[] = []): FlushRequest {
  const fence = { epoch: '1', nonce: 'n', flushSeq: 0 };
  return { partition: 2, fence, next: BigInt(next), engine: Buffer.alloc(0), trim: 0, groups: new Map(), outbox };
}

/** Every span with links is recorded; its id counts from 100. */
function setUp() {
  const starts: SpanStart[] = [];
  const produced: (SpanContext | null)[] = [];
  const tracer: Tracer = {
    ...NO_TRACER,
    enabled: true,
    span(start, work) {
      if ((start.links?.length ?? 0) === 0) return work(null);
      starts.push(start);
      return work({ context: context(99 + starts.length), set: () => undefined });
    },
    within(current, work) {
      produced.push(current);
      return work();
    },
  };
  const trace = createFlushTrace(tracer, { topic: 'm', partition: 2 });
  const flush = (request: FlushRequest) => trace.flush(request, async () => 'ok');
  const outlet = trace.outlet({ emit: async () => undefined });
  return { starts, produced, trace, flush, outlet };
}

describe('flush trace', () => {
  it('links a flush to what it makes durable, and leaves the rest of a batch to the next one', async () => {
    const { trace, flush, starts } = setUp();
    trace.read([record(5, formatTraceparent(context(1))), record(6), record(7, formatTraceparent(context(2)))]);
    expect(await flush(flushUntil(7))).toBe('ok');
    await flush(flushUntil(8));
    await flush(flushUntil(9));
    expect(starts.map(({ links }) => links)).toEqual([[context(1)], [context(2)]]);
    expect(starts[0]?.attributes).toMatchObject({ 'messaging.kafka.offset': 7, 'messaging.destination.name': 'm' });
  });

  it('passes over bad and unsampled contexts', async () => {
    const { trace, flush, starts } = setUp();
    trace.read([record(1, 'nonsense'), record(2, formatTraceparent(context(1, false)))]);
    await flush(flushUntil(3));
    expect(starts).toEqual([]);
  });

  it('produces below the flush that the records came with, also after an empty one, not below an older one', async () => {
    const { trace, flush, outlet, produced } = setUp();
    trace.read([record(1, formatTraceparent(context(1)))]);
    await flush(flushUntil(2, [Buffer.from('alert')]));
    await flush(flushUntil(3));
    await outlet.emit([]);
    await flush(flushUntil(4, [Buffer.from('an alert of time alone')]));
    await outlet.emit([]);
    expect(produced).toEqual([context(100), null]);
  });

  it('holds nothing when tracing is off', async () => {
    const trace = createFlushTrace(NO_TRACER, { topic: 'm', partition: 2 });
    trace.read([record(1, formatTraceparent(context(1)))]);
    expect(await trace.flush(flushUntil(2), async () => 'fenced')).toBe('fenced');
  });
});
