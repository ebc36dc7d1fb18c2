import {
  type CorrelationAlert,
  END_OF_INPUT_WATERMARK_MS,
  type LateEvent,
  type Match,
  type MatchBatch,
  NO_WATERMARK_MS,
} from '@tracehound/event-model';
import type { CorrelationRule, RuleSetCompiled } from '@tracehound/sigma';
import { type AlertContext, alertRecord, degradedRecord, type Source } from './alert.ts';
import { alertIdOf, hashOf } from './alert-id.ts';
import { COUNTER_NAMES, type CounterName } from './counters.ts';
import { DueHeap } from './due-heap.ts';
import {
  countOfRange,
  type Episode,
  type EpisodeRange,
  episodeRanges,
  evidenceOfRange,
  opensInside,
  settleGroup,
} from './episodes.ts';
import { CorrelationError } from './errors.ts';
import { createGroup, type Group, insertHit, isEmptyGroup, type OpenAlert } from './group.ts';
import { compareHits, compareText, type Hit } from './hit.ts';
import { decodeGroup, decodeMeta, encodeGroup, encodeMeta, type InstanceRef } from './state-codec.ts';
import { type EngineSwitches, EXACT } from './switches.ts';
import { UPDATE_MS, type WindowRule, windowRuleOf } from './window-rule.ts';

/** One partition of the source topics, as an activation lists it. */
export type SourceRef = { readonly topic: string; readonly topic_id: string; readonly partition: number };

export type PartitionEngineConfig = {
  readonly clusterId: string;
  /** Partition of `security.matches` that this engine is the state of. */
  readonly partition: number;
  /** A rule set by its content hash; undefined when it has not been read yet (the batch is then refused, retriable). */
  readonly ruleSet: (rulesetId: string) => RuleSetCompiled | undefined;
  /** The source list of an activation by its version: the watermark is the minimum over exactly these (X4). */
  readonly sources: (sourcesVersion: number) => readonly SourceRef[] | undefined;
};

/** What the shell must make durable, in this order. */
export type Effect =
  | { readonly kind: 'alert'; readonly alert: CorrelationAlert }
  | { readonly kind: 'late'; readonly late: LateEvent };

export type ApplyOptions = {
  /**
   * While rebuilding from the middle of the log (X12): stale copies may make gaps that are none. The caller mutes
   * effects of offsets below the base and turns this off from the base on.
   */
  readonly rebuilding?: boolean;
};

/** Group state to be written; `null` deletes it. */
export type DirtyGroup = { readonly groupId: string; readonly blob: Uint8Array | null };

/**
 * The state of one matches partition. Pure: a function of the batches applied, in the order of their offsets.
 * Memory is bounded by the rules: per live group a few times the threshold (X10.15).
 */
export type PartitionEngine = {
  /**
   * Applies one record of the matches log: its matches first, then its watermark (X4).
   * Not idempotent: each offset once, in order; copies of a batch at another offset are recognised (X5).
   * @throws CorrelationError before any change, when a batch is missing or a rule set or source list is unknown.
   */
  apply(batch: MatchBatch, matchesOffset: number, options?: ApplyOptions): readonly Effect[];
  readonly watermarkMs: number;
  /** Offset of the next record to apply; -1 before the first. */
  readonly nextOffset: number;
  readonly liveGroups: number;
  /** Sources of the list in force that have not spoken yet, or hold the watermark back: for readiness and alarms. */
  sourceClaims(): readonly (SourceRef & { readonly watermarkMs: number })[];
  /** Part of the state: seen = applied + duplicate_id + duplicate_mark + late (E3). */
  counters(): Readonly<Record<CounterName, number>>;
  readonly dirtyCount: number;
  /** Groups changed since the last call, sorted by id. The shell writes them together with `metaBlob()`, or reloads. */
  takeDirty(): readonly DirtyGroup[];
  metaBlob(): Uint8Array;
  /** Replaces the whole state with what was written. The order of the groups does not matter. */
  load(meta: Uint8Array, groups: Iterable<readonly [groupId: string, blob: Uint8Array]>): void;
};

/** @see PartitionEngine */
export function createPartitionEngine(config: PartitionEngineConfig): PartitionEngine {
  return new Engine(config, EXACT);
}

/** For tests only: an engine with a piece of the fine print turned off. Not exported by the package. */
export function createEngineWith(config: PartitionEngineConfig, switches: Partial<EngineSwitches>): PartitionEngine {
  return new Engine(config, { ...EXACT, ...switches });
}

/**
 * One meaning of one correlation: state is kept by (uid, semantic hash), so a rule that only changed its title goes
 * on, and one that changed its threshold begins anew while the old instance drains.
 */
type Instance = {
  readonly key: string;
  readonly window: WindowRule;
  /** The rule as the latest match for it saw it: title, tags, rule set id of the alerts. */
  rule: CorrelationRule;
  groups: number;
};

type LiveGroup = Group & { readonly id: string; readonly instance: Instance; dueMs: number; heapIndex: number };

class Engine implements PartitionEngine {
  private readonly config: PartitionEngineConfig;
  private readonly switches: EngineSwitches;
  private groups = new Map<string, LiveGroup>();
  private instances = new Map<string, Instance>();
  private due = new DueHeap<LiveGroup>();
  private sources: Source[] = [];
  private slots = new Map<string, number>();
  private sourcesVersion = -1;
  private dirty = new Set<string>();
  private tally = emptyCounters();
  private effects: Effect[] = [];
  /** Plans of recently used rule sets: instance per rule index. */
  private plans = new Map<string, { readonly rule: CorrelationRule; readonly key: string }[]>();
  watermarkMs: number = NO_WATERMARK_MS;
  nextOffset = -1;

  constructor(config: PartitionEngineConfig, switches: EngineSwitches) {
    this.config = config;
    this.switches = switches;
  }

  get liveGroups(): number {
    return this.groups.size;
  }

  get dirtyCount(): number {
    return this.dirty.size;
  }

  counters(): Readonly<Record<CounterName, number>> {
    return { ...this.tally };
  }

  apply(batch: MatchBatch, matchesOffset: number, options: ApplyOptions = {}): readonly Effect[] {
    this.checkBatch(batch, options);
    const slot = this.slotOf(batch);
    const source = this.sources[slot] as Source;
    this.sourcesVersion = Math.max(this.sourcesVersion, batch.sources_version);
    this.effects = [];
    if (!this.switches.matchesBeforeWatermark) this.advance(source, batch);
    const plan = batch.matches.length > 0 ? this.planOf(batch.ruleset_id) : [];
    const mark = source.markOffset;
    for (const match of batch.matches) {
      this.tally.seen++;
      if (match.source_offset < mark && this.switches.dropBelowMark) this.tally.duplicate_mark++;
      else if (match.event_time < this.watermarkMs) this.late(match, batch);
      else this.applyMatch(match, { plan, slot, matchesOffset });
    }
    source.markOffset = Math.max(mark, batch.to);
    if (this.switches.matchesBeforeWatermark) this.advance(source, batch);
    this.nextOffset = matchesOffset + 1;
    const effects = this.effects;
    this.effects = [];
    return effects;
  }

  /** Everything that can refuse a batch, before anything changes. */
  private checkBatch(batch: MatchBatch, options: ApplyOptions): void {
    const fields = { topicId: batch.src_topic_id, partition: batch.src_partition, prevTo: batch.prev_to };
    const slot = this.slots.get(sourceKey(batch.src_topic_id, batch.src_partition));
    const mark = slot === undefined ? undefined : (this.sources[slot] as Source).markOffset;
    if (mark !== undefined && batch.prev_to > mark && this.switches.gapCheck && !options.rebuilding) {
      throw new CorrelationError('a batch of matches is missing', 'SEC_CORR_GAP', { ...fields, mark });
    }
    if (batch.sources_version > this.sourcesVersion && !this.config.sources(batch.sources_version)) {
      const version = { sourcesVersion: batch.sources_version };
      throw new CorrelationError('the source list is not known yet', 'SEC_CORR_SOURCES_UNKNOWN', version, 'dependency');
    }
    if (batch.matches.length === 0) return;
    const plan = this.planOf(batch.ruleset_id);
    for (const match of batch.matches) {
      if (plan[match.rule]) continue;
      throw new CorrelationError('a match names no rule of its set', 'SEC_CORR_RULE_UNKNOWN', { rule: match.rule });
    }
  }

  /** The first record of a source sets its mark: whatever came before it was acknowledged to another state. */
  private slotOf(batch: MatchBatch): number {
    const key = sourceKey(batch.src_topic_id, batch.src_partition);
    const known = this.slots.get(key);
    if (known !== undefined) return known;
    const slot = this.sources.length;
    this.sources.push({
      topic: batch.src_topic,
      topicId: batch.src_topic_id,
      partition: batch.src_partition,
      markOffset: batch.prev_to,
      watermarkMs: NO_WATERMARK_MS,
    });
    this.slots.set(key, slot);
    return slot;
  }

  private planOf(rulesetId: string): { readonly rule: CorrelationRule; readonly key: string }[] {
    const known = this.plans.get(rulesetId);
    if (known) return known;
    const set = this.config.ruleSet(rulesetId);
    if (!set) {
      throw new CorrelationError(
        'the rule set is not known yet',
        'SEC_CORR_RULESET_UNKNOWN',
        { rulesetId },
        'dependency',
      );
    }
    const plan = set.correlations.map((rule) => ({ rule, key: instanceKey(rule) }));
    this.plans.set(rulesetId, plan);
    return plan;
  }

  private late(match: Match, batch: MatchBatch): void {
    this.tally.late++;
    this.effects.push({ kind: 'late', late: lateEvent(match, batch, this.watermarkMs) });
  }

  private applyMatch(
    match: Match,
    at: {
      readonly plan: readonly { readonly rule: CorrelationRule; readonly key: string }[];
      readonly slot: number;
      readonly matchesOffset: number;
    },
  ): void {
    const { rule, key } = at.plan[match.rule] as { rule: CorrelationRule; key: string };
    const group = this.groupOf(rule, key, match);
    const { instance } = group;
    instance.rule = rule;
    this.dirty.add(group.id);
    this.settle(group);
    const hit = hitOf(match, at.slot, at.matchesOffset);
    const insertion = insertHit(group, hit, instance.window, this.switches);
    if (insertion.kind === 'duplicate') {
      this.tally.duplicate_id++;
      this.reschedule(group);
      return;
    }
    this.tally.applied++;
    if (insertion.degraded) {
      this.tally.degraded++;
      const { fromMs, toMs, reason } = insertion.degraded;
      const id = this.alertId(group, fromMs, `degraded:${reason}:${fromMs}:${toMs}`);
      this.effects.push({ kind: 'alert', alert: degradedRecord(this.contextOf(group), id, insertion.degraded) });
    }
    const ranges = this.rangesOf(group);
    this.openEpisodes(group, ranges, match.event_id);
    this.reschedule(group, ranges);
  }

  private groupOf(rule: CorrelationRule, key: string, match: Match): LiveGroup {
    const id = `${key}|${match.organization_id}|${match.group_key}`;
    const known = this.groups.get(id);
    if (known) return known;
    let instance = this.instances.get(key);
    if (!instance) {
      instance = { key, window: windowRuleOf(rule), rule, groups: 0 };
      this.instances.set(key, instance);
    }
    return this.addGroup(id, instance, createGroup(match.organization_id, match.group_key, this.watermarkMs));
  }

  private addGroup(id: string, instance: Instance, group: Group): LiveGroup {
    const live: LiveGroup = { ...group, id, instance, dueMs: 0, heapIndex: -1 };
    this.groups.set(id, live);
    instance.groups++;
    return live;
  }

  /** X10.8: an episode without an open alert inside it gets one, with the trigger as known now. */
  private openEpisodes(group: LiveGroup, ranges: readonly EpisodeRange[], arrivedId: string): void {
    for (const [index, range] of ranges.entries()) {
      if (opensInside(group, range).length > 0) continue;
      const episode = this.episodeOf(group, range, ranges[index + 1]);
      const trigger = this.switches.canonicalTrigger ? triggerOf(episode) : arrivedId;
      const id = this.alertId(group, episode.fromMs, trigger);
      group.opens.push({
        id,
        atMs: episode.fromMs,
        minute: Math.floor(this.watermarkMs / UPDATE_MS),
        lastAtMs: episode.lastAtMs,
        count: episode.count,
      });
      this.tally.opens++;
      this.emit(group, { kind: 'OPEN', id, episode, trigger, supersedes: [], supersededBy: null });
    }
  }

  private rangesOf(group: LiveGroup): readonly EpisodeRange[] {
    const limitMs = Number.POSITIVE_INFINITY;
    return episodeRanges(group, group.instance.window, { limitMs, switches: this.switches });
  }

  private episodeOf(group: LiveGroup, range: EpisodeRange, next: EpisodeRange | undefined): Episode {
    const rule = group.instance.window;
    const evidence = evidenceOfRange(group, range, { rule, switches: this.switches });
    const { count, exact } = countOfRange(group, range, { rule, nextFromMs: next?.fromMs });
    return { fromMs: range.fromMs, lastAtMs: range.lastAtMs, evidence, count, countExact: exact };
  }

  /** X4: the maximum per source, the minimum over the sources of the activation; nothing until all have spoken. */
  private advance(source: Source, batch: MatchBatch): void {
    const claim = batch.end_of_input ? END_OF_INPUT_WATERMARK_MS : batch.watermark;
    if (claim > source.watermarkMs) source.watermarkMs = claim;
    let watermarkMs = END_OF_INPUT_WATERMARK_MS;
    for (const ref of this.config.sources(this.sourcesVersion) ?? []) {
      const slot = this.slots.get(sourceKey(ref.topic_id, ref.partition));
      if (slot === undefined && !this.switches.waitForAllSources) continue;
      watermarkMs = Math.min(
        watermarkMs,
        slot === undefined ? NO_WATERMARK_MS : (this.sources[slot] as Source).watermarkMs,
      );
    }
    if (watermarkMs <= this.watermarkMs) return;
    this.watermarkMs = watermarkMs;
    if (this.due.nextMs > watermarkMs) return;
    const visits = this.due.popThrough(watermarkMs);
    if (this.switches.sortedEmission) visits.sort(compareGroups);
    for (const group of visits) {
      this.dirty.add(group.id);
      this.settle(group);
      this.update(group);
      this.reschedule(group);
    }
  }

  /** Brings a group up to the watermark and speaks the episodes that became final. */
  private settle(group: LiveGroup): void {
    const rule = group.instance.window;
    for (const episode of settleGroup(group, this.watermarkMs, { rule, switches: this.switches })) {
      this.final(group, episode);
    }
  }

  /** X10.10-12: the canonical final, then the end of every alert the episode owns. */
  private final(group: LiveGroup, episode: Episode): void {
    const owned = opensInside(group, episode);
    group.opens = group.opens.filter((open) => !owned.includes(open));
    const trigger = triggerOf(episode);
    const first = owned[0];
    const id = this.switches.canonicalFinal || !first ? this.alertId(group, episode.fromMs, trigger) : first.id;
    const superseded = owned.filter((open) => open.id !== id).map((open) => open.id);
    const supersedes = superseded.toSorted();
    this.tally.finals++;
    this.tally.superseded += superseded.length;
    this.emit(group, { kind: 'FINAL', id, episode, trigger, supersedes, supersededBy: null });
    this.emit(group, { kind: 'END', id, episode, trigger, supersedes, supersededBy: null });
    if (!this.switches.endSuperseded) return;
    for (const other of superseded) {
      this.emit(group, { kind: 'END', id: other, episode, trigger, supersedes: [], supersededBy: id });
    }
  }

  /** X10.9: what is open and has changed speaks once per minute of watermark. */
  private update(group: LiveGroup): void {
    const minute = Math.floor(this.watermarkMs / UPDATE_MS);
    const ranges = group.opens.length > 0 ? this.rangesOf(group) : [];
    for (const [index, range] of ranges.entries()) {
      const open = opensInside(group, range)[0];
      if (!open || minute <= open.minute) continue;
      const episode = this.episodeOf(group, range, ranges[index + 1]);
      if (!hasChanged(open, episode)) continue;
      open.minute = minute;
      open.lastAtMs = episode.lastAtMs;
      open.count = episode.count;
      this.tally.updates++;
      const trigger = triggerOf(episode);
      this.emit(group, { kind: 'UPDATE', id: open.id, episode, trigger, supersedes: [], supersededBy: null });
    }
  }

  /** Sets when the group must be looked at next: a final, an update, or the end of its last window. */
  private reschedule(group: LiveGroup, known?: readonly EpisodeRange[]): void {
    if (isEmptyGroup(group)) {
      this.removeGroup(group);
      return;
    }
    const { spanMs } = group.instance.window;
    // Without strictness "passed" means reached, one millisecond sooner.
    const passed = this.switches.strictWatermark ? 1 : 0;
    const ranges = known ?? this.rangesOf(group);
    const [first, second] = ranges;
    if (!first) {
      const newestMs = group.hits.at(-1)?.timeMs ?? this.watermarkMs;
      this.due.schedule(group, newestMs + spanMs + 1);
      return;
    }
    let dueMs = first.lastAtMs + spanMs + passed;
    if (second) dueMs = Math.min(dueMs, second.fromMs + passed);
    for (const [index, range] of ranges.entries()) {
      const open = opensInside(group, range)[0];
      const { count } = countOfRange(group, range, {
        rule: group.instance.window,
        nextFromMs: ranges[index + 1]?.fromMs,
      });
      if (open && hasChanged(open, { lastAtMs: range.lastAtMs, count })) {
        dueMs = Math.min(dueMs, (open.minute + 1) * UPDATE_MS);
      }
    }
    this.due.schedule(group, dueMs);
  }

  private removeGroup(group: LiveGroup): void {
    this.due.remove(group);
    this.groups.delete(group.id);
    this.dirty.add(group.id);
    group.instance.groups--;
    if (group.instance.groups === 0) this.instances.delete(group.instance.key);
  }

  private alertId(group: LiveGroup, fromMs: number, trigger: string): string {
    const { rule, window } = group.instance;
    return alertIdOf({
      organization: group.organization,
      correlation: rule.uid,
      semanticHash: rule.semanticHash,
      groupKey: group.groupKey,
      frame: this.switches.frames ? Math.floor(fromMs / window.frameMs) : 0,
      trigger,
    });
  }

  private emit(group: LiveGroup, alert: Parameters<typeof alertRecord>[1]): void {
    this.effects.push({ kind: 'alert', alert: alertRecord(this.contextOf(group), alert) });
  }

  private contextOf(group: LiveGroup): AlertContext {
    return {
      clusterId: this.config.clusterId,
      matchesPartition: this.config.partition,
      watermarkMs: this.watermarkMs,
      sources: this.sources,
      rule: group.instance.rule,
      group,
    };
  }

  sourceClaims(): readonly (SourceRef & { readonly watermarkMs: number })[] {
    return (this.config.sources(this.sourcesVersion) ?? []).map((ref) => {
      const slot = this.slots.get(sourceKey(ref.topic_id, ref.partition));
      return { ...ref, watermarkMs: slot === undefined ? NO_WATERMARK_MS : (this.sources[slot] as Source).watermarkMs };
    });
  }

  takeDirty(): readonly DirtyGroup[] {
    const ids = [...this.dirty].sort();
    this.dirty.clear();
    return ids.map((groupId) => {
      const group = this.groups.get(groupId);
      return { groupId, blob: group ? encodeGroup(group.instance.key, group) : null };
    });
  }

  metaBlob(): Uint8Array {
    const instances: InstanceRef[] = [...this.instances.values()].map(({ key, rule }) => ({
      key,
      rulesetId: rule.description.ruleset_id,
      rule: rule.index,
    }));
    return encodeMeta({
      nextOffset: this.nextOffset,
      watermarkMs: this.watermarkMs,
      sourcesVersion: this.sourcesVersion,
      sources: this.sources,
      instances: instances.sort((a, b) => compareText(a.key, b.key)),
      counters: COUNTER_NAMES.map((name) => this.tally[name]),
    });
  }

  load(metaBytes: Uint8Array, groups: Iterable<readonly [groupId: string, blob: Uint8Array]>): void {
    const meta = decodeMeta(metaBytes);
    const instances = new Map<string, Instance>();
    for (const { key, rulesetId, rule: index } of meta.instances) {
      const rule = this.planOf(rulesetId)[index]?.rule;
      if (!rule || instanceKey(rule) !== key) {
        throw new CorrelationError('state belongs to a rule that its set does not have', 'SEC_CORR_RULE_UNKNOWN', {
          rulesetId,
        });
      }
      instances.set(key, { key, window: windowRuleOf(rule), rule, groups: 0 });
    }
    this.groups = new Map();
    this.due = new DueHeap();
    this.instances = instances;
    this.sources = meta.sources;
    this.slots = new Map(meta.sources.map((source, slot) => [sourceKey(source.topicId, source.partition), slot]));
    this.sourcesVersion = meta.sourcesVersion;
    this.watermarkMs = meta.watermarkMs;
    this.nextOffset = meta.nextOffset;
    this.tally = emptyCounters();
    for (const [index, name] of COUNTER_NAMES.entries()) this.tally[name] = meta.counters[index] ?? 0;
    for (const [groupId, blob] of groups) {
      const { instanceKey: key, group } = decodeGroup(blob);
      const instance = instances.get(key);
      if (!instance) throw new CorrelationError('a group belongs to no correlation of the state', 'SEC_CORR_STATE');
      this.reschedule(this.addGroup(groupId, instance, group));
    }
    this.dirty.clear();
  }
}

function emptyCounters(): Record<CounterName, number> {
  return {
    seen: 0,
    applied: 0,
    duplicate_id: 0,
    duplicate_mark: 0,
    late: 0,
    degraded: 0,
    opens: 0,
    updates: 0,
    finals: 0,
    superseded: 0,
  };
}

function sourceKey(topicId: string, partition: number): string {
  return `${topicId}/${partition}`;
}

/** Short name of (correlation uid, semantic hash); 64 bits are plenty for the rules of one partition. */
function instanceKey(rule: CorrelationRule): string {
  return hashOf([rule.uid, rule.semanticHash]).slice(0, 16);
}

function hitOf(match: Match, source: number, matchesOffset: number): Hit {
  return {
    timeMs: match.event_time,
    id: match.event_id,
    step: match.step,
    value: match.value,
    source,
    sourceOffset: match.source_offset,
    matchesOffset,
    instance: match.source_instance,
    sequence: match.source_seq,
  };
}

/** X10.4: the event that completes the evidence, that is the largest in the total order. */
function triggerOf(episode: Episode): string {
  let largest = episode.evidence[0];
  for (const hit of episode.evidence) if (largest && compareHits(hit, largest) > 0) largest = hit;
  return largest?.id ?? '';
}

function hasChanged(open: OpenAlert, now: { readonly lastAtMs: number; readonly count: number }): boolean {
  return open.lastAtMs !== now.lastAtMs || open.count !== now.count;
}

/** X9: emission order at one watermark is (rule, group). */
function compareGroups(a: LiveGroup, b: LiveGroup): number {
  return (
    compareText(a.instance.rule.uid, b.instance.rule.uid) ||
    compareText(a.instance.rule.semanticHash, b.instance.rule.semanticHash) ||
    compareText(a.organization, b.organization) ||
    compareText(a.groupKey, b.groupKey)
  );
}

/** The second line of X3. B knows no append time; the watermark the event fell behind stands for it. */
function lateEvent(match: Match, batch: MatchBatch, watermarkMs: number): LateEvent {
  return {
    schema_rev: 1,
    organization_id: match.organization_id,
    event_id: match.event_id,
    event_time: match.event_time,
    append_time: watermarkMs,
    lateness_ms: watermarkMs - match.event_time,
    allowed_ms: 0,
    stage: 'B',
    src_topic: batch.src_topic,
    src_topic_id: batch.src_topic_id,
    src_partition: batch.src_partition,
    src_offset: match.source_offset,
    payload: null,
  };
}
