import type { AlertRecord } from '@tracehound/alerting';
import { classifyError, deadLetter, drop, ok, retry, type Verdict } from '@tracehound/event-model';
import type { AlertDecoder, ConsumedAlert } from '../ports.ts';

export type DecodedAlert = ConsumedAlert & { readonly record: AlertRecord };

export type ConsumeReason = 'empty' | 'undecodable' | 'unknown_kind' | 'registry_unavailable';

/** First stop: bytes to an alert record. A kind of a newer schema is a dead letter, because ignoring it could hide an attack. */
export function createConsumeStage(deps: { readonly decode: AlertDecoder }) {
  return async function consume(alert: ConsumedAlert): Promise<Verdict<DecodedAlert, ConsumeReason>> {
    if (alert.value.length === 0) return drop('empty');
    try {
      const record = await deps.decode(alert.position.topic, alert.value);
      if (record === null) return deadLetter('undecodable', 'the record is of another type than this topic carries');
      if (record.kind === 'UNKNOWN') return deadLetter('unknown_kind', 'the alert kind is newer than this alerter');
      return ok({ ...alert, record });
    } catch (error) {
      if (classifyError(error).retriable) return retry('registry_unavailable', error);
      return deadLetter('undecodable', `code ${classifyError(error).code}`);
    }
  };
}
