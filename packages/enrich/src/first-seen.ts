import { DAY_MS, type EnrichableEvent, type Enricher } from './enricher.ts';

const REMEMBERED_MS = 90 * DAY_MS;
/** Values kept per account, the latest; an account with more has no habits to differ from. */
const VALUES_MAX = 20;
/** A value's time is written anew at most once a day. */
const GRAIN_MS = DAY_MS;

type Seen = Readonly<Record<string, number>>;

/**
 * Whether the account was not seen with this value in ninety days. The account's first event makes nothing new: everything would be.
 * State: the latest values with the time they were last seen.
 */
function firstSeen(options: {
  readonly name: string;
  readonly field: string;
  readonly on: readonly string[];
  readonly valueOf: (event: EnrichableEvent) => string | null;
}): Enricher {
  return {
    name: options.name,
    fields: [options.field],
    keptMs: REMEMBERED_MS,
    keyOf: (event) => (options.on.includes(event.eventType) && options.valueOf(event) !== null ? event.actorId : null),
    step(text, event) {
      const value = options.valueOf(event) as string; // `keyOf` asks for it.
      const seen: Seen = text === null ? {} : (JSON.parse(text) as Seen);
      const lastMs = Object.hasOwn(seen, value) ? seen[value] : undefined;
      const isNew = lastMs === undefined || event.timeMs - lastMs > REMEMBERED_MS;
      const isMoved = lastMs === undefined || event.timeMs - lastMs >= GRAIN_MS;
      // What failed to log in has not shown that it belongs to the account.
      const isKept = isMoved && event.eventType !== 'auth.login.failure';
      const state = isKept || text === null ? textOf(isKept ? { ...seen, [value]: event.timeMs } : seen) : text;
      return { state, values: text === null || text === '{}' ? {} : { [options.field]: String(isNew) } };
    },
  };
}

function textOf(seen: Seen): string {
  const latest = Object.entries(seen).sort(([, a], [, b]) => b - a);
  return JSON.stringify(Object.fromEntries(latest.slice(0, VALUES_MAX)));
}

/** `device_is_new`, by the keyed hash of the device fingerprint. */
export const newDevice: Enricher = firstSeen({
  name: 'new-device-1',
  field: 'device_is_new',
  on: ['auth.login.success'],
  valueOf: ({ deviceId }) => deviceId,
});

/** `network_is_new`, by autonomous system. */
export const newNetwork: Enricher = firstSeen({
  name: 'new-network-1',
  field: 'network_is_new',
  on: ['auth.login.success', 'auth.login.failure'],
  valueOf: ({ asn }) => (asn === null ? null : String(asn)),
});
