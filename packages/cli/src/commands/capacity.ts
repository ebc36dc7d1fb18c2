import { capacityOf, type Demand, MEASURED } from '../deployment/capacity.ts';
import { columns } from '../render/columns.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

/** Options as the command line gives them. */
export type CapacityFlags = {
  readonly rate: string;
  readonly eventBytes: string;
  readonly matchShare: string;
  readonly groups: string;
  readonly partitions: string;
  readonly replication: string;
  readonly format: 'table' | 'json';
};

/** What a deployment for that much needs, by the measured costs. Exit code 0. */
export async function runCapacity(flags: CapacityFlags, { out }: Pick<Terminal, 'out'>): Promise<number> {
  const number = (text: string, name: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
      throw new UsageError(`--${name} '${text}': write a number of 0 or more`);
    }
    return value;
  };
  const partitions = number(flags.partitions, 'partitions');
  const demand: Demand = {
    eventsPerSecond: number(flags.rate, 'rate'),
    eventBytes: number(flags.eventBytes, 'event-bytes'),
    matchShare: number(flags.matchShare, 'match-share'),
    liveGroups: number(flags.groups, 'groups'),
    eventPartitions: partitions,
    matchesPartitions: partitions,
    replication: number(flags.replication, 'replication'),
  };
  const capacity = capacityOf(demand);
  if (flags.format === 'json') {
    out(JSON.stringify({ demand, measured: MEASURED, capacity }));
    return 0;
  }
  const rows = [
    [
      'correlators',
      String(capacity.correlators),
      `${capacity.correlatorCores.toFixed(2)} cores at 75 %${capacity.correlators > 1 ? '; one to spare' : ''}`,
    ],
    ['memory of each', mebibytes(capacity.correlatorMemoryBytes), `${MEASURED.groupBytes} bytes per live group`],
    [
      'state Redis',
      mebibytes(capacity.redisMemoryBytes),
      `${capacity.redisCores.toFixed(2)} cores; noeviction, append-only`,
    ],
    [
      'brokers take',
      `${mebibytes(capacity.brokerBytesPerSecond)}/s`,
      `${capacity.tickRecordsPerSecond} tick records a second among it`,
    ],
    ['brokers keep', mebibytes(capacity.brokerDiskBytes), 'events 30 days, matches 35 days, all replicas'],
    ['rebuild', `${Math.ceil(capacity.rebuildSeconds)} s`, 'a matches partition without its state, two hours of peak'],
  ];
  out(columns(['PART', 'NEEDS', 'WHY'], rows));
  out(
    'Costs were measured on 2 cores of a shared virtual machine with 100 detections and 10 correlations (bench/BENCHMARKS.md); measure yours.',
  );
  return 0;
}

function mebibytes(bytes: number): string {
  const mib = bytes / 2 ** 20;
  if (mib < 1_024) return `${mib.toFixed(mib < 10 ? 1 : 0)} MiB`;
  return mib < 2 ** 20 ? `${(mib / 1_024).toFixed(1)} GiB` : `${(mib / 2 ** 20).toFixed(1)} TiB`;
}
