import type { CorrelationDefinition } from '@tracehound/sigma';
import type { ByteReader } from '../byte-codec.ts';
import { CorrelationError } from '../errors.ts';
import type { FirmMachine, FirmMachineOptions } from './machine-types.ts';

export type {
  FirmChainHit,
  FirmDegradedRange,
  FirmDegradedReason,
  FirmFinal,
  FirmHit,
  FirmMachine,
  FirmMachineOptions,
  FirmOutcome,
} from './machine-types.ts';

/** A machine without state. Throws `SEC_CORR_STATE` for a definition that no machine decides. */
export function createFirmMachine(_definition: CorrelationDefinition, _options: FirmMachineOptions): FirmMachine {
  throw new CorrelationError('no machine decides this', 'SEC_CORR_STATE');
}

/** Reads what `write` wrote, with the same definition and options. */
export function readFirmMachine(
  _reader: ByteReader,
  _definition: CorrelationDefinition,
  _options: FirmMachineOptions,
): FirmMachine {
  throw new CorrelationError('no machine decides this', 'SEC_CORR_STATE');
}
