import type { Match } from '@tracehound/event-model';
import { connectRedis, type Redis } from '@tracehound/redis';
import { type CorrelationRule, groupKeyOf, loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import { packRange, type RoutedMatch } from '../../services/correlator/src/domain/covered-range.ts';
import { partitionOf } from '../../services/correlator/src/domain/route.ts';
import { flushAndEmit } from '../../services/correlator/src/pipeline.ts';
import { uuid } from '../micro/correlation-load.ts';
import { createRandom } from '../workload/random.ts';
import { ORGANIZATION } from './avro-workload.ts';
import {
  activationOf,
  LATENESS_MS,
  MATCHES,
  type OpenPartitions,
  openPartitions,
  recordOf,
  redisCpu,
  ruleFiles,
  SOURCE,
  TARGETS,
} from './correlator-partitions.ts';
import { cpuMicros, peakRssMb, residentMb } from './processes.ts';
import { type Spread, spreadOf } from './statistics.ts';

/** Hits per group: a count of five that is not there yet. */
const HITS = 2;
const BATCH = 1_000;
/** All hits lie within this, and so all windows of 15 minutes are open at the end. */
const RANGE_MS = 600_000;
const BEGAN_MS = Date.UTC(2026, 0, 1);

/**
 * `rebuild`: empty state, fed from records; `start`: a new process on the state that `rebuild` left; `more`: such a process is fed
 * one hit more for a tenth of the groups.
 */
export type GroupsCell = {
  readonly groups: number;
  readonly kind: 'rebuild' | 'start' | 'more';
  /** Bound on packed groups in memory, bytes per partition; null: none. */
  readonly packedBytesMax: number | null;
  readonly redisUrl: string;
  readonly namespace: string;
};

type GroupsRun = {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly redisCpuSeconds: number;
  readonly live: number;
  readonly cold: number;
  /** Heap and buffers in use after a collection. */
  readonly heldMb: number;
  readonly rssMb: number;
  readonly peakRssMb: number;
};

type Figures = {
  readonly wallSeconds: Spread;
  readonly cpuSeconds: Spread;
  readonly redisCpuSeconds: Spread;
  readonly heldMb: number;
  readonly rssMb: number;
  readonly peakRssMb: number;
  readonly cold: number;
};

export type GroupsResult = {
  readonly groups: number;
  readonly hits: number;
  readonly packedBytesMax: number | null;
  readonly rebuild: Figures;
  readonly start: Figures;
  readonly more: Figures;
  readonly redisMb: number;
};

/** Each kind in a process of its own, by turns. */
export async function runGroups(
  of: {
    readonly groups: number;
    readonly runs: number;
    readonly redisUrl: string;
    readonly packedBytesMax: number | null;
  },
  runCell: (cell: GroupsCell) => GroupsRun,
): Promise<GroupsResult> {
  const { groups, runs, redisUrl, packedBytesMax } = of;
  const redis = await connectRedis(redisUrl, { role: 'state' });
  const rebuilds: GroupsRun[] = [];
  const starts: GroupsRun[] = [];
  const mores: GroupsRun[] = [];
  let redisMb = 0;
  for (let run = 0; run < runs; run++) {
    // State of its own for every run: nothing is deleted.
    const namespace = `groups${run}`;
    const usedMb = await redisMegabytes(redis);
    const cell = { groups, packedBytesMax, redisUrl, namespace };
    rebuilds.push(runCell({ ...cell, kind: 'rebuild' }));
    redisMb = (await redisMegabytes(redis)) - usedMb;
    starts.push(runCell({ ...cell, kind: 'start' }));
    mores.push(runCell({ ...cell, kind: 'more' }));
  }
  redis.disconnect();
  for (const { live } of [...rebuilds, ...starts, ...mores]) {
    if (live !== groups) throw new Error(`${live} groups are live, but ${groups} must be; nothing was measured`);
  }
  const figures = { rebuild: figuresOf(rebuilds), start: figuresOf(starts), more: figuresOf(mores) };
  return { groups, hits: HITS, packedBytesMax, ...figures, redisMb };
}

async function redisMegabytes(redis: Redis): Promise<number> {
  return Math.round(Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1] ?? 0) / 2 ** 20);
}

function figuresOf(runs: readonly GroupsRun[]): Figures {
  return {
    wallSeconds: spreadOf(runs.map(({ wallSeconds }) => wallSeconds)),
    cpuSeconds: spreadOf(runs.map(({ cpuSeconds }) => cpuSeconds)),
    redisCpuSeconds: spreadOf(runs.map(({ redisCpuSeconds }) => redisCpuSeconds)),
    heldMb: Math.max(...runs.map(({ heldMb }) => heldMb)),
    rssMb: Math.max(...runs.map(({ rssMb }) => rssMb)),
    peakRssMb: Math.max(...runs.map((run) => run.peakRssMb)),
    cold: Math.max(...runs.map(({ cold }) => cold)),
  };
}

export function groupsText({ groups, hits, rebuild, start, more, redisMb }: GroupsResult): string {
  const part = (name: string, figures: Figures): string => {
    const { wallSeconds, cpuSeconds, redisCpuSeconds, heldMb, rssMb, peakRssMb: peak, cold } = figures;
    return (
      `${name} ${wallSeconds.median.toFixed(1)} s (${wallSeconds.least.toFixed(1)}-${wallSeconds.most.toFixed(1)}), ` +
      `${cpuSeconds.median.toFixed(1)} CPU s, Redis ${redisCpuSeconds.median.toFixed(1)} CPU s, holds ${heldMb} MB, ${rssMb} MB resident (peak ${peak}), ${cold} cold`
    );
  };
  const parts = [part('rebuild', rebuild), part('start', start), part('more', more), `Redis ${redisMb} MB`];
  return `${groups} live groups of ${hits} hits:\n  ${parts.join('\n  ')}`;
}

export async function runGroupsCell(cell: GroupsCell): Promise<GroupsRun> {
  const rules = loadRuleSet(ruleFiles());
  const redis = await connectRedis(cell.redisUrl, { role: 'state' });
  const memory = cell.packedBytesMax === null ? {} : { packedBytesMax: cell.packedBytesMax };
  const opened = await openPartitions({ rules, redis, namespace: cell.namespace, count: TARGETS, memory });
  const { groups, kind } = cell;
  // As the consumer does on assignment: partitions by turns on one thread.
  const acquire = async (): Promise<void> => {
    await Promise.all(opened.partitions.map(({ owner }) => owner.acquire()));
  };
  const meter = new Meter();
  if (kind === 'more') await acquire();
  const redisBefore = await redisCpu(redis);
  if (kind !== 'more') await meter.measure(acquire);
  if (kind === 'rebuild') await feed(opened, { rules, groups, from: 0, to: HITS * groups }, meter);
  if (kind === 'more')
    await feed(opened, { rules, groups, from: HITS * groups, to: HITS * groups + groups / 10 }, meter);
  const redisCpuSeconds = (await redisCpu(redis)) - redisBefore;
  redis.disconnect();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return {
    cpuSeconds: meter.micros / 1e6,
    wallSeconds: meter.wallMs / 1_000,
    redisCpuSeconds,
    live: [...opened.engines.values()].reduce((sum, { liveGroups }) => sum + liveGroups, 0),
    cold: [...opened.engines.values()].reduce((sum, { coldGroups }) => sum + coldGroups, 0),
    heldMb: Math.round((heapUsed + external) / 2 ** 20),
    rssMb: residentMb('self', 'VmRSS'),
    peakRssMb: peakRssMb(),
  };
}

/** Adds up what is measured; making the records is not. */
class Meter {
  micros = 0;
  wallMs = 0;

  async measure(work: () => Promise<void>): Promise<void> {
    const [cpu, wall] = [cpuMicros(), performance.now()];
    await work();
    this.micros += cpuMicros() - cpu;
    this.wallMs += performance.now() - wall;
  }
}

/** Hits by number, one group after the other. */
async function feed(
  { codec, partitions }: OpenPartitions,
  hits: { readonly rules: RuleSetCompiled; readonly groups: number; readonly from: number; readonly to: number },
  meter: Meter,
): Promise<void> {
  const { rules, groups } = hits;
  const rule = rules.correlations.find(({ description }) => description.title.endsWith('c01')) as CorrelationRule;
  const activation = activationOf(rules);
  const random = createRandom(42);
  const timeOf = (number: number): number => BEGAN_MS + Math.floor((number / (HITS * groups)) * RANGE_MS);
  let watermarkBeforeMs = hits.from === 0 ? 0 : timeOf(hits.from - 1) - LATENESS_MS;
  for (let { from } = hits; from < hits.to; from += BATCH) {
    const to = Math.min(hits.to, from + BATCH);
    const matches = Array.from({ length: to - from }, (_, index) => {
      const eventTimeMs = timeOf(from + index);
      return hitOf(rule, { number: from + index, groups, eventTimeMs, id: uuid(random) });
    });
    const watermarkMs = (matches.at(-1)?.match.event_time ?? 0) - LATENESS_MS;
    const range = { source: SOURCE, depth: 0, activation, from: BigInt(from), to: BigInt(to), endOfInput: false };
    const packed = packRange(
      { ...range, watermarkBeforeMs, watermarkMs, matches },
      { targets: TARGETS, clusterId: 'bench' },
    );
    watermarkBeforeMs = watermarkMs;
    const records = packed.map((batches, partition) =>
      batches.map((batch) => {
        const value = codec.encode('tracehound.pipeline.v1.MatchBatch', batch);
        return recordOf(MATCHES.topic, { partition, offset: BigInt(from / BATCH), value });
      }),
    );
    await meter.measure(async () => {
      for (const [partition, { path }] of partitions.entries()) await path(records[partition] ?? []);
    });
  }
  await meter.measure(async () => {
    for (const { owner, flushPolicy } of partitions) await flushAndEmit(owner, flushPolicy);
  });
}

function hitOf(
  rule: CorrelationRule,
  hit: { readonly number: number; readonly groups: number; readonly eventTimeMs: number; readonly id: string },
): RoutedMatch {
  const group = hit.number % hit.groups;
  const groupKey = groupKeyOf([`10.${group >> 16}.${(group >> 8) & 255}.${group & 255}`]);
  const match: Match = {
    rule: rule.index,
    organization_id: ORGANIZATION,
    group_key: groupKey,
    event_id: hit.id,
    event_time: hit.eventTimeMs,
    step: 0,
    value: null,
    number: null,
    source_offset: hit.number,
    source_instance: null,
    source_seq: null,
    flags: 0,
  };
  return { target: partitionOf({ rule, organization: ORGANIZATION, groupKey }, TARGETS), match };
}
