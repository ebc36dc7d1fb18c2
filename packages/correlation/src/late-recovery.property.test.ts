import type { Match } from '@tracehound/event-model';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { configOf, finalLines, oracleLines, runLog } from '../oracle/run.ts';
import { type Arrival, arriveAt, createWorld, WORLD_TOPIC_ID, type World, type WorldEvent } from '../oracle/world.ts';
import { createPartitionEngine } from './engine.ts';
import { createAffected, type RecoveryMatch, recover } from './recovery.ts';

const seeds = fc.integer({ min: 0, max: 2 ** 30 });
const source = { topic: 'security.events', topic_id: WORLD_TOPIC_ID, partition: 0 };
const END = 2_000_000_000_000_000;

function matchesOf(world: World, events: readonly WorldEvent[]): RecoveryMatch[] {
  return events.flatMap((event, offset) =>
    world.rules.flatMap(({ hitsOf }, rule) =>
      hitsOf(event).map(({ group, ...hit }) => {
        const match: Match = {
          ...hit,
          rule,
          organization_id: event.organization,
          group_key: group,
          event_id: event.id,
          event_time: event.timeMs,
          source_offset: offset,
          source_instance: event.instance,
          source_seq: event.sequence,
          flags: 0,
        };
        return { source, match };
      }),
    ),
  );
}

type Case = { readonly world: World; readonly arrival: Arrival; readonly late: readonly WorldEvent[] };

function caseOf(seed: number): Case {
  const world = createWorld(seed);
  const arrival = arriveAt(world, seed, { late: true, duplicates: true });
  const onTime = new Set(arrival.onTime.map(({ id }) => id));
  return { world, arrival, late: world.events.filter(({ id }) => !onTime.has(id)) };
}

function recovered({ world, arrival, late }: Case) {
  const lateMatches = matchesOf(world, late);
  const isAffected = createAffected(world.ruleSet, lateMatches);
  return recover({
    ruleSet: world.ruleSet,
    clusterId: 'test',
    onTime: matchesOf(world, arrival.onTime).filter(({ match }) => isAffected(match)),
    late: lateMatches,
    watermarkMs: END,
    saidAtMs: END + 1,
  });
}

describe('X3 recovery pass', () => {
  it('live and recovered finals together are those of the oracle over all events, the late ones too', () => {
    let some = 0;
    fc.assert(
      fc.property(seeds, (seed) => {
        const given = caseOf(seed);
        const { alerts: live } = runLog(createPartitionEngine(configOf(given.world)), given.arrival.batches);
        const { alerts, contradicted } = recovered(given);
        expect(contradicted).toEqual([]);
        some += alerts.length;
        const gone = new Set(alerts.flatMap(({ alert_id, supersedes }) => [alert_id, ...supersedes]));
        const standing = [...live.filter(({ alert_id }) => !gone.has(alert_id)), ...alerts];
        const all = { ...given.arrival, onTime: given.world.events };
        expect(finalLines(standing)).toEqual(oracleLines(given.world, all));
        // Nothing is said a second time, and whatever is said outranks what was.
        const lateIds = new Set(given.late.map(({ id }) => id));
        const before = new Map(live.map((alert) => [alert.alert_id, alert.revision]));
        for (const alert of alerts) {
          expect(alert.recovered).toBe(true);
          expect(alert.revision).toBeGreaterThan(before.get(alert.alert_id) ?? 0);
          if (alert.kind === 'FINAL' && alert.supersedes.length === 0 && !before.has(alert.alert_id))
            expect(alert.event_ids.some((id) => lateIds.has(id))).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
    expect(some).toBeGreaterThan(100);
  }, 60_000);

  it('says nothing where nothing is late', () => {
    const world = createWorld(1);
    const onTime = matchesOf(world, world.events);
    expect(
      recover({ ruleSet: world.ruleSet, clusterId: 'test', onTime, late: [], watermarkMs: END, saidAtMs: 1 }),
    ).toEqual({ alerts: [], contradicted: [] });
  });
});
