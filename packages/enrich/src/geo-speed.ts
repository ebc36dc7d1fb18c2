import { DAY_MS, type Enricher, type Place } from './enricher.ts';

const EARTH_RADIUS_KM = 6_371.0088;
/** Databases place networks, not people: below this distance nobody has travelled. */
const DISTANCE_KM_MIN = 100;
/** Two logins within a minute count as a minute apart. */
const APART_MS_MIN = 60_000;

type State = Place & { readonly timeMs: number };

/**
 * `geo.speed_kmh`: the speed it takes from the place of the account's login before to this one. Great-circle distance by the
 * haversine formula (R. W. Sinnott, Virtues of the Haversine, Sky and Telescope 68, 1984) on a sphere of the IUGG mean radius.
 * Tunnels and mobile gateways move people too; rules leave known networks out. State: place and time of the latest login.
 */
export const geoSpeed: Enricher = {
  name: 'geo-speed-1',
  fields: ['geo.speed_kmh'],
  keptMs: 30 * DAY_MS,
  keyOf: ({ eventType, actorId, place }) => (eventType === 'auth.login.success' && place !== null ? actorId : null),
  step(text, { timeMs, place }) {
    const here = place as Place; // `keyOf` asks for it.
    const before = text === null ? null : (JSON.parse(text) as State);
    const isLater = before === null || timeMs >= before.timeMs;
    const state = isLater ? JSON.stringify({ ...here, timeMs } satisfies State) : (text as string); // Not null: then it is later.
    if (before === null) return { state, values: {} };
    const km = distanceKm(before, here);
    const hours = Math.max(Math.abs(timeMs - before.timeMs), APART_MS_MIN) / 3_600_000;
    const speed = km < DISTANCE_KM_MIN ? 0 : Math.round(km / hours);
    return { state, values: { 'geo.speed_kmh': String(speed) } };
  },
};

export function distanceKm(a: Place, b: Place): number {
  const radians = (degrees: number): number => (degrees * Math.PI) / 180;
  const half = (angle: number): number => Math.sin(angle / 2) ** 2;
  const [latA, latB] = [radians(a.latitude), radians(b.latitude)];
  const h = half(latB - latA) + Math.cos(latA) * Math.cos(latB) * half(radians(b.longitude - a.longitude));
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}
