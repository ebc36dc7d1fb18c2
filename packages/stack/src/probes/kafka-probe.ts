import { parseHostPort, tcpExchange } from './tcp-exchange.ts';

/** What a broker says about its cluster. */
export type KafkaCluster = {
  readonly clusterId: string | null;
  /** -1 while no controller is elected. */
  readonly controllerId: number;
  readonly brokers: readonly { readonly id: number; readonly host: string; readonly port: number }[];
};

const METADATA_KEY = 3;
/** The lowest version all brokers since 2.1 speak that carries the cluster id (KIP-896 keeps it in Kafka 4). */
const METADATA_VERSION = 4;

/**
 * Asks one broker (plaintext) for the cluster without its topics. Written out here because this package knows no
 * Kafka client: a health check has to be able to run before any client could connect.
 * Source: Kafka protocol guide, Metadata request and response, version 4.
 */
export async function describeKafka(broker: string): Promise<KafkaCluster> {
  const answer = await tcpExchange(parseHostPort(broker), metadataRequest(), isWholeFrame);
  return parseMetadata(answer);
}

function metadataRequest(): Buffer {
  const clientId = Buffer.from('tracehound-stack');
  const body = Buffer.alloc(2 + 2 + 4 + 2 + clientId.length + 4 + 1);
  let at = body.writeInt16BE(METADATA_KEY, 0);
  at = body.writeInt16BE(METADATA_VERSION, at);
  at = body.writeInt32BE(1, at); // correlation id
  at = body.writeInt16BE(clientId.length, at);
  at += clientId.copy(body, at);
  at = body.writeInt32BE(0, at); // an empty list of topics
  body.writeInt8(0, at); // no automatic creation
  const frame = Buffer.alloc(4);
  frame.writeInt32BE(body.length, 0);
  return Buffer.concat([frame, body]);
}

function isWholeFrame(received: Buffer): boolean {
  return received.length >= 4 && received.length >= 4 + received.readInt32BE(0);
}

function parseMetadata(frame: Buffer): KafkaCluster {
  let at = 4 + 4 + 4; // frame length, correlation id, throttle time
  const readString = (): string | null => {
    const length = frame.readInt16BE(at);
    at += 2;
    if (length < 0) return null;
    const text = frame.toString('utf8', at, at + length);
    at += length;
    return text;
  };
  const readInt = (): number => {
    const value = frame.readInt32BE(at);
    at += 4;
    return value;
  };
  const brokers = Array.from({ length: readInt() }, () => {
    const broker = { id: readInt(), host: readString() ?? '', port: readInt() };
    readString(); // rack
    return broker;
  });
  return { brokers, clusterId: readString(), controllerId: readInt() };
}
