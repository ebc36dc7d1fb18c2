import { FAULTS, KafkaError, type KafkaFault } from '../errors.ts';
import { protocolFault, socketFault } from '../protocol-faults.ts';

/** Total classification of what `@platformatic/kafka` throws: protocol errors anywhere inside win over their wrappers. */
export function classifyPlatformatic(error: unknown): KafkaFault {
  if (error instanceof KafkaError) return error.fault;
  if (!(error instanceof Error)) return FAULTS.unclassified;
  const protocol = findProtocolName(error, 0);
  if (protocol !== undefined) return protocolFault(protocol);
  const socket = findSocketFault(error, 0);
  const { code } = error as { code?: unknown };
  switch (code) {
    case 'PLT_KFK_AUTHENTICATION':
      return FAULTS.authenticationFailed;
    case 'PLT_KFK_TIMEOUT':
      return FAULTS.timeout;
    case 'PLT_KFK_NETWORK':
      return socket ?? FAULTS.connectionLost;
    case 'PLT_KFK_USER':
      // The library answers from its cache for a topic that metadata did not bring, with no code of its own.
      return error.message.startsWith('Unknown topic') || error.message.startsWith('Unknown partition')
        ? FAULTS.unknownTopic
        : FAULTS.invalidRequest;
    case 'PLT_KFK_UNSUPPORTED_COMPRESSION':
      return FAULTS.unsupportedCompression;
    case 'PLT_KFK_UNSUPPORTED':
    case 'PLT_KFK_UNSUPPORTED_API':
    case 'PLT_KFK_UNSUPPORTED_FORMAT':
    case 'PLT_KFK_OUT_OF_BOUNDS':
      return FAULTS.invalidRequest;
    default:
      return socket ?? nestedFault(error) ?? FAULTS.unclassified;
  }
}

/** Wrappers nest a few levels; the bound guards against a cause that leads back to itself. */
const DEPTH_MAX = 6;

function inner(error: Error): readonly unknown[] {
  const { errors } = error as { errors?: unknown };
  return [...(Array.isArray(errors) ? (errors as unknown[]) : []), error.cause];
}

function findProtocolName(error: unknown, depth: number): string | undefined {
  if (!(error instanceof Error) || depth > DEPTH_MAX) return undefined;
  const { apiId } = error as { apiId?: unknown };
  if (typeof apiId === 'string') return apiId;
  for (const nested of inner(error)) {
    const name = findProtocolName(nested, depth + 1);
    if (name !== undefined) return name;
  }
  return undefined;
}

function findSocketFault(error: unknown, depth: number): KafkaFault | undefined {
  if (!(error instanceof Error) || depth > DEPTH_MAX) return undefined;
  const direct = socketFault((error as { code?: unknown }).code);
  if (direct) return direct;
  for (const nested of inner(error)) {
    const fault = findSocketFault(nested, depth + 1);
    if (fault) return fault;
  }
  return undefined;
}

function nestedFault(error: Error): KafkaFault | undefined {
  for (const nested of inner(error)) {
    if (nested instanceof Error && nested !== error) {
      const { code } = nested as { code?: unknown };
      if (typeof code === 'string' && code.startsWith('PLT_KFK_') && code !== 'PLT_KFK_MULTIPLE') {
        return classifyPlatformatic(nested);
      }
    }
  }
  return undefined;
}
