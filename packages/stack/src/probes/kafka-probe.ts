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

const DESCRIBE_QUORUM_KEY = 55;
const METADATA_TOPIC = '__cluster_metadata';

/**
 * Node id of the active controller: the leader of the KRaft quorum, -1 while there is none. The controller that metadata names is
 * any broker of a KRaft cluster (KIP-590). Source: Kafka protocol guide, DescribeQuorum request and response, version 0.
 */
export async function activeController(broker: string): Promise<number> {
  const answer = await tcpExchange(parseHostPort(broker), describeQuorumRequest(), isWholeFrame);
  // Frame length, correlation id, no tags, error code, one topic with its name, one partition with index and error code.
  const at = 4 + 4 + 1 + 2 + 1 + (1 + METADATA_TOPIC.length) + 1 + 4 + 2;
  const errorCode = answer.readInt16BE(4 + 4 + 1);
  return errorCode === 0 && answer.length >= at + 4 ? answer.readInt32BE(at) : -1;
}

function describeQuorumRequest(): Buffer {
  const clientId = Buffer.from('tracehound-stack');
  const head = Buffer.alloc(2 + 2 + 4 + 2);
  head.writeInt16BE(DESCRIBE_QUORUM_KEY, 0);
  head.writeInt32BE(1, 4); // correlation id; the version before it is 0
  head.writeInt16BE(clientId.length, 8);
  const topic = Buffer.from(METADATA_TOPIC);
  // No tags; lists and texts of version 0 begin with their length plus one; partition 0; no tags thrice.
  const body = Buffer.concat([Buffer.of(0, 2, topic.length + 1), topic, Buffer.of(2, 0, 0, 0, 0, 0, 0, 0)]);
  const frame = Buffer.alloc(4);
  frame.writeInt32BE(head.length + clientId.length + body.length, 0);
  return Buffer.concat([frame, head, clientId, body]);
}
