import { daysIdle } from './days-idle.ts';
import type { Enricher } from './enricher.ts';
import { newDevice, newNetwork } from './first-seen.ts';
import { geoSpeed } from './geo-speed.ts';

/** The enrichers of this package, by the names people choose them with. */
export const BUILT_IN_ENRICHERS: Readonly<Record<string, Enricher>> = {
  'days-idle': daysIdle,
  'geo-speed': geoSpeed,
  'new-device': newDevice,
  'new-network': newNetwork,
};
