import { FAULTS, type KafkaFault } from './errors.ts';

/**
 * Error names of the Kafka protocol in the spellings of both libraries, mapped to our faults. What is not listed is
 * `unclassified`: retriable and possibly carried out.
 */
const BY_NAME: Readonly<Record<string, KafkaFault>> = {
  OFFSET_OUT_OF_RANGE: FAULTS.offsetOutOfRange,
  CORRUPT_MESSAGE: FAULTS.invalidRecord,
  INVALID_RECORD: FAULTS.invalidRecord,
  INVALID_TIMESTAMP: FAULTS.invalidRecord,
  UNSUPPORTED_COMPRESSION_TYPE: FAULTS.invalidRecord,
  UNKNOWN_TOPIC_OR_PARTITION: FAULTS.unknownTopic,
  UNKNOWN_TOPIC_ID: FAULTS.unknownTopic,
  INCONSISTENT_TOPIC_ID: FAULTS.unknownTopic,
  LEADER_NOT_AVAILABLE: FAULTS.notLeader,
  NOT_LEADER_FOR_PARTITION: FAULTS.notLeader,
  NOT_LEADER_OR_FOLLOWER: FAULTS.notLeader,
  FENCED_LEADER_EPOCH: FAULTS.notLeader,
  UNKNOWN_LEADER_EPOCH: FAULTS.notLeader,
  REPLICA_NOT_AVAILABLE: FAULTS.notLeader,
  BROKER_NOT_AVAILABLE: FAULTS.notLeader,
  OFFSET_NOT_AVAILABLE: FAULTS.notLeader,
  PREFERRED_LEADER_NOT_AVAILABLE: FAULTS.notLeader,
  REQUEST_TIMED_OUT: FAULTS.timeout,
  NETWORK_EXCEPTION: FAULTS.connectionLost,
  MESSAGE_TOO_LARGE: FAULTS.recordTooLarge,
  RECORD_LIST_TOO_LARGE: FAULTS.recordTooLarge,
  NOT_ENOUGH_REPLICAS: FAULTS.notEnoughReplicas,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: FAULTS.notEnoughReplicasAfterAppend,
  GROUP_LOAD_IN_PROGRESS: FAULTS.coordinator,
  COORDINATOR_LOAD_IN_PROGRESS: FAULTS.coordinator,
  GROUP_COORDINATOR_NOT_AVAILABLE: FAULTS.coordinator,
  COORDINATOR_NOT_AVAILABLE: FAULTS.coordinator,
  NOT_COORDINATOR_FOR_GROUP: FAULTS.coordinator,
  NOT_COORDINATOR: FAULTS.coordinator,
  NOT_CONTROLLER: FAULTS.coordinator,
  ILLEGAL_GENERATION: FAULTS.rebalancing,
  UNKNOWN_MEMBER_ID: FAULTS.rebalancing,
  REBALANCE_IN_PROGRESS: FAULTS.rebalancing,
  MEMBER_ID_REQUIRED: FAULTS.rebalancing,
  FENCED_INSTANCE_ID: FAULTS.rebalancing,
  UNSTABLE_OFFSET_COMMIT: FAULTS.rebalancing,
  TOPIC_AUTHORIZATION_FAILED: FAULTS.unauthorized,
  GROUP_AUTHORIZATION_FAILED: FAULTS.unauthorized,
  CLUSTER_AUTHORIZATION_FAILED: FAULTS.unauthorized,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: FAULTS.unauthorized,
  SASL_AUTHENTICATION_FAILED: FAULTS.authenticationFailed,
  UNSUPPORTED_SASL_MECHANISM: FAULTS.authenticationFailed,
  ILLEGAL_SASL_STATE: FAULTS.connectionRefused,
  SECURITY_DISABLED: FAULTS.authenticationFailed,
  KAFKA_STORAGE_ERROR: FAULTS.storage,
  LOG_DIR_NOT_FOUND: FAULTS.storage,
  INVALID_TOPIC_EXCEPTION: FAULTS.invalidRequest,
  INVALID_REQUIRED_ACKS: FAULTS.invalidRequest,
  INVALID_PARTITIONS: FAULTS.invalidRequest,
  INVALID_REPLICATION_FACTOR: FAULTS.invalidRequest,
  INVALID_REPLICA_ASSIGNMENT: FAULTS.invalidRequest,
  INVALID_CONFIG: FAULTS.invalidRequest,
  INVALID_REQUEST: FAULTS.invalidRequest,
  INVALID_GROUP_ID: FAULTS.invalidRequest,
  INVALID_SESSION_TIMEOUT: FAULTS.invalidRequest,
  INCONSISTENT_GROUP_PROTOCOL: FAULTS.invalidRequest,
  UNSUPPORTED_VERSION: FAULTS.invalidRequest,
  UNSUPPORTED_FOR_MESSAGE_FORMAT: FAULTS.invalidRequest,
  POLICY_VIOLATION: FAULTS.invalidRequest,
};

/** Fault of a protocol error by its name (`NOT_LEADER_OR_FOLLOWER`, …). Total. */
export function protocolFault(name: string): KafkaFault {
  return BY_NAME[name] ?? FAULTS.unclassified;
}

/** Fault of a socket error by its system code; undefined when it is none. Only a refusal proves that nothing was sent. */
export function socketFault(code: unknown): KafkaFault | undefined {
  switch (code) {
    case 'ECONNREFUSED':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return FAULTS.connectionRefused;
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ECONNABORTED':
      return FAULTS.connectionLost;
    case 'ETIMEDOUT':
      return FAULTS.timeout;
    default:
      return undefined;
  }
}
