import { type CorrelationAlert, type Match, type MatchBatch, NO_WATERMARK_MS } from '@tracehound/event-model';
import type { RuleSetCompiled } from '@tracehound/sigma';
import { type AlertContext, alertRecord, claimOf, decidedRecord, degradedRecord, type Source } from './alert.ts';
import { alertIdOf } from './alert-id.ts';
import { reachedBy } from './breaker-reach.ts';
import { chainHits } from './chains.ts';
import { COUNTER_NAMES, type CounterName, emptyCounters } from './counters.ts';
import type { Episode } from './episodes.ts';
import { CorrelationError } from './errors.ts';
import { decidedFacts, type FinalFacts, factsOf, triggerOf } from './final-facts.ts';
import type { FirmChainHit, FirmFinal } from './firm/machine.ts';
import type { Group, OpenAlert } from './group.ts';
import type { DirtyGroup } from './group-table.ts';
import { compareText, type Hit } from './hit.ts';
import { instanceKey } from './instance.ts';
import { type Breaker, ENGINE_LIMITS, type EngineLimits, STATE_PRESSURE } from './limits.ts';
import { type Family, type GroupRef, groupIdOf, type Instance } from './live-group.ts';
import type { LogMark } from './log-reach.ts';
import { type Range, withheldLoss } from './losses.ts';
import { hitOf, lateEvent, matchOf } from './match-hit.ts';
import { ENGINE_MEMORY, type EngineMemory } from './memory.ts';
import type { ApplyOptions, Effect, PartitionEngine, PartitionEngineConfig, SourceRef } from './partition-engine.ts';
import { isInUse, RebuildStart } from './rebuild-start.ts';
import { Sources } from './sources.ts';
import { decodeMeta, encodeMeta, type InstanceRef } from './state-codec.ts';
import { STATE_VERSION } from './state-version.ts';
import { type EngineSwitches, EXACT } from './switches.ts';
import { type RuleUsage, usageOf } from './usage.ts';
import { frameOf } from './window-rule.ts';
import { type Plan, Windows } from './windows.ts';

export type { DirtyGroup } from './group-table.ts';
export type {
  ApplyOptions,
  ChainMatch,
  Effect,
  PartitionEngine,
  PartitionEngineConfig,
  SourceRef,
} from './partition-engine.ts';

/** @see PartitionEngine */
export function createPartitionEngine(config: PartitionEngineConfig): PartitionEngine {
  return new Engine(config, EXACT);
}

/** For tests only: an engine with a piece of the fine print turned off. Not exported by the package. */
export function createEngineWith(config: PartitionEngineConfig, switches: Partial<EngineSwitches>): PartitionEngine {
  return new Engine(config, { ...EXACT, ...switches });
}

type RuleInOrganization = Pick<Family, 'instance' | 'organization'>;

/** A rule set with the instances that run it. */
type SetPlan = { readonly rules: readonly Plan[]; readonly set: RuleSetCompiled };

class Engine implements PartitionEngine {
  private readonly config: PartitionEngineConfig;
  private readonly switches: EngineSwitches;
  private windows: Windows;
  private readonly sources: Sources;
  /** Deepest chain of the sets seen. */
  private chainDepth = 0;
  private rulesetId = '';
  private tally = emptyCounters();
  private effects: Effect[] = [];
  /** The batch whose breakers were looked at last. */
  private noted = { activation: '', ruleset: '' };
  private plans = new Map<string, SetPlan>();
  private readonly keysOfSets = new Map<string, readonly string[]>();
  /** Null when the release before has written the state; engines that read no log of their own do not ask. */
  private start: RebuildStart | null;
  nextOffset = -1;

  constructor(config: PartitionEngineConfig, switches: EngineSwitches) {
    this.config = config;
    this.switches = switches;
    this.sources = new Sources(config, switches.waitForAllSources);
    this.windows = this.createWindows();
    this.start = config.chains === 'effects' ? RebuildStart.from(null) : null;
  }

  beginAt(mark: LogMark): void {
    this.start = RebuildStart.from(mark);
  }

  rebuildFrom(): LogMark | null {
    const slots = this.sources.holding();
    return this.start === null || slots === null ? null : this.start.find(this.windows, slots);
  }

  private createWindows(): Windows {
    const { speak } = this.config;
    return new Windows(
      {
        switches: this.switches,
        speaksAll: speak !== 'finals',
        tracksDirty: true,
        limits: ENGINE_LIMITS,
        memory: memoryOf(this.config),
        stateVersion: this.config.stateVersion ?? STATE_VERSION,
        counters: this.tally,
        speech: {
          open: (ref, group, said) => this.speak('OPEN', ref, group, said),
          update: (ref, group, said) => this.speak('UPDATE', ref, group, said),
          over: (ref, group, said) => this.over(ref, group, said),
          decided: (ref, final) => this.decided(ref, final),
          abandoned: (ref, group, said) => this.abandoned(ref, group, said),
          chained: (ref, hit) => this.chained(ref, hit),
          degraded: (family, groupKey, range) => this.degraded(family, groupKey, range),
          openId: (ref, episode, trigger) => this.alertId(ref, episode, trigger),
        },
      },
      NO_WATERMARK_MS,
    );
  }

  get watermarkMs(): number {
    return this.windows.watermarks[0] as number;
  }

  get depthWatermarks(): readonly number[] {
    return [...this.windows.watermarks];
  }

  get liveGroups(): number {
    return this.windows.table.size;
  }

  get coldGroups(): number {
    return this.windows.table.cold.size;
  }

  get otherVersionGroups(): number {
    return this.windows.table.otherVersionCount;
  }

  need(batches: readonly MatchBatch[]): readonly string[] {
    const { table } = this.windows;
    this.windows.letCold();
    if (table.cold.size === 0) return NO_GROUPS;
    const ids = new Set<string>();
    for (const { matches, ruleset_id } of batches) {
      if (matches.length === 0) continue;
      const keys = this.instanceKeysOf(ruleset_id);
      for (const { rule, organization_id, group_key } of matches) {
        const family = table.instances.get(keys[rule] as string)?.families.get(organization_id);
        if (!family || family.groups.has(group_key)) continue;
        if (table.cold.has(family, group_key)) ids.add(groupIdOf(family, group_key));
      }
    }
    return [...ids];
  }

  /** Without a plan: a rule set must not be seen before its first batch is applied. */
  private instanceKeysOf(rulesetId: string): readonly string[] {
    const known = this.keysOfSets.get(rulesetId);
    if (known) return known;
    const keys = this.ruleSetOf(rulesetId).correlations.map(instanceKey);
    this.keysOfSets.set(rulesetId, keys);
    return keys;
  }

  bring(blobs: Iterable<Uint8Array>): void {
    for (const blob of blobs) this.windows.bring(blob);
  }

  get dirtyCount(): number {
    return this.windows.table.dirtyCount;
  }

  counters(): Readonly<Record<CounterName, number>> {
    return { ...this.tally };
  }

  apply(batch: MatchBatch, matchesOffset: number, options: ApplyOptions = {}): readonly Effect[] {
    const known = this.sources.slotOf(batch.src_topic_id, batch.src_partition, batch.depth);
    const limits = this.checkBatch(batch, known, options);
    const slot = known ?? this.sources.add(batch);
    const source = this.sources.all[slot] as Source;
    this.sources.see(batch.sources_version);
    if (batch.ruleset_id !== this.rulesetId) this.seeRuleSet(batch.ruleset_id);
    this.effects = [];
    this.noteBreakers(batch);
    if (!this.switches.matchesBeforeWatermark) this.advance(source, batch);
    if (batch.matches.length > 0) this.applyMatches(batch, source.markOffset, { slot, matchesOffset });
    source.markOffset = Math.max(source.markOffset, batch.to);
    if (this.switches.matchesBeforeWatermark) this.advance(source, batch);
    this.windows.sayDegraded();
    this.windows.keepLimits(limits);
    this.start?.note(batch, { offset: matchesOffset, slot, source }, this.windows);
    this.nextOffset = matchesOffset + 1;
    const effects = this.effects;
    this.effects = [];
    return effects;
  }

  /** Ticks too say which rules are in force: claims begin before the first hit. */
  private seeRuleSet(rulesetId: string): void {
    this.rulesetId = rulesetId;
    for (const { depth } of this.config.ruleSet(rulesetId)?.correlations ?? []) {
      this.chainDepth = Math.max(this.chainDepth, depth);
    }
  }

  chainClaims(): readonly number[] {
    const depth = Math.max(this.chainDepth, this.sources.deepest, this.windows.deepest);
    return Array.from({ length: depth }, (_, below) => this.windows.chainClaim(below + 1));
  }

  markOf({ topic_id, partition }: Omit<SourceRef, 'topic'>, depth: number): number | undefined {
    const slot = this.sources.slotOf(topic_id, partition, depth);
    return slot === undefined ? undefined : (this.sources.all[slot] as Source).markOffset;
  }

  private applyMatches(batch: MatchBatch, mark: number, at: { slot: number; matchesOffset: number }): void {
    const { rules } = this.planOf(batch.ruleset_id);
    for (const match of batch.matches) {
      this.tally.seen++;
      if (match.source_offset < mark && this.switches.dropBelowMark) this.tally.duplicate_mark++;
      // Chain hits were in time when their events were (X11).
      else if (match.event_time < this.watermarkMs && batch.depth === 0) this.late(match, batch);
      else {
        const hit = hitOf(match, at.slot, at.matchesOffset);
        this.windows.apply(rules[match.rule] as Plan, match.organization_id, match.group_key, hit);
      }
    }
  }

  /** Everything that can refuse a batch, before anything changes. Returns the limits that hold after it. */
  private checkBatch(batch: MatchBatch, slot: number | undefined, options: ApplyOptions): EngineLimits {
    const fields = { topicId: batch.src_topic_id, partition: batch.src_partition, prevTo: batch.prev_to };
    const mark = slot === undefined ? undefined : (this.sources.all[slot] as Source).markOffset;
    if (mark !== undefined && batch.prev_to > mark && this.switches.gapCheck && !options.rebuilding) {
      throw new CorrelationError('a batch of matches is missing', 'SEC_CORR_GAP', { ...fields, mark });
    }
    if (batch.sources_version > this.sources.version && !this.config.sources(batch.sources_version)) {
      const version = { sourcesVersion: batch.sources_version };
      throw new CorrelationError('the source list is not known yet', 'SEC_CORR_SOURCES_UNKNOWN', version, 'dependency');
    }
    const limits = this.limitsOf(batch.activation_id);
    if (batch.matches.length === 0 && this.breakersOf(batch.activation_id).length === 0) return limits;
    const { rules } = this.planOf(batch.ruleset_id);
    for (const match of batch.matches) {
      if (rules[match.rule]) continue;
      throw new CorrelationError('a match names no rule of its set', 'SEC_CORR_RULE_UNKNOWN', { rule: match.rule });
    }
    return limits;
  }

  /** X14: what A withholds under this activation is a range that is not exact, of what stands on those rules in those organizations. */
  private noteBreakers({ activation_id, ruleset_id }: MatchBatch): void {
    const breakers = this.breakersOf(activation_id);
    // A second time nothing would be said any more; most batches name the activation of the one before.
    if (breakers.length === 0 || (this.noted.activation === activation_id && this.noted.ruleset === ruleset_id)) return;
    this.noted = { activation: activation_id, ruleset: ruleset_id };
    for (const breaker of breakers) this.noteBreaker(this.planOf(ruleset_id), breaker);
  }

  private noteBreaker({ rules, set }: SetPlan, breaker: Breaker): void {
    const { organization, ruleId } = breaker;
    const losses = new Map<number, Range>();
    for (const { index, isDirect, inner } of reachedBy(set, ruleId)) {
      const { rule, instance } = rules[set.inOrganization(index, organization)] as Plan;
      const missing = [...(isDirect ? [breaker] : []), ...inner.flatMap((one) => losses.get(one) ?? [])];
      const hits = {
        fromMs: Math.min(...missing.map(({ fromMs }) => fromMs)),
        toMs: Math.max(...missing.map(({ toMs }) => toMs)),
      };
      const loss = withheldLoss(instance, hits);
      losses.set(index, loss);
      const cause = rule.uid === ruleId ? breaker.cause : `${breaker.cause}:${ruleId}`;
      this.windows.withhold({ instance, organization }, cause, loss);
    }
  }

  private breakersOf(activationId: string): readonly Breaker[] {
    return this.config.breakers?.(activationId) ?? NO_BREAKERS;
  }

  private limitsOf(activationId: string): EngineLimits {
    if (!this.config.limits) return ENGINE_LIMITS;
    const limits = this.config.limits(activationId);
    if (limits) return limits;
    const fields = { activationId };
    throw new CorrelationError('the activation is not known yet', 'SEC_CORR_ACTIVATION_UNKNOWN', fields, 'dependency');
  }

  private planOf(rulesetId: string): SetPlan {
    const known = this.plans.get(rulesetId);
    if (known) return known;
    const set = this.ruleSetOf(rulesetId);
    const rules = set.correlations.map((rule) => ({ rule, instance: this.windows.instanceOf(rule) }));
    this.plans.set(rulesetId, { rules, set });
    return { rules, set };
  }

  private ruleSetOf(rulesetId: string): RuleSetCompiled {
    const set = this.config.ruleSet(rulesetId);
    if (set) return set;
    const fields = { rulesetId };
    throw new CorrelationError('the rule set is not known yet', 'SEC_CORR_RULESET_UNKNOWN', fields, 'dependency');
  }

  private late(match: Match, batch: MatchBatch): void {
    this.tally.late++;
    this.effects.push({ kind: 'late', late: lateEvent(match, batch, this.watermarkMs) });
  }

  /** X4: the maximum per source, the minimum over the sources of the activation; nothing until all have spoken. */
  private advance(source: Source, batch: MatchBatch): void {
    const claim = claimOf(batch);
    if (claim > source.watermarkMs) source.watermarkMs = claim;
    if (batch.depth === 0) this.windows.advance(0, this.sources.leastClaim(0));
    if (this.config.chains !== 'effects') this.windows.advanceChains(null);
    else if (this.sources.deepest > 0) this.windows.advanceChains((depth) => this.sources.leastClaim(depth));
  }

  private speak(
    kind: 'OPEN' | 'UPDATE',
    ref: GroupRef,
    group: Group,
    said: { readonly id: string; readonly episode: Episode; readonly trigger: string },
  ): void {
    const alert = { kind, ...said, supersedes: [], supersededBy: null };
    this.say(ref.family, alertRecord(this.contextOf(ref, group.hits), alert));
  }

  /** What touches a range in which state was let go says so (X14). */
  private say(family: Family, alert: CorrelationAlert, final?: FinalFacts): void {
    const reason = this.windows.losses.causeAt(family, { fromMs: alert.first_at, toMs: alert.last_at });
    const marked = reason === undefined ? alert : { ...alert, degraded: true, reason };
    this.effects.push({ kind: 'alert', alert: marked, ...(final ? { final } : {}) });
  }

  /** X10.10-12: the canonical final, then the end of every alert the episode owns. */
  private over(
    ref: GroupRef,
    group: Group,
    { episode, owned }: { readonly episode: Episode; readonly owned: readonly OpenAlert[] },
  ): void {
    if (!ref.family.instance.rule.emitsAlert) return;
    const trigger = triggerOf(episode);
    const first = owned[0];
    const id = this.switches.canonicalFinal || !first ? this.alertId(ref, episode, trigger) : first.id;
    const superseded = owned.filter((open) => open.id !== id).map((open) => open.id);
    const supersedes = superseded.toSorted();
    this.tally.superseded += superseded.length;
    const context = this.contextOf(ref, group.hits);
    const said = { id, episode, trigger, supersedes, supersededBy: null };
    const final = factsOf(episode, ref.family.instance.rule);
    this.say(ref.family, alertRecord(context, { ...said, kind: 'FINAL' }), final);
    if (this.config.speak === 'finals') return;
    this.say(ref.family, alertRecord(context, { ...said, kind: 'END' }));
    if (!this.switches.endSuperseded) return;
    for (const other of superseded) {
      const ended = { kind: 'END' as const, id: other, episode, trigger, supersedes: [], supersededBy: id };
      this.say(ref.family, alertRecord(context, ended));
    }
  }

  private decided(ref: GroupRef, final: FirmFinal): void {
    if (!ref.family.instance.rule.emitsAlert) return;
    const id = this.idOf(ref, final.frame, final.trigger ?? `due:${final.timerDueMs ?? final.lastAtMs}`);
    const context = this.contextOf(ref, []);
    const facts = decidedFacts(final);
    this.say(ref.family, decidedRecord(context, { kind: 'FINAL', id, final }), facts);
    if (this.config.speak === 'finals') return;
    this.say(ref.family, decidedRecord(context, { kind: 'END', id, final }));
  }

  private abandoned(
    ref: GroupRef,
    group: Group,
    { open, episode }: { readonly open: OpenAlert; readonly episode: Episode },
  ): void {
    const said = { kind: 'END' as const, id: open.id, episode, trigger: triggerOf(episode) };
    const record = alertRecord(this.contextOf(ref, group.hits), { ...said, supersedes: [], supersededBy: null });
    this.effects.push({ kind: 'alert', alert: { ...record, degraded: true, reason: STATE_PRESSURE } });
  }

  /** X11: to every step that stands on this correlation, under the id of the alert with that trigger. */
  private chained(ref: GroupRef, chain: FirmChainHit): void {
    const { rule } = ref.family.instance;
    const { organization } = ref.family;
    const { rules, set } = this.planOf(rule.description.ruleset_id);
    const id = `chain:${this.idOf(ref, chain.frame, chain.triggerId)}`;
    for (const { outer, groupKey, hit } of chainHits(set, { rule, groupKey: ref.groupKey, organization, id, chain })) {
      this.tally.chained++;
      if (this.config.chains === 'effects') {
        const { depth, description, index } = outer;
        const match = matchOf(hit, { organization, groupKey, index });
        this.effects.push({ kind: 'chain', chain: { depth, rulesetId: description.ruleset_id, match } });
      } else this.windows.enqueue({ plan: rules[outer.index] as Plan, organization, groupKey, hit });
    }
  }

  private degraded(
    family: RuleInOrganization,
    givenKey: string | null,
    range: { readonly fromMs: number; readonly toMs: number; readonly reason: string },
  ): void {
    const { fromMs, toMs, reason } = range;
    const groupKey = givenKey ?? NO_GROUP;
    const id = this.alertIdIn(family, groupKey, {
      frame: Math.floor(fromMs / frameOf(family.instance.rule.definition.spanMs)),
      trigger: `degraded:${reason}:${fromMs}:${toMs}`,
    });
    const alert = degradedRecord(this.contextIn(family, groupKey, []), id, range);
    this.effects.push({ kind: 'alert', alert });
  }

  /** X9. Parts of an episode that `suppress` cut may have one trigger: their left ends tell them apart. */
  private alertId(ref: GroupRef, episode: Episode, trigger: string): string {
    const { definition } = ref.family.instance.rule;
    const { fromMs, evidence } = episode;
    const frame = this.switches.frames ? Math.floor(fromMs / frameOf(definition.spanMs)) : 0;
    const isCut = definition.suppressMs !== null && evidence.every((hit) => hit.timeMs < fromMs);
    return this.idOf(ref, frame, isCut ? `${trigger}@${fromMs}` : trigger);
  }

  private idOf(ref: GroupRef, frame: number, trigger: string): string {
    return this.alertIdIn(ref.family, ref.groupKey, { frame, trigger });
  }

  private alertIdIn(
    family: RuleInOrganization,
    groupKey: string,
    at: { readonly frame: number; readonly trigger: string },
  ): string {
    const { rule } = family.instance;
    const { uid: correlation, semanticHash } = rule;
    return alertIdOf({ organization: family.organization, correlation, semanticHash, groupKey, ...at });
  }

  private contextOf(ref: GroupRef, hits: readonly Hit[]): AlertContext {
    return this.contextIn(ref.family, ref.groupKey, hits);
  }

  private contextIn(family: RuleInOrganization, groupKey: string, hits: readonly Hit[]): AlertContext {
    return {
      clusterId: this.config.clusterId,
      matchesPartition: this.config.partition,
      watermarkMs: this.windows.watermarkOf(family.instance),
      sources: this.sources.all,
      rule: family.instance.rule,
      organization: family.organization,
      groupKey,
      hits,
    };
  }

  sourceClaims(): readonly (SourceRef & { readonly watermarkMs: number })[] {
    return this.sources.claims();
  }

  usage(): readonly RuleUsage[] {
    return usageOf(this.windows);
  }

  takeDirty(): readonly DirtyGroup[] {
    return this.windows.table.takeDirty();
  }

  metaBlob(): Uint8Array {
    // A rule with `expect` may have let all its groups go, and still knows how far its organizations are.
    const all = [...this.windows.table.instances.values()];
    const used = all.filter((one) => one.families.size > 0 || (this.start !== null && isInUse(one, this.windows)));
    const instances: InstanceRef[] = used.map(({ key, rule, newestMs }) => ({
      key,
      rulesetId: rule.description.ruleset_id,
      rule: rule.index,
      newestMs,
    }));
    return encodeMeta({
      nextOffset: this.nextOffset,
      watermarkMs: this.watermarkMs,
      depths: this.windows.watermarks.slice(1),
      sourcesVersion: this.sources.version,
      sources: this.sources.all,
      instances: instances.sort((a, b) => compareText(a.key, b.key)),
      losses: this.windows.losses.list(),
      expected: used.flatMap(expectedRanges).sort((a, b) => compareText(rangeKey(a), rangeKey(b))),
      counters: COUNTER_NAMES.map((name) => this.tally[name]),
      start: this.start?.written() ?? null,
    });
  }

  load(metaBytes: Uint8Array, groups: Iterable<readonly [groupId: string, blob: Uint8Array]>): void {
    const meta = decodeMeta(metaBytes);
    const refs = meta.instances.map(({ key, rulesetId, rule: index, newestMs = NO_WATERMARK_MS }) => {
      const rule = this.planOf(rulesetId).rules[index]?.rule;
      if (rule && instanceKey(rule) === key) return { rule, rulesetId, newestMs };
      throw new CorrelationError('state belongs to a rule that its set does not have', 'SEC_CORR_RULE_UNKNOWN', {
        rulesetId,
      });
    });
    this.tally = emptyCounters();
    for (const [index, name] of COUNTER_NAMES.entries()) this.tally[name] = meta.counters[index] ?? 0;
    this.windows = this.createWindows();
    this.plans = new Map();
    for (const { rule, rulesetId, newestMs } of refs) {
      const { instance } = this.planOf(rulesetId).rules[rule.index] as Plan;
      instance.rule = rule;
      instance.newestMs = newestMs;
    }
    this.windows.watermarks.splice(0, Number.POSITIVE_INFINITY, meta.watermarkMs, ...meta.depths);
    this.sources.restore(meta.sources, meta.sourcesVersion);
    this.rulesetId = '';
    this.noted = { activation: '', ruleset: '' };
    this.nextOffset = meta.nextOffset;
    this.start = this.config.chains === 'effects' && meta.start !== null ? RebuildStart.read(meta.start) : null;
    this.windows.losses.restore(meta.losses);
    const { table } = this.windows;
    for (const { instanceKey: key, organization, ...range } of meta.expected) {
      const instance = table.instances.get(key);
      if (instance) Object.assign(table.addFamily(instance, organization), range);
    }
    this.loadMore(groups);
  }

  loadMore(groups: Iterable<readonly [groupId: string, blob: Uint8Array]>): void {
    for (const [, blob] of groups) this.windows.restore(blob);
    this.windows.table.forgetDirty();
    this.windows.letCold();
  }
}

function memoryOf({ memory, chains }: PartitionEngineConfig): EngineMemory {
  const whole = { ...ENGINE_MEMORY, ...memory };
  return chains === 'effects' ? whole : { ...whole, packedBytesMax: Number.POSITIVE_INFINITY };
}

const NO_GROUPS: readonly string[] = [];

const NO_BREAKERS: readonly Breaker[] = [];

/** Group key of records about a whole rule. */
const NO_GROUP = '[]';

function expectedRanges(instance: Instance) {
  if (instance.rule.definition.expect.length === 0) return [];
  return [...instance.families.values()].map(({ organization, firstAtMs, lastAtMs }) => ({
    instanceKey: instance.key,
    organization,
    firstAtMs,
    lastAtMs,
  }));
}

function rangeKey(range: { readonly instanceKey: string; readonly organization: string }): string {
  return `${range.instanceKey}|${range.organization}`;
}
