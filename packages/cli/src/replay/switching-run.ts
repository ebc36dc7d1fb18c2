import type { AvroCodec } from '@tracehound/avro';
import { createPartitionEngine, type SourceRef } from '@tracehound/correlation';
import { END_OF_INPUT_WATERMARK_MS, type Match, markerKindOf, NO_WATERMARK_MS } from '@tracehound/event-model';
import type { RuleSetCompiled } from '@tracehound/sigma';
import { project } from '../scenario/alert-log.ts';
import type { ReplayedFinal } from './diff-live.ts';
import type { IntakeRecord } from './intake-log.ts';
import { eventOf, recoveryMatches } from './late-events.ts';
import type { ReplayCounters, ReplayRun } from './replay-run.ts';
import type { RulesLog } from './rules-log.ts';

export type SwitchingRunOptions = {
  /** Every set that was in force in the range, by id. */
  readonly ruleSets: ReadonlyMap<string, RuleSetCompiled>;
  readonly rulesLog: RulesLog;
  readonly codec: Pick<AvroCodec, 'decode'>;
  /** Partitions of the intake. */
  readonly sources: number;
  readonly organization?: string;
  readonly onFinal: (final: ReplayedFinal) => void;
};

/** Time of a source of its own: the merged log has one watermark. */
const CLOCK: SourceRef = { topic: 'replay', topic_id: 'replay', partition: 0 };

/**
 * A replay over a range in which the rules changed: the engine of the services with the set in force at each record (X7), all windows
 * in one place. What did not change keeps its windows over a switch, what did begins empty and the old one drains, as it does live.
 */
export function createSwitchingRun(options: SwitchingRunOptions): ReplayRun {
  const { ruleSets, rulesLog, codec, organization } = options;
  const counters: ReplayCounters = { records: 0, events: 0, late: 0, undecodable: 0, gaps: 0 };
  const engine = createPartitionEngine({
    clusterId: 'replay',
    partition: 0,
    ruleSet: (id) => ruleSets.get(id),
    sources: () => [CLOCK],
    speak: 'finals',
  });
  let watermarkMs = Number.NEGATIVE_INFINITY;
  let offset = 0;
  let closed = 0;

  function apply(source: SourceRef, rulesetId: string, matches: readonly Match[], claimMs: number): void {
    const effects = engine.apply(
      {
        schema_rev: 1,
        cluster_id: 'replay',
        src_topic: source.topic,
        src_topic_id: source.topic_id,
        src_partition: source.partition,
        from: 0,
        to: 0,
        prev_to: 0,
        watermark: claimMs,
        sources_version: 1,
        activation_id: 'replay',
        ruleset_id: rulesetId,
        depth: 0,
        end_of_input: claimMs === END_OF_INPUT_WATERMARK_MS,
        matches: [...matches],
      },
      offset++,
    );
    for (const effect of effects) {
      if (effect.kind !== 'alert' || effect.alert.kind !== 'FINAL') continue;
      const { timer_due, last_at, rule } = effect.alert;
      options.onFinal({ projection: project(effect.alert), dueMs: timer_due ?? last_at + rule.timespan_ms });
    }
  }

  async function takeEvent({ record }: IntakeRecord): Promise<void> {
    if (record.value === null) return;
    const event = await eventOf(codec, record);
    if (event === null) {
      counters.undecodable++;
      return;
    }
    counters.events++;
    if (organization !== undefined && event.envelope.intake_org !== organization) return;
    const { ruleset_id: rulesetId, lateness_ms } = rulesLog.at(record.appendTimeMs);
    if (record.appendTimeMs - event.envelope.event_time > lateness_ms) {
      counters.late++;
      return;
    }
    const ruleSet = ruleSets.get(rulesetId);
    if (ruleSet === undefined) return;
    const place = {
      topic: record.topic,
      topicId: record.topic,
      partition: record.partition,
      offset: Number(record.offset),
    };
    const matches = recoveryMatches(ruleSet, event, place);
    const source = { topic: place.topic, topic_id: place.topicId, partition: place.partition };
    if (matches.length > 0)
      apply(
        source,
        rulesetId,
        matches.map(({ match }) => match),
        NO_WATERMARK_MS,
      );
  }

  return {
    counters,
    get watermarkMs() {
      return watermarkMs;
    },
    // Windows that are still open are not told over a switch.
    open: () => [],
    async take(intake) {
      const { record, coveredMs } = intake;
      await takeEvent(intake);
      counters.records++;
      const { ruleset_id, lateness_ms, clock_allowance_ms } = rulesLog.at(record.appendTimeMs);
      if (markerKindOf(record) === 'end_of_input' && ++closed === options.sources) {
        watermarkMs = Number.POSITIVE_INFINITY;
        apply(CLOCK, ruleset_id, [], END_OF_INPUT_WATERMARK_MS);
      }
      const claimMs = coveredMs - lateness_ms - clock_allowance_ms;
      if (claimMs <= watermarkMs) return;
      watermarkMs = claimMs;
      if (Number.isFinite(claimMs)) apply(CLOCK, ruleset_id, [], claimMs);
    },
  };
}
