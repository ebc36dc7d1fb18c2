import type { DetectionFinding, LateEvent, Match, RuleActivation } from '@tracehound/event-model';
import { deadLetter, drop, ok, redirect, type Verdict } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import type { CorrelationRule, MatchWatch, RuleMatch, RuleSetCompiled } from '@tracehound/sigma';
import { isWithheld, skippedDetections } from '../domain/breakers.ts';
import { type RoutedMatch, type SourceRef, safeOffset } from '../domain/covered-range.ts';
import { detectionId } from '../domain/detection-id.ts';
import type { FloodGuard } from '../domain/flood-guard.ts';
import { partitionOf } from '../domain/route.ts';
import type { DetectReason } from '../errors.ts';
import type { DecodedRecord } from './decode.ts';

/** What one event gave: single-event findings and the matches correlations are fed with. */
export type MatchedRecord = {
  readonly offset: bigint;
  readonly findings: readonly DetectionFinding[];
  readonly matches: readonly RoutedMatch[];
  /** Rules that threw on the event: without a match, while all others were asked. */
  readonly failedRules: readonly string[];
  readonly record: KafkaRecord;
};

/** The rules in force at an append time (X7). Both must be known before a batch is run. */
export type RulesInForce = { readonly activation: RuleActivation; readonly rules: RuleSetCompiled };

export type MatchStageDeps = {
  readonly source: SourceRef;
  readonly clusterId: string;
  /** The source mirrors a topic of another deployment; false by default. */
  readonly isMirrored?: boolean;
  /** Partitions of security.matches. */
  readonly targets: number;
  readonly rulesAt: (appendTimeMs: number) => RulesInForce;
  /** Asked before each event: how its rules are watched; ids of those that throw are added to `failures`. */
  readonly watch: (rules: RuleSetCompiled, failures: string[], organizationId: string) => MatchWatch;
  /** A match could not be grouped because a field was missing. */
  readonly onGroupMissing: (rules: RuleSetCompiled, correlation: number) => void;
  readonly onWithheld: (matches: number) => void;
  /** Detections were not asked about an event, since they are tripped in its organization. */
  readonly onSkipped: (detections: number) => void;
  /** What an event gave, matches that are withheld left out: for the guard against floods. */
  readonly guard: Pick<FloodGuard, 'saw'>;
};

/** Flag bit of a match whose event time is the received time: outside E2 (X2). */
const FLAG_ET_RECEIVED = 1;

/**
 * Ends what came home: an event of this cluster in another topic than its own has been to a deployment that mirrors ours, and its
 * first copy was here before it. Then judges lateness, a pure function of the record (X3), then runs the detections. What a late event might have
 * matched is left to the recovery pass.
 */
export function createMatchStage(deps: MatchStageDeps): (item: DecodedRecord) => Verdict<MatchedRecord, DetectReason> {
  return function match(item) {
    const { record, envelope } = item;
    if (deps.isMirrored && envelope.cluster_id === deps.clusterId) return drop('looped');
    const { activation, rules } = deps.rulesAt(record.appendTimeMs);
    const latenessMs = record.appendTimeMs - envelope.event_time;
    if (latenessMs > activation.lateness_ms) return redirect('late', 'late', lateEvent(deps, item, activation));
    try {
      return ok(runRules(deps, item, { activation, rules }));
    } catch {
      // What is left is a bug of ours beyond a single rule; the event waits in the dead letters instead of stopping all.
      return deadLetter('match_failed', `a rule of set ${rules.rulesetId} failed`);
    }
  };
}

function runRules(deps: MatchStageDeps, item: DecodedRecord, { activation, rules }: RulesInForce): MatchedRecord {
  const { record, envelope, view } = item;
  const failedRules: string[] = [];
  const organizationId = envelope.intake_org;
  const watch = deps.watch(rules, failedRules, organizationId);
  const skipped = skippedDetections({ activation, rules }, { organizationId, appendTimeMs: record.appendTimeMs });
  if (skipped) deps.onSkipped(skipped.size);
  const detections = rules.matchEvent(view, view.logSource, skipped ? { ...watch, skipped } : watch);
  if (detections.length === 0) {
    deps.guard.saw({ organizationId, appendTimeMs: record.appendTimeMs, matches: NO_MATCHES, rules });
    return { offset: record.offset, findings: NO_FINDINGS, matches: NO_ROUTED, failedRules, record };
  }
  return foundIn(deps, item, { activation, rules, organizationId, detections, failedRules });
}

/** Apart from `runRules`, which most events leave sooner: what closures hold on to is allocated where a function begins. */
function foundIn(
  deps: MatchStageDeps,
  { record, envelope, view }: DecodedRecord,
  of: RulesInForce & {
    readonly organizationId: string;
    readonly detections: readonly number[];
    readonly failedRules: readonly string[];
  },
): MatchedRecord {
  const { activation, rules, organizationId, detections, failedRules } = of;
  const sourceOffset = safeOffset(record.offset);
  // Once per event: the envelope reads a field anew at each look.
  const { event_id: eventId, event_time: eventTime, source } = envelope;

  const findings: DetectionFinding[] = [];
  for (const index of detections) {
    const detection = rules.detections[index];
    if (detection === undefined || !detection.emitsFinding) continue;
    const rule = detection.description;
    findings.push({
      schema_rev: 1,
      detection_id: detectionId({
        organizationId,
        ruleId: rule.rule_id,
        semanticHash: rule.semantic_hash,
        eventId,
      }),
      organization_id: organizationId,
      cluster_id: deps.clusterId,
      rule,
      event_id: eventId,
      event_time: eventTime,
      src_topic: deps.source.topic,
      src_topic_id: deps.source.topicId,
      src_partition: deps.source.partition,
      src_offset: sourceOffset,
    });
  }

  const found = rules.matchesOf(view, detections);
  for (const correlation of found.groupMissing) deps.onGroupMissing(rules, correlation);
  const taken = takenMatches(deps, found.matches, { activation, rules, organizationId, record });
  deps.guard.saw({ organizationId, appendTimeMs: record.appendTimeMs, matches: taken, rules });
  const flags = envelope.event_time_source === 'RECEIVED' ? FLAG_ET_RECEIVED : 0;
  const matches = taken.map((one): RoutedMatch => {
    const index = rules.inOrganization(one.rule, organizationId);
    const rule = rules.correlations[index] as CorrelationRule; // The set numbers its own rules.
    const match: Match = {
      rule: index,
      organization_id: organizationId,
      group_key: one.group_key,
      event_id: eventId,
      event_time: eventTime,
      step: one.step,
      value: one.value,
      number: one.number,
      source_offset: sourceOffset,
      source_instance: source.instance,
      source_seq: source.seq,
      flags,
    };
    const window = { rule, organization: organizationId, groupKey: one.group_key };
    return { target: partitionOf(window, deps.targets), match };
  });
  return { offset: record.offset, findings, matches, failedRules, record };
}

const NO_MATCHES: readonly RuleMatch[] = [];
const NO_FINDINGS: readonly DetectionFinding[] = [];
const NO_ROUTED: readonly RoutedMatch[] = [];

/** Without those of rules that are tripped in the organization. */
function takenMatches(
  deps: MatchStageDeps,
  found: readonly RuleMatch[],
  at: RulesInForce & { readonly organizationId: string; readonly record: KafkaRecord },
): readonly RuleMatch[] {
  const { activation, rules, organizationId } = at;
  if (activation.breakers.length === 0) return found;
  const { appendTimeMs } = at.record;
  const taken = found.filter(({ rule }) => {
    const ruleId = rules.correlations[rule]?.uid ?? '';
    return !isWithheld(activation, { organizationId, ruleId, appendTimeMs });
  });
  if (taken.length < found.length) deps.onWithheld(found.length - taken.length);
  return taken;
}

function lateEvent(deps: MatchStageDeps, item: DecodedRecord, activation: RuleActivation): LateEvent {
  const { record, envelope } = item;
  return {
    schema_rev: 1,
    organization_id: envelope.intake_org,
    event_id: envelope.event_id,
    event_time: envelope.event_time,
    append_time: record.appendTimeMs,
    lateness_ms: record.appendTimeMs - envelope.event_time,
    allowed_ms: activation.lateness_ms,
    stage: 'A',
    src_topic: deps.source.topic,
    src_topic_id: deps.source.topicId,
    src_partition: deps.source.partition,
    src_offset: safeOffset(record.offset),
    payload: record.value,
  };
}
