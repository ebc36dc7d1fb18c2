import { createPartitionEngine, type Effect, type PartitionEngine } from '@tracehound/correlation';
import { END_OF_INPUT_WATERMARK_MS, type Match, type MatchBatch } from '@tracehound/event-model';
import type { CorrelationRule, RuleMatch, RuleSetCompiled } from '@tracehound/sigma';

/** A decided correlation (semantics section 9). Times in ms. */
export type Final = {
  readonly rule: CorrelationRule;
  readonly organization: string;
  readonly groupKey: string;
  readonly atMs: number;
  /** The time of which it was decided: results come in the order of (this, rule, organization, group). */
  readonly dueMs: number;
  readonly count: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  /** Evidence, sorted. */
  readonly eventIds: readonly string[];
};

/** What a window keeps of an event. */
export type FedEvent = {
  readonly id: string;
  readonly timeMs: number;
  readonly organization: string;
  readonly instance?: string | null;
  readonly sequence?: number | null;
};

/** The correlation engine over one source that is read to its end. */
export type CorrelationFeed = {
  /** The caller has seen to it that the event is not late. */
  add(match: RuleMatch, event: FedEvent): void;
  /** Everything that is firm at the watermark. */
  advance(watermarkMs: number): readonly Final[];
  end(): readonly Final[];
};

const SOURCE = { topic: 'events', topic_id: 'events', partition: 0 };
/** Matches gathered before the engine sees them; finals do not depend on it. */
const BATCH_MAX = 512;
/** The watermark moves by whole seconds; what is final does not depend on it. */
const STEP_MS = 1_000;
const NOTHING: readonly Final[] = [];

/** @see CorrelationFeed */
export function createCorrelationFeed(ruleSet: RuleSetCompiled): CorrelationFeed {
  return new BatchFeed(ruleSet);
}

class BatchFeed implements CorrelationFeed {
  private readonly engine: PartitionEngine;
  private readonly ruleSet: RuleSetCompiled;
  private readonly rules: ReadonlyMap<string, CorrelationRule>;
  private pending: Match[] = [];
  private waiting: Final[] = [];
  /** Times of the events that may be evidence. */
  private readonly timesMs = new Map<string, number>();
  private offset = 0;
  private step = Number.NEGATIVE_INFINITY;
  private watermarkMs = Number.NEGATIVE_INFINITY;
  private batches = 0;

  constructor(ruleSet: RuleSetCompiled) {
    this.ruleSet = ruleSet;
    this.rules = new Map(ruleSet.correlations.map((rule) => [rule.description.rule_id, rule]));
    this.engine = createPartitionEngine({
      clusterId: 'offline',
      partition: 0,
      ruleSet: () => ruleSet,
      sources: () => [SOURCE],
    });
  }

  add(match: RuleMatch, event: FedEvent): void {
    this.timesMs.set(event.id, event.timeMs);
    this.pending.push({
      ...match,
      organization_id: event.organization,
      event_id: event.id,
      event_time: event.timeMs,
      source_offset: this.offset++,
      source_instance: event.instance ?? null,
      source_seq: event.sequence ?? null,
      flags: 0,
    });
    if (this.pending.length === BATCH_MAX) this.flush(false);
  }

  advance(watermarkMs: number): readonly Final[] {
    const step = Math.floor(watermarkMs / STEP_MS);
    if (step > this.step) {
      this.flush(false);
      this.step = step;
      this.watermarkMs = step * STEP_MS;
      this.flush(false);
    }
    return this.take();
  }

  end(): readonly Final[] {
    this.flush(false);
    this.flush(true);
    return this.take();
  }

  private take(): readonly Final[] {
    if (this.waiting.length === 0) return NOTHING;
    const finals = this.waiting.sort(compareFinals);
    this.waiting = [];
    return finals;
  }

  private flush(end: boolean): void {
    const from = this.offset - this.pending.length;
    const batch: MatchBatch = {
      schema_rev: 1,
      cluster_id: 'offline',
      src_topic: SOURCE.topic,
      src_topic_id: SOURCE.topic_id,
      src_partition: SOURCE.partition,
      sources_version: 1,
      activation_id: 'offline',
      ruleset_id: this.ruleSet.rulesetId,
      depth: 0,
      from,
      to: this.offset,
      prev_to: from,
      watermark: end ? END_OF_INPUT_WATERMARK_MS : Math.max(this.watermarkMs, -END_OF_INPUT_WATERMARK_MS),
      end_of_input: end,
      matches: this.pending,
    };
    this.pending = [];
    for (const effect of this.engine.apply(batch, this.batches++)) this.keep(effect);
  }

  private keep(effect: Effect): void {
    if (effect.kind !== 'alert' || effect.alert.kind !== 'FINAL') return;
    const { alert } = effect;
    const rule = this.rules.get(alert.rule.rule_id);
    // A step of another correlation speaks through that one.
    if (!rule?.emitsAlert) return;
    const times = alert.event_ids.map((id) => this.timesMs.get(id) ?? alert.first_at);
    this.waiting.push({
      rule,
      organization: alert.organization_id,
      groupKey: JSON.stringify(alert.group.map(({ value }) => `s:${value}`)),
      atMs: Math.max(...times),
      dueMs: alert.last_at + rule.timespanMs,
      count: rule.type === 'value_count' ? alert.event_ids.length : alert.count,
      firstAtMs: alert.first_at,
      lastAtMs: alert.last_at,
      eventIds: alert.event_ids,
    });
  }
}

function compareFinals(a: Final, b: Final): number {
  return (
    a.dueMs - b.dueMs ||
    a.rule.index - b.rule.index ||
    compareText(a.organization, b.organization) ||
    compareText(a.groupKey, b.groupKey)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
