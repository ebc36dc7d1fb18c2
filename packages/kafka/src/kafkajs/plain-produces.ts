import { exchange } from './exchange.ts';
import { type PlainRecord, writePlainBatch } from './plain-produce.ts';

type Message = {
  readonly key?: unknown;
  readonly value?: unknown;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly timestamp?: string;
};
/** What kafkajs asks of an encoder that another takes in. */
type Encoded = { readonly buf: Buffer; readonly buffer: Buffer };
type Produce = {
  readonly acks: number;
  readonly timeout: number;
  readonly compression?: number;
  readonly transactionalId?: string | null;
  readonly producerId?: unknown;
  readonly topicData: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly messages: readonly Message[] }[];
  }[];
};
type Request = { readonly encode: () => Promise<Encoded> };
type CreateRequest = (produce: Produce) => Request;

/** Versions 4 to 7 are made from it. */
const PRODUCE_REQUEST = 'kafkajs/src/protocol/requests/produce/v3/request.js';

/** Lets kafkajs write the produce requests of our producer with our writer, and all others with its own. */
export function writePlainProduces(): void {
  exchange<CreateRequest>(PRODUCE_REQUEST, plainProduceFirst);
}

/** Writes requests of one partition in the plain form, which all of our producer have. */
export function plainProduceFirst(createRequest: CreateRequest): CreateRequest {
  return function produce(of) {
    const request = createRequest(of);
    const [data, ...others] = of.topicData;
    const [to, ...further] = data?.partitions ?? [];
    if (data === undefined || to === undefined || others.length + further.length > 0) return request;
    if (of.compression || of.transactionalId || of.producerId !== undefined) return request;
    if (!to.messages.every(isPlain)) return request;
    const records = to.messages;
    return {
      ...request,
      encode: async () => encoded(requestBytes(of, data.topic, to.partition, writePlainBatch(records, Date.now()))),
    };
  };
}

/** Without a time of its own, and of texts and bytes only: kafkajs knows more forms of a field and of headers. */
function isPlain(message: Message): message is PlainRecord {
  if (message.timestamp !== undefined || !isField(message.key) || !isField(message.value)) return false;
  for (const name in message.headers) if (!isBytes(message.headers[name])) return false;
  return true;
}

function isField(value: unknown): value is PlainRecord['key'] {
  return value === null || isBytes(value);
}

function isBytes(value: unknown): value is Buffer | string {
  return typeof value === 'string' || Buffer.isBuffer(value);
}

/** Produce request, version 3: transactional_id acks timeout [topic [partition record_set]]. */
function requestBytes(
  { acks, timeout }: Pick<Produce, 'acks' | 'timeout'>,
  topic: string,
  partition: number,
  batch: Buffer,
): Buffer {
  const name = Buffer.from(topic);
  const head = Buffer.allocUnsafe(26 + name.length);
  let at = head.writeInt16BE(-1, 0);
  at = head.writeInt16BE(acks, at);
  at = head.writeInt32BE(timeout, at);
  at = head.writeInt32BE(1, at);
  at = head.writeInt16BE(name.length, at);
  at += name.copy(head, at);
  at = head.writeInt32BE(1, at);
  at = head.writeInt32BE(partition, at);
  head.writeInt32BE(batch.length, at);
  return Buffer.concat([head, batch]);
}

function encoded(bytes: Buffer): Encoded {
  return { buf: bytes, buffer: bytes };
}
