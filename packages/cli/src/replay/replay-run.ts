import type { AvroCodec } from '@tracehound/avro';
import type { OfflineFinal } from '@tracehound/correlation';
import { createDecider, createMatchStage, type DetectEvent, type DetectResult } from '@tracehound/detect';
import { type EventEnvelope, type EventFieldView, markerKindOf } from '@tracehound/event-model';
import { groupOf, type RuleSetCompiled } from '@tracehound/sigma';
import type { ReplayedFinal } from './diff-live.ts';
import type { IntakeRecord } from './intake-log.ts';
import { eventOf } from './late-events.ts';
import type { RulesLog } from './rules-log.ts';

export type ReplayCounters = {
  /** Records read, markers included. */
  records: number;
  events: number;
  /** Later than the lateness allowed when they came (X3): the services sent them to `security.late`. */
  late: number;
  /** No event: undecodable, or a record of another kind. */
  undecodable: number;
  /** Ranges in which state was dropped for want of room (X14): there results may not be exact. */
  gaps: number;
};

/** An event of a wanted trace, with the detections it met. */
export type TraceEvent = { readonly envelope: EventEnvelope; readonly detections: readonly string[] };

/** A window that is still open, as it would be told if nothing more came. */
export type OpenResult = { readonly result: DetectResult; readonly final: ReplayedFinal };

export type ReplayRun = {
  /** In the order of `readIntake`. A registry that is away rejects. */
  take(record: IntakeRecord): Promise<void>;
  /** What would be decided if nothing more came, with the finals it would be; ends the run. */
  open(): readonly OpenResult[];
  readonly counters: Readonly<ReplayCounters>;
  /** Everything before it is decided; Infinity once all partitions were closed by `end_of_input`. */
  readonly watermarkMs: number;
};

export type ReplayRunOptions = {
  readonly ruleSet: RuleSetCompiled;
  readonly rulesLog: RulesLog;
  readonly codec: Pick<AvroCodec, 'decode'>;
  /** Partitions of the intake: when all of them are closed, every window is decided. */
  readonly sources: number;
  /** Only events of that organization; windows never cross organizations (X13). */
  readonly organization?: string;
  readonly traceId?: string;
  /** `final`: of a correlation, as E2 compares it; else null. */
  readonly onResult: (result: DetectResult, appendTimeMs: number, final: ReplayedFinal | null) => void;
  readonly onFinal: (final: ReplayedFinal) => void;
  readonly onTraceEvent?: (event: TraceEvent) => void;
};

/** The whole way of an event through both stages, without a service, a store or a notice: the engine of `detect`. */
export function createReplayRun(options: ReplayRunOptions): ReplayRun {
  const { ruleSet, rulesLog, codec, organization, traceId } = options;
  const counters: ReplayCounters = { records: 0, events: 0, late: 0, undecodable: 0, gaps: 0 };
  const match = createMatchStage(ruleSet);
  const decider = createDecider(ruleSet, {
    latenessMs: Number.POSITIVE_INFINITY,
    onFinal: (final) => {
      const told = { projection: projectionOf(final), dueMs: final.dueMs };
      finals.push(told);
      if (!isOver) options.onFinal(told);
    },
  });
  let watermarkMs = Number.NEGATIVE_INFINITY;
  let closed = 0;
  let isOver = false;
  /** Of the results to be told next, in their order. */
  const finals: ReplayedFinal[] = [];

  function tell(results: readonly DetectResult[], appendTimeMs: number): void {
    for (const result of results)
      options.onResult(result, appendTimeMs, result.kind === 'correlation' ? (finals.shift() ?? null) : null);
  }

  async function takeEvent({ record }: IntakeRecord): Promise<void> {
    if (record.value === null) return;
    const found = await eventOf(codec, record);
    if (found === null) {
      counters.undecodable++;
      return;
    }
    const { envelope } = found;
    const event = detectEventOf(found);
    counters.events++;
    if (organization !== undefined && event.organization !== organization) return;
    if (traceId !== undefined && envelope.trace?.trace_id === traceId) {
      const detections = ruleSet.matchEvent(event.view, event.logSource);
      options.onTraceEvent?.({
        envelope,
        detections: detections.map((index) => ruleSet.detections[index]?.description.title ?? ''),
      });
    }
    if (record.appendTimeMs - event.timeMs > rulesLog.at(record.appendTimeMs).lateness_ms) counters.late++;
    else tell(decider.push(event, match(event)), record.appendTimeMs);
  }

  return {
    counters,
    get watermarkMs() {
      return watermarkMs;
    },
    open() {
      isOver = true;
      // Every correlation has told its final before its result.
      return decider.end().map((result) => ({ result, final: finals.shift() as ReplayedFinal }));
    },
    async take(intake) {
      const { record, coveredMs } = intake;
      await takeEvent(intake);
      counters.records++;
      if (markerKindOf(record) === 'end_of_input' && ++closed === options.sources) {
        watermarkMs = Number.POSITIVE_INFINITY;
        tell(decider.end(), record.appendTimeMs);
      }
      const { lateness_ms, clock_allowance_ms } = rulesLog.at(record.appendTimeMs);
      const claimMs = coveredMs - lateness_ms - clock_allowance_ms;
      if (claimMs <= watermarkMs) return;
      watermarkMs = claimMs;
      tell(decider.advance(claimMs), record.appendTimeMs);
      counters.gaps += decider.takeGaps().length;
    },
  };
}

function detectEventOf({
  envelope,
  view,
}: {
  readonly envelope: EventEnvelope;
  readonly view: EventFieldView;
}): DetectEvent {
  return {
    id: envelope.event_id,
    timeMs: envelope.event_time,
    organization: envelope.intake_org,
    view,
    logSource: view.logSource,
    instance: envelope.source.instance,
    sequence: envelope.source.seq,
  };
}

function projectionOf(final: OfflineFinal): ReplayedFinal['projection'] {
  const { rule, organization, groupKey, firstAtMs, lastAtMs, eventIds } = final;
  return {
    organization,
    rule: rule.description.rule_id,
    group: groupOf(rule, groupKey)
      .map(({ value }) => value ?? '')
      .join('|'),
    first_at: firstAtMs,
    last_at: lastAtMs,
    event_ids: [...eventIds].sort(),
  };
}
