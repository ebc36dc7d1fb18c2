import { type ErrorCategory, type ErrorCode, TracehoundError } from '@tracehound/event-model';

/** What may have gone wrong with Kafka, in our words: the adapters map every error of their library to one of these. */
export type KafkaFault = {
  readonly code: ErrorCode;
  readonly category: ErrorCategory;
  readonly retriable: boolean;
  /**
   * The request may have been carried out although no answer says so (connection lost, time-out). A produce that
   * failed like this may be in the log.
   */
  readonly indefinite: boolean;
  /** The cached leaders are wrong: look them up again before the next try. */
  readonly staleMetadata: boolean;
};

function fault(
  code: ErrorCode,
  category: ErrorCategory,
  traits: { retriable?: boolean; indefinite?: boolean; staleMetadata?: boolean } = {},
): KafkaFault {
  return {
    code,
    category,
    retriable: traits.retriable ?? false,
    indefinite: traits.indefinite ?? false,
    staleMetadata: traits.staleMetadata ?? false,
  };
}

type FaultName =
  | 'connectionRefused'
  | 'connectionLost'
  | 'timeout'
  | 'notLeader'
  | 'notEnoughReplicas'
  | 'notEnoughReplicasAfterAppend'
  | 'unknownTopic'
  | 'unknownPartition'
  | 'offsetOutOfRange'
  | 'topicReplaced'
  | 'recordTooLarge'
  | 'invalidRecord'
  | 'invalidRequest'
  | 'unsupportedCompression'
  | 'batchTooLarge'
  | 'unauthorized'
  | 'authenticationFailed'
  | 'coordinator'
  | 'rebalancing'
  | 'partitionMissing'
  | 'storage'
  | 'closed'
  | 'queueFull'
  | 'unclassified';

/** The closed list of faults. Names are those of the error codes without `SEC_KAFKA_`. */
export const FAULTS: Readonly<Record<FaultName, KafkaFault>> = {
  connectionRefused: fault('SEC_KAFKA_UNREACHABLE', 'network', { retriable: true, staleMetadata: true }),
  connectionLost: fault('SEC_KAFKA_CONNECTION_LOST', 'network', {
    retriable: true,
    indefinite: true,
    staleMetadata: true,
  }),
  timeout: fault('SEC_KAFKA_TIMEOUT', 'timeout', { retriable: true, indefinite: true, staleMetadata: true }),
  notLeader: fault('SEC_KAFKA_NOT_LEADER', 'dependency', { retriable: true, staleMetadata: true }),
  /** The leader refused before writing: too few replicas in sync. */
  notEnoughReplicas: fault('SEC_KAFKA_NOT_ENOUGH_REPLICAS', 'dependency', { retriable: true }),
  /** The leader wrote, then found too few replicas in sync. */
  notEnoughReplicasAfterAppend: fault('SEC_KAFKA_NOT_ENOUGH_REPLICAS', 'dependency', {
    retriable: true,
    indefinite: true,
  }),
  unknownTopic: fault('SEC_KAFKA_UNKNOWN_TOPIC', 'not_found', { retriable: true, staleMetadata: true }),
  unknownPartition: fault('SEC_KAFKA_UNKNOWN_PARTITION', 'not_found', { retriable: true, staleMetadata: true }),
  offsetOutOfRange: fault('SEC_KAFKA_OFFSET_OUT_OF_RANGE', 'invariant'),
  topicReplaced: fault('SEC_KAFKA_TOPIC_REPLACED', 'invariant'),
  recordTooLarge: fault('SEC_KAFKA_RECORD_TOO_LARGE', 'invalid_input'),
  invalidRecord: fault('SEC_KAFKA_INVALID_RECORD', 'invalid_input'),
  invalidRequest: fault('SEC_KAFKA_INVALID_REQUEST', 'permanent'),
  /** A batch in a codec nobody here can unpack. */
  unsupportedCompression: fault('SEC_KAFKA_UNSUPPORTED_COMPRESSION', 'permanent'),
  /** A batch that takes more memory unpacked than a reader may hold. */
  batchTooLarge: fault('SEC_KAFKA_BATCH_TOO_LARGE', 'permanent'),
  unauthorized: fault('SEC_KAFKA_UNAUTHORIZED', 'unauthorized'),
  authenticationFailed: fault('SEC_KAFKA_AUTHENTICATION_FAILED', 'unauthorized'),
  coordinator: fault('SEC_KAFKA_COORDINATOR', 'dependency', { retriable: true, staleMetadata: true }),
  rebalancing: fault('SEC_KAFKA_REBALANCING', 'conflict', { retriable: true }),
  /** The answer did not name the partition that was sent: tulios/kafkajs#1303. */
  partitionMissing: fault('SEC_KAFKA_PARTITION_MISSING', 'dependency', {
    retriable: true,
    indefinite: true,
    staleMetadata: true,
  }),
  storage: fault('SEC_KAFKA_STORAGE', 'dependency', { retriable: true, staleMetadata: true }),
  closed: fault('SEC_KAFKA_CLOSED', 'permanent'),
  queueFull: fault('SEC_KAFKA_QUEUE_FULL', 'overload', { retriable: true }),
  /** Anything the adapters do not know. Counted as possibly carried out, since nothing proves the contrary. */
  unclassified: fault('SEC_KAFKA_UNCLASSIFIED', 'dependency', {
    retriable: true,
    indefinite: true,
    staleMetadata: true,
  }),
};

type Coordinates = {
  topic?: string;
  partition?: number;
  offset?: bigint;
  groupId?: string;
  low?: bigint;
  high?: bigint;
};

/** A failed call to Kafka. Raised by producer, consumer, admin and reader; `code` and `category` come from the fault. */
export class KafkaError extends TracehoundError {
  readonly fault: KafkaFault;
  constructor(message: string, faultOfError: KafkaFault, options: { cause?: unknown; at?: Coordinates } = {}) {
    super(message, {
      code: faultOfError.code,
      category: faultOfError.category,
      retriable: faultOfError.retriable,
      ...(options.cause === undefined ? {} : { cause: options.cause }),
      ...(options.at === undefined ? {} : { fields: definedFields(options.at) }),
    });
    this.fault = faultOfError;
  }
}

/**
 * Records that are not known to be in the log. `indefinite`: they may be there all the same (X6), so whoever sends
 * them again must be recognisable by event id. `indefinite: false` means none of them was written.
 */
export class KafkaProduceError extends KafkaError {
  readonly indefinite: boolean;
  constructor(faultOfError: KafkaFault, options: { indefinite: boolean; cause?: unknown; at?: Coordinates }) {
    super(
      options.indefinite ? 'the result of a produce is not known' : 'records were not written',
      faultOfError,
      options,
    );
    this.indefinite = options.indefinite;
  }
}

/**
 * The position of a consumer is no longer (or not yet) in the log: retention overran it, or the topic was truncated or
 * made again. Never repaired by jumping (X5): the service stops, and a human chooses.
 */
export class KafkaOffsetOutOfRangeError extends KafkaError {
  constructor(at: { topic: string; partition: number; offset: bigint; low: bigint; high: bigint }) {
    super('the next offset to read is not in the log', FAULTS.offsetOutOfRange, { at });
  }
}

/**
 * The topic was deleted and made again while a partition of it was read: offsets mean something else now (X5). The
 * service stops, as with an offset out of range.
 */
export class KafkaTopicReplacedError extends KafkaError {
  constructor(at: { topic: string; partition: number }) {
    super('the topic was made again under the same name', FAULTS.topicReplaced, { at });
  }
}

function definedFields(at: Coordinates): Record<string, string | number | bigint> {
  const fields: Record<string, string | number | bigint> = {};
  for (const [name, value] of Object.entries(at)) if (value !== undefined) fields[name] = value;
  return fields;
}
