import { formatTraceparent, linksOf, type SpanContext, type SpanStart, type Tracer } from '@tracehound/event-model';
import type { KafkaBatch, KafkaClient, KafkaProducer, KafkaRecord, OutgoingRecord, PartitionHandler } from './port.ts';

const HEADER = 'traceparent';

/** Records of one call that get a header: 70 bytes each must not lift a full batch over the broker's bound of 1 MiB. */
const TRACED_RECORDS_MAX = 1_000;

/** The record with the span it comes from in its header `traceparent`; as it is without one, or behind the first 1,000 of a call. */
export function withContext(record: OutgoingRecord, index: number, context: SpanContext | null): OutgoingRecord {
  if (context === null || index >= TRACED_RECORDS_MAX) return record;
  return { ...record, headers: { ...record.headers, [HEADER]: formatTraceparent(context) } };
}

/**
 * The same client with spans after OpenTelemetry's messaging conventions: `process` around each batch, linked to the contexts in its
 * records' headers, and `send` around what is produced inside a span, whose context the records carry on. Keys, values, order and
 * results are untouched. A tracer that is off gives back the client itself.
 */
export function traceKafka(client: KafkaClient, tracer: Tracer): KafkaClient {
  if (!tracer.enabled) return client;
  return {
    adapter: client.adapter,
    carriesAppendTime: client.carriesAppendTime,
    keepsCommitNotes: client.keepsCommitNotes,
    admin: () => client.admin(),
    read: (partition, range) => client.read(partition, range),
    close: () => client.close(),
    producer: async () => tracedProducer(await client.producer(), tracer),
    consumer: (options) =>
      client.consumer({ ...options, handler: tracedHandler(options.handler, tracer, options.groupId) }),
  };
}

function tracedHandler(handler: PartitionHandler, tracer: Tracer, groupId: string): PartitionHandler {
  return {
    assigned: (partition) => handler.assigned(partition),
    revoked: (partition) => handler.revoked(partition),
    batch(batch) {
      const links = linksOf(contextsOf(batch.records, tracer));
      if (links.length === 0) return handler.batch(batch);
      return tracer.span(processSpan(batch, groupId, links), () => handler.batch(batch));
    },
  };
}

function* contextsOf(records: readonly KafkaRecord[], tracer: Tracer): Generator<SpanContext | null> {
  for (const { headers } of records) yield tracer.read(headers[HEADER]);
}

function processSpan(batch: KafkaBatch, groupId: string, links: readonly SpanContext[]): SpanStart {
  const [first] = batch.records;
  return {
    name: `process ${batch.topic}`,
    kind: 'consumer',
    links,
    attributes: {
      'messaging.system': 'kafka',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': batch.topic,
      'messaging.destination.partition.id': String(batch.partition),
      'messaging.consumer.group.name': groupId,
      'messaging.batch.message_count': batch.records.length,
      // Of the first record; the conventions know no range.
      ...(first === undefined ? {} : { 'messaging.kafka.offset': Number(first.offset) }),
    },
  };
}

function tracedProducer(producer: KafkaProducer, tracer: Tracer): KafkaProducer {
  return {
    close: () => producer.close(),
    send: (topic, records, options) =>
      sending(tracer, { topic, partition: null, records }, (carrying) => producer.send(topic, carrying, options)),
    sendTo: ({ topic, partition }, records, options) =>
      sending(tracer, { topic, partition, records }, (carrying) =>
        producer.sendTo({ topic, partition }, carrying, options),
      ),
  };
}

type Sending = {
  readonly topic: string;
  readonly partition: number | null;
  readonly records: readonly OutgoingRecord[];
};

function sending<T>(
  tracer: Tracer,
  { topic, partition, records }: Sending,
  send: (records: readonly OutgoingRecord[]) => Promise<T>,
): Promise<T> {
  // A caller that joins records of several spans has given them their contexts itself.
  if (tracer.current() === null || records.some(({ headers }) => headers?.[HEADER] !== undefined)) return send(records);
  const attributes = {
    'messaging.system': 'kafka',
    'messaging.operation.name': 'send',
    'messaging.operation.type': 'send',
    'messaging.destination.name': topic,
    'messaging.batch.message_count': records.length,
    ...(partition === null ? {} : { 'messaging.destination.partition.id': String(partition) }),
  };
  return tracer.span({ name: `send ${topic}`, kind: 'producer', attributes }, (span) =>
    send(span === null ? records : records.map((record, index) => withContext(record, index, span.context))),
  );
}
