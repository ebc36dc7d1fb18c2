import type { EnrichableEvent } from './enricher.ts';

type Texts = Readonly<Record<string, string>>;

/** What enrichers see of a native event: the device is what its payload says. Third-party events are not enriched. */
export function enrichableOf(
  known: Omit<EnrichableEvent, 'deviceId'>,
  payload: Readonly<Record<string, string | undefined>>,
): EnrichableEvent {
  return { ...known, deviceId: Object.hasOwn(payload, 'device_id') ? (payload['device_id'] ?? null) : null };
}

/** The payload with the values of enrichers; the same object when there are none. */
export function withValues<P extends Texts>(payload: P, values: Texts): P {
  return Object.keys(values).length === 0 ? payload : { ...payload, ...values };
}
