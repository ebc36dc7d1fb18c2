import { FAULTS, KafkaError, type KafkaFault } from '../errors.ts';
import { protocolFault, socketFault } from '../protocol-faults.ts';

/** Total classification of what kafkajs throws; wrappers (`KafkaJSNumberOfRetriesExceeded`) are opened first. */
export function classifyKafkaJs(error: unknown): KafkaFault {
  if (error instanceof KafkaError) return error.fault;
  if (!(error instanceof Error)) return FAULTS.unclassified;
  const { name, cause } = error;
  const { type, code } = error as { type?: unknown; code?: unknown };
  if (name === 'KafkaJSOffsetOutOfRange') return FAULTS.offsetOutOfRange;
  if (typeof type === 'string') return protocolFault(type);
  switch (name) {
    case 'KafkaJSConnectionClosedError':
      return FAULTS.connectionLost;
    case 'KafkaJSConnectionError':
      // Raised while connecting, and for sockets that break later; without a system code the latter is possible.
      return socketFault(code) ?? (isConnecting(error) ? FAULTS.connectionRefused : FAULTS.connectionLost);
    case 'KafkaJSRequestTimeoutError':
    case 'KafkaJSTimeout':
      return FAULTS.timeout;
    case 'KafkaJSLockTimeout':
    case 'KafkaJSBrokerNotFound':
    case 'KafkaJSNoBrokerAvailableError':
      return FAULTS.connectionRefused;
    case 'KafkaJSMetadataNotLoaded':
    case 'KafkaJSTopicMetadataNotLoaded':
    case 'KafkaJSStaleTopicMetadataAssignment':
      return FAULTS.notLeader;
    case 'KafkaJSGroupCoordinatorNotFound':
      return FAULTS.coordinator;
    case 'KafkaJSSASLAuthenticationError':
      return FAULTS.authenticationFailed;
    case 'KafkaJSServerDoesNotSupportApiKey':
    case 'KafkaJSNotImplemented':
      return FAULTS.invalidRequest;
    default:
      break;
  }
  if (cause instanceof Error && cause !== error) return classifyKafkaJs(cause);
  return socketFault(code) ?? FAULTS.unclassified;
}

function isConnecting(error: Error): boolean {
  return error.message.startsWith('Connection timeout') || error.message.includes('ECONNREFUSED');
}
