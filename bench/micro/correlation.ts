/**
 * What correlations cost, from ready matches in memory, one thread:
 *   node --expose-gc --conditions=@tracehound/source bench/micro/correlation.ts [real|hot|late|spray|chain|memory] [events] [offline|service]
 * CPU time of the whole process counts, the garbage collector's threads included.
 */
import { createOfflineEngine, createPartitionEngine, type OfflineFinal } from '@tracehound/correlation';
import type { MatchBatch } from '@tracehound/event-model';
import { loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import { PRESETS } from '../workload/events.ts';
import { createRandom } from '../workload/random.ts';
import { createLoad, type LoadedMatch, loadRules, uuid } from './correlation-load.ts';

const [name = 'real', count = '1000000', mode = 'offline'] = process.argv.slice(2);
/** How far behind an event may be: what the offline commands allow. */
const LATENESS_MS = 300_000;
const ROUNDS = 3;
const BATCH = 500;

function feed(ruleSet: RuleSetCompiled, load: readonly LoadedMatch[]): number {
  return mode === 'service' ? feedService(ruleSet, load) : feedOffline(ruleSet, load);
}

function feedOffline(ruleSet: RuleSetCompiled, load: readonly LoadedMatch[]): number {
  const engine = createOfflineEngine(ruleSet);
  let finals = 0;
  const count = (found: readonly OfflineFinal[]): void => {
    finals += found.length;
  };
  let newestMs = 0;
  for (const { match, event } of load) {
    if (event.timeMs > newestMs) {
      newestMs = event.timeMs;
      count(engine.advance(newestMs - LATENESS_MS));
    }
    engine.add(match, event);
  }
  count(engine.end());
  return finals;
}

/** With records, opens and updates, as stage B runs it. */
function feedService(ruleSet: RuleSetCompiled, load: readonly LoadedMatch[]): number {
  const source = { topic: 'events', topic_id: 'events', partition: 0 };
  const engine = createPartitionEngine({
    clusterId: 'bench',
    partition: 0,
    ruleSet: () => ruleSet,
    sources: () => [source],
  });
  let records = 0;
  for (let from = 0; from < load.length; from += BATCH) {
    const part = load.slice(from, from + BATCH);
    const batch: MatchBatch = {
      schema_rev: 1,
      cluster_id: 'bench',
      src_topic: 'events',
      src_topic_id: 'events',
      src_partition: 0,
      from,
      to: from + part.length,
      prev_to: from,
      watermark: (part.at(-1) as LoadedMatch).event.timeMs - LATENESS_MS,
      sources_version: 1,
      activation_id: 'bench',
      ruleset_id: ruleSet.rulesetId,
      depth: 0,
      end_of_input: false,
      matches: part.map(({ match, event }, index) => ({
        ...match,
        organization_id: event.organization,
        event_id: event.id,
        event_time: event.timeMs,
        source_offset: from + index,
        source_instance: null,
        source_seq: null,
        flags: 0,
      })),
    };
    records += engine.apply(batch, from / BATCH).length;
  }
  return records;
}

/** Live groups of a count with threshold 5, four hits each. */
function memory(groups: number): void {
  const ruleSet = loadRuleSet([
    {
      path: 'memory.yml',
      content:
        'title: a\nname: a\nlogsource: {product: bench}\ndetection: {s: {type: a}, condition: s}\n---\ntitle: c\nname: c\ncorrelation:\n  type: event_count\n  rules: [a]\n  group-by: [ip]\n  timespan: 1h\n  condition: {gte: 5}\n',
    },
  ]);
  const engine = createOfflineEngine(ruleSet);
  const random = createRandom(9);
  globalThis.gc?.();
  const before = process.memoryUsage();
  for (let index = 0; index < 4 * groups; index++) {
    const group = index % groups;
    const event = {
      id: uuid(random),
      // All hits within 50 minutes, in order.
      timeMs: Date.UTC(2026, 0, 1) + Math.floor((index / groups) * 750_000),
      organization: 'acme',
    };
    const group_key = JSON.stringify([`s:10.${group >> 16}.${(group >> 8) & 255}.${group & 255}`]);
    engine.advance(event.timeMs - LATENESS_MS);
    engine.add({ rule: 0, step: 0, group_key, value: null, number: null }, event);
  }
  const peak = process.memoryUsage().rss;
  globalThis.gc?.();
  const after = process.memoryUsage();
  const bytes = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
  console.log(
    JSON.stringify({
      groups: engine.liveGroups,
      bytesPerGroup: Math.round(bytes / groups),
      rssMb: Math.round(peak / 2 ** 20),
      cpuSeconds: process.cpuUsage().user / 1e6,
    }),
  );
}

function speed(): void {
  const ruleSet = loadRules();
  const preset = PRESETS.find((known) => known === name) ?? 'real';
  const load = createLoad(ruleSet, preset, Number(count));
  // A small run first, so that the compiler's work is not counted.
  feed(ruleSet, load.slice(0, 50_000));
  // By turns nothing else runs here: several rounds, because machines drift. The median counts.
  const rounds = Array.from({ length: ROUNDS }, () => {
    globalThis.gc?.();
    const began = process.cpuUsage();
    const spoken = feed(ruleSet, load);
    const { user, system } = process.cpuUsage(began);
    return { spoken, cpuMs: (user + system) / 1000 };
  }).sort((a, b) => a.cpuMs - b.cpuMs);
  const { spoken, cpuMs } = rounds[ROUNDS >> 1] as (typeof rounds)[number];
  const usPerMatch = Number(((1000 * cpuMs) / load.length).toFixed(2));
  const usPerEvent = Number(((1000 * cpuMs) / Number(count)).toFixed(2));
  console.log(
    JSON.stringify({ preset, mode, matches: load.length, spoken, cpuMs: Math.round(cpuMs), usPerMatch, usPerEvent }),
  );
}

if (name === 'memory') memory(Number(count));
else speed();
