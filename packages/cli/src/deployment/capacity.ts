import { TOPICS } from '@tracehound/event-model';

/** What a deployment is to carry. */
export type Demand = {
  /** At the peak. */
  readonly eventsPerSecond: number;
  /** Bytes of an event in Kafka. */
  readonly eventBytes: number;
  /** Matches that feed correlations, per event. */
  readonly matchShare: number;
  /** Windows open at once, all rules and organizations together. */
  readonly liveGroups: number;
  readonly eventPartitions: number;
  readonly matchesPartitions: number;
  readonly replication: number;
};

export type Capacity = {
  /** Correlator processes of one core each, with a quarter to spare and one more than needed when there are several. */
  readonly correlators: number;
  readonly correlatorCores: number;
  /** Of each correlator, bytes. */
  readonly correlatorMemoryBytes: number;
  readonly redisCores: number;
  readonly redisMemoryBytes: number;
  /** Written into all brokers together, bytes a second. */
  readonly brokerBytesPerSecond: number;
  readonly tickRecordsPerSecond: number;
  /** Kept by all brokers together, bytes. */
  readonly brokerDiskBytes: number;
  /** One matches partition without its Redis state, whole log of two hours of peak, seconds. */
  readonly rebuildSeconds: number;
};

/**
 * Measured costs (bench/BENCHMARKS.md, lane `correlator` on 2 cores of a shared virtual machine, steady traffic, 100 detections and
 * 10 correlations): a process from Kafka to alerts costs 33 us an event with 0.41 matches each. Your rules and machines differ:
 * measure with `npm run bench -- correlator`.
 */
export const MEASURED: Readonly<
  Record<
    | 'stageAMicrosPerEvent'
    | 'stageBMicrosPerMatch'
    | 'redisMicrosPerMatch'
    | 'groupBytes'
    | 'redisGroupBytes'
    | 'matchBytes'
    | 'tickBytes'
    | 'processBytes',
    number
  >
> = {
  stageAMicrosPerEvent: 22,
  stageBMicrosPerMatch: 27,
  redisMicrosPerMatch: 3,
  groupBytes: 500,
  redisGroupBytes: 600,
  matchBytes: 130,
  tickBytes: 160,
  processBytes: 300 * 2 ** 20,
};

/** Of a core; the rest is for peaks, the collector and a process that restarts. */
const UTILISATION = 0.75;
const TICKS_PER_SECOND = 2;
/** Redis needs room to rewrite its log. */
const REDIS_ROOM = 1.6;

/** @throws RangeError for a demand that no deployment can have. */
export function capacityOf(demand: Demand): Capacity {
  for (const [name, value] of Object.entries(demand)) {
    if (!Number.isFinite(value) || value < 0) throw new RangeError(`${name} must be a number of 0 or more`);
  }
  const { eventsPerSecond, eventBytes, matchShare, liveGroups, replication } = demand;
  const matchesPerSecond = eventsPerSecond * matchShare;
  const busyCores =
    (eventsPerSecond * MEASURED.stageAMicrosPerEvent + matchesPerSecond * MEASURED.stageBMicrosPerMatch) / 1e6;
  const correlatorCores = busyCores / UTILISATION;
  const needed = Math.max(1, Math.ceil(correlatorCores));
  const correlators = needed === 1 ? 1 : needed + 1;
  const tickRecordsPerSecond = demand.eventPartitions * demand.matchesPartitions * TICKS_PER_SECOND;
  const matchesBytesPerSecond = matchesPerSecond * MEASURED.matchBytes + tickRecordsPerSecond * MEASURED.tickBytes;
  const days = (topic: 'security.events' | 'security.matches'): number => TOPICS[topic].retentionMs / 1_000;
  return {
    correlators,
    correlatorCores,
    correlatorMemoryBytes: MEASURED.processBytes + (liveGroups / needed) * MEASURED.groupBytes,
    redisCores: (matchesPerSecond * MEASURED.redisMicrosPerMatch) / 1e6,
    redisMemoryBytes: liveGroups * MEASURED.redisGroupBytes * REDIS_ROOM,
    brokerBytesPerSecond: (eventsPerSecond * eventBytes + matchesBytesPerSecond) * replication,
    tickRecordsPerSecond,
    brokerDiskBytes:
      (eventsPerSecond * eventBytes * days('security.events') + matchesBytesPerSecond * days('security.matches')) *
      replication,
    rebuildSeconds: (matchesPerSecond * 7_200 * MEASURED.stageBMicrosPerMatch) / 1e6 / demand.matchesPartitions,
  };
}
