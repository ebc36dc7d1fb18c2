import { type CorrelationAlert, END_OF_INPUT_WATERMARK_MS, type Match, NO_WATERMARK_MS } from '@tracehound/event-model';
import type { RuleSetCompiled } from '@tracehound/sigma';
import { revisionOf } from './alert-id.ts';
import { createPartitionEngine, type SourceRef } from './engine.ts';

/** A match and where its event lies. */
export type RecoveryMatch = { readonly source: SourceRef; readonly match: Match };

export type RecoveryInput = {
  readonly ruleSet: RuleSetCompiled;
  readonly clusterId: string;
  /** Of events that came in time, in any order; those of the affected windows are enough (`createAffected`). */
  readonly onTime: readonly RecoveryMatch[];
  /** Of events of which every copy was late. */
  readonly late: readonly RecoveryMatch[];
  /** Everything before it is decided; at or above every watermark an owner may have said something at. */
  readonly watermarkMs: number;
  /** Revisions of recovered records count from here: above whatever was said live. */
  readonly saidAtMs: number;
};

export type Recovery = {
  /** Final and end of each alert that is there, or other, because of late events; flagged `recovered`. */
  readonly alerts: readonly CorrelationAlert[];
  /** Finals that would not have been said, had the late events been known (an absence that was none). They stand: alerts are immutable. */
  readonly contradicted: readonly CorrelationAlert[];
};

/**
 * The recovery pass of X3, for a range of events: the same engine over all events and over those in time; what only the first run
 * says is said late. Alert ids are those the live run would have given; the live alerts an episode swallows are superseded.
 * Pure, and idempotent but for the revision. Memory grows with the matches given.
 */
export function recover(input: RecoveryInput): Recovery {
  if (input.late.length === 0) return { alerts: [], contradicted: [] };
  const before = finalsOfMatches(input, input.onTime);
  const after = finalsOfMatches(input, [...input.onTime, ...input.late]);
  const known = new Set(before.map(meaningOf));
  const said = new Set(after.map(meaningOf));
  const changed = after.filter((final) => !known.has(meaningOf(final)));
  const gone = before.filter((final) => !said.has(meaningOf(final)));
  const alerts = changed.flatMap((final) => {
    const supersedes = gone.filter((other) => other.alert_id !== final.alert_id && overlaps(final, other));
    return spoken(final, supersedes.map(({ alert_id }) => alert_id).sort(), input.saidAtMs);
  });
  const replaced = new Set(alerts.flatMap(({ alert_id, supersedes }) => [alert_id, ...supersedes]));
  return { alerts, contradicted: gone.filter(({ alert_id }) => !replaced.has(alert_id)) };
}

/** Which windows late matches belong to: only their events in time are needed. Chains need all windows of their rules. */
export function createAffected(ruleSet: RuleSetCompiled, late: readonly RecoveryMatch[]): (match: Match) => boolean {
  const isChained = ruleSet.correlations.map(
    ({ depth, feeds, definition }) => depth > 0 || feeds.length > 0 || definition.expect.length > 0,
  );
  const hasLate = late.length > 0;
  const windows = new Set(late.map(({ match }) => windowOf(match)));
  return (match) => (isChained[match.rule] === true ? hasLate : windows.has(windowOf(match)));
}

function windowOf({ rule, organization_id, group_key }: Match): string {
  return `${rule}|${organization_id}|${group_key}`;
}

/** Time of a source of its own, so that matches may be given in order of event time. */
const CLOCK: SourceRef = { topic: 'recovery', topic_id: 'recovery', partition: 0 };
const CHUNK = 5_000;

/** Finals that matches give by themselves, whatever their order: of the windows below the watermark. */
export function finalsOfMatches(
  input: Pick<RecoveryInput, 'ruleSet' | 'clusterId' | 'watermarkMs'>,
  given: readonly RecoveryMatch[],
): readonly CorrelationAlert[] {
  const { ruleSet, clusterId, watermarkMs } = input;
  const engine = createPartitionEngine({
    clusterId,
    partition: 0,
    ruleSet: () => ruleSet,
    sources: () => [CLOCK],
    speak: 'finals',
  });
  const finals: CorrelationAlert[] = [];
  let offset = 0;
  const apply = (source: SourceRef, matches: readonly Match[], claimMs: number): void => {
    const effects = engine.apply(
      {
        schema_rev: 1,
        cluster_id: clusterId,
        src_topic: source.topic,
        src_topic_id: source.topic_id,
        src_partition: source.partition,
        // Nothing is covered, so nothing lies below a mark: copies are known by their ids (X6).
        from: 0,
        to: 0,
        prev_to: 0,
        watermark: claimMs,
        sources_version: 1,
        activation_id: 'recovery',
        ruleset_id: ruleSet.rulesetId,
        depth: 0,
        end_of_input: claimMs >= END_OF_INPUT_WATERMARK_MS,
        matches: [...matches],
      },
      offset++,
    );
    for (const effect of effects) {
      if (effect.kind === 'alert' && effect.alert.kind === 'FINAL') finals.push(effect.alert);
    }
  };
  const sorted = given.toSorted((a, b) => a.match.event_time - b.match.event_time);
  for (let at = 0; at < sorted.length; at += CHUNK) {
    const chunk = sorted.slice(at, at + CHUNK);
    const firstMs = chunk[0]?.match.event_time ?? NO_WATERMARK_MS;
    apply(CLOCK, [], Math.min(firstMs, watermarkMs));
    const bySource = Map.groupBy(chunk, ({ source }) => `${source.topic_id}/${source.partition}`);
    for (const own of bySource.values()) {
      const source = own[0]?.source ?? CLOCK;
      apply(
        source,
        own.map(({ match }) => match),
        NO_WATERMARK_MS,
      );
    }
  }
  apply(CLOCK, [], watermarkMs);
  return finals;
}

/** What E2 compares. */
function meaningOf(alert: CorrelationAlert): string {
  const { organization_id, rule, group, first_at, last_at, event_ids } = alert;
  return JSON.stringify([organization_id, rule.rule_id, group, first_at, last_at, event_ids]);
}

/** One window, and times that touch: the live alert told of a part of this episode. */
function overlaps(final: CorrelationAlert, other: CorrelationAlert): boolean {
  const isSameWindow =
    final.organization_id === other.organization_id &&
    final.rule.rule_id === other.rule.rule_id &&
    JSON.stringify(final.group) === JSON.stringify(other.group);
  return isSameWindow && other.first_at <= final.last_at && other.last_at >= final.first_at;
}

function spoken(final: CorrelationAlert, supersedes: readonly string[], saidAtMs: number): readonly CorrelationAlert[] {
  // There is no record of security.matches behind it.
  const base = { ...final, recovered: true, matches_partition: 0, matches_offsets: [], watermark: saidAtMs };
  return [
    { ...base, supersedes: [...supersedes], revision: revisionOf('FINAL', saidAtMs) },
    { ...base, kind: 'END', sample_event_ids: [], supersedes: [...supersedes], revision: revisionOf('END', saidAtMs) },
    ...supersedes.map(
      (id): CorrelationAlert => ({
        ...base,
        alert_id: id,
        kind: 'END',
        sample_event_ids: [],
        supersedes: [],
        superseded_by: final.alert_id,
        revision: revisionOf('END', saidAtMs),
      }),
    ),
  ];
}
