import { linksOf, parseTraceparent, SPAN_LINKS_MAX, type SpanContext, type Tracer } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import type { AlertOutlet, FlushOutcome, FlushRequest } from './ports.ts';

/** Where spans of stage B come from; `read` is called before the records are applied. */
export type FlushTrace = {
  read(records: readonly KafkaRecord[]): void;
  /** One flush with a span of its own, linked to what it makes durable. */
  flush(request: FlushRequest, work: () => Promise<FlushOutcome>): Promise<FlushOutcome>;
  /** What is produced now belongs to the flush before. */
  outlet(outlet: AlertOutlet): AlertOutlet;
};

type Seen = { readonly offset: bigint; readonly context: SpanContext };

/**
 * Contexts of the matches records of one partition, held until the flush that makes them durable. They live beside the engine, in
 * memory only: no state, no record value and no id ever sees them, and they are lost with the process.
 */
export function createFlushTrace(
  tracer: Tracer,
  at: { readonly topic: string; readonly partition: number },
): FlushTrace {
  let seen: Seen[] = [];
  let flushed: SpanContext | null = null;

  function take(next: bigint): readonly SpanContext[] {
    const links = linksOf(seen.filter(({ offset }) => offset < next).map(({ context }) => context));
    seen = seen.filter(({ offset }) => offset >= next);
    return links;
  }

  return {
    read(records) {
      if (!tracer.enabled) return;
      for (const { headers, offset } of records) {
        const { traceparent } = headers;
        if (traceparent === undefined || seen.length === SPAN_LINKS_MAX) continue;
        // Bad ones were counted by the consumer.
        const context = parseTraceparent(traceparent.toString());
        if (context?.sampled) seen.push({ offset, context });
      }
    },
    flush(request, work) {
      const links = take(request.next);
      const attributes = {
        'messaging.system': 'kafka',
        'messaging.destination.name': at.topic,
        'messaging.destination.partition.id': String(at.partition),
        'messaging.operation.name': 'flush',
        // The next offset: everything below it is durable.
        'messaging.kafka.offset': Number(request.next),
        'tracehound.outbox_records': request.outbox.length,
      };
      return tracer.span({ name: `flush ${at.topic}`, kind: 'internal', links, attributes }, (span) => {
        // An outbox that is still on its way keeps the flush it came from until another one adds to it.
        if (span !== null || request.outbox.length > 0) flushed = span?.context ?? null;
        return work();
      });
    },
    outlet: (outlet) => ({ emit: (records) => tracer.within(flushed, () => outlet.emit(records)) }),
  };
}
