import { END_OF_INPUT_WATERMARK_MS, NO_WATERMARK_MS } from '@tracehound/event-model';
import type { CorrelationRule } from '@tracehound/sigma';
import type { CounterName } from './counters.ts';
import { DegradedRanges } from './degraded-ranges.ts';
import { amountOf, countOfRange, type Episode, evidenceOfRange, openOf, rangesOf, settleGroup } from './episodes.ts';
import { CorrelationError } from './errors.ts';
import { overLimits } from './eviction.ts';
import { triggerOf } from './final-facts.ts';
import { createFirmMachine, type FirmChainHit, type FirmFinal } from './firm/machine.ts';
import { createGroup, type EpisodeRange, type Group, type OpenAlert } from './group.ts';
import { ageOf, freshSecondsOf, isEmpty, outlookOf, stepsOf, weightOf } from './group-facts.ts';
import { GroupTable } from './group-table.ts';
import { compareText, type Hit } from './hit.ts';
import { insertHit } from './insert-hit.ts';
import { createInstance, instanceKey } from './instance.ts';
import { BREAKER, type EngineLimits, STATE_PRESSURE } from './limits.ts';
import { compareFamilies, type Family, type GroupRef, type Instance, type Live } from './live-group.ts';
import { Losses, lossOf, lossOfWaiting, type Range, saidUntilMs } from './losses.ts';
import type { EngineMemory } from './memory.ts';
import { decodeGroup } from './state-codec.ts';
import { STATE_VERSION, type StateVersion } from './state-version.ts';
import type { EngineSwitches } from './switches.ts';
import type { DegradedRange } from './thinning.ts';
import { UPDATE_MS, type WindowRule } from './window-rule.ts';

/** Something the windows of a group have to say, in the order in which it must be said. */
export type Speech = {
  open(
    ref: GroupRef,
    group: Group,
    said: { readonly id: string; readonly episode: Episode; readonly trigger: string },
  ): void;
  update(
    ref: GroupRef,
    group: Group,
    said: { readonly id: string; readonly episode: Episode; readonly trigger: string },
  ): void;
  /** An episode is over: the canonical final, and the end of every alert it owns (X10.10-12). */
  over(ref: GroupRef, group: Group, said: { readonly episode: Episode; readonly owned: readonly OpenAlert[] }): void;
  /** A machine has decided. */
  decided(ref: GroupRef, final: FirmFinal): void;
  /** The group is let go: what it has said and not ended ends here (X10.12). */
  abandoned(ref: GroupRef, group: Group, said: { readonly open: OpenAlert; readonly episode: Episode }): void;
  /** A hit for the correlations that stand on this one (X11). */
  chained(ref: GroupRef, hit: FirmChainHit): void;
  /** `groupKey` null: any group of the family. */
  degraded(
    family: Pick<Family, 'instance' | 'organization'>,
    groupKey: string | null,
    range: Omit<DegradedRange, 'reason'> & { readonly reason: string },
  ): void;
  /** Id of an alert with this left end and trigger, for an open. */
  openId(ref: GroupRef, episode: Episode, trigger: string): string;
};

export type WindowsConfig = {
  readonly switches: EngineSwitches;
  /** Opens and updates are spoken too. */
  readonly speaksAll: boolean;
  readonly tracksDirty: boolean;
  /** Until `keepLimits` is given others. */
  readonly limits: EngineLimits;
  readonly memory: EngineMemory;
  /** Of the blobs that `table.takeDirty` gives. */
  readonly stateVersion: StateVersion;
  readonly speech: Speech;
  readonly counters: Record<CounterName, number>;
};

/** A correlation of a rule set and the instance that keeps its state. */
export type Plan = { readonly rule: CorrelationRule; readonly instance: Instance };

/** A chain hit on its way to an outer correlation. */
export type Pending = {
  readonly plan: Plan;
  readonly organization: string;
  readonly groupKey: string;
  readonly hit: Hit;
};

/** X11: chains are at most four deep. */
const DEPTH_MAX = 4;

/** Parts of a span after which a group in steady use lets go of what is past. */
const SETTLES_PER_SPAN = 4;

/** The windows of all groups: takes hits, follows the watermarks of each chain depth (X11), and speaks. */
export class Windows {
  readonly table: GroupTable;
  /** Watermark per depth; 0 is that of the intake topics. */
  readonly watermarks: number[];
  /** What was let go, per rule and organization. */
  readonly losses: Losses = new Losses();
  private readonly config: WindowsConfig;
  private limits: EngineLimits;
  private pending: Pending[] = [];
  private readonly degraded = new DegradedRanges();

  constructor(config: WindowsConfig, watermarkMs: number) {
    this.config = config;
    this.limits = config.limits;
    this.table = new GroupTable(config);
    this.watermarks = [watermarkMs];
  }

  /** The instance that runs the rule, made when there is none. */
  instanceOf(rule: CorrelationRule): Instance {
    const key = instanceKey(rule);
    const known = this.table.instances.get(key);
    if (known) {
      known.isInner ||= rule.feeds.length > 0;
      return known;
    }
    const instance = createInstance(rule, key);
    this.table.instances.set(key, instance);
    return instance;
  }

  watermarkOf(instance: Instance): number {
    return this.watermarks[instance.depth] ?? NO_WATERMARK_MS;
  }

  apply({ rule, instance }: Plan, organization: string, groupKey: string, hit: Hit): void {
    instance.rule = rule;
    if (hit.timeMs > instance.newestMs) instance.newestMs = hit.timeMs;
    let family = instance.families.get(organization);
    if (!family) {
      family = this.table.addFamily(instance, organization);
      this.expectGroups(family);
    }
    if (rule.definition.expect.length > 0) this.expectHit(family, hit.timeMs);
    const ref = family.groups.get(groupKey) ?? this.addGroup(family, groupKey);
    this.table.markDirty(ref);
    const live = this.table.live(ref);
    const { counters } = this.config;
    const isApplied = live.episodes
      ? this.applyToEpisodes(ref, live, live.episodes, hit)
      : this.applyToMachine(ref, live, hit);
    if (isApplied) counters.applied++;
    else counters.duplicate_id++;
    this.schedule(ref, live);
  }

  /** X14: what the hits since the last call have made inexact. To be called where the log decides it, after a record. */
  sayDegraded(): void {
    for (const [ref, ranges] of this.degraded.take()) {
      for (const range of ranges) {
        this.config.counters.degraded++;
        this.config.speech.degraded(ref.family, ref.groupKey, range);
      }
    }
  }

  private addGroup(family: Family, groupKey: string): GroupRef {
    const { instance, organization } = family;
    const { definition, emitsAlert } = instance.rule;
    // A rule whose hits are only steps of others needs no state for alerts of its own.
    const speaks = emitsAlert || !instance.isInner;
    const live: Live = {
      episodes: instance.window && speaks ? createGroup(organization, groupKey, this.watermarkOf(instance)) : null,
      firm: !instance.window && speaks ? createFirmMachine(definition, { purpose: 'alerts' }) : null,
      chain: instance.isInner ? createFirmMachine(definition, { purpose: 'chain' }) : null,
      used: true,
    };
    return this.table.add(family, groupKey, live);
  }

  private applyToEpisodes(ref: GroupRef, live: Live, group: Group, hit: Hit): boolean {
    const { instance } = ref.family;
    const rule = instance.window as WindowRule;
    const { switches } = this.config;
    const watermarkMs = this.watermarkOf(instance);
    const rhythmMs = Math.max(1, rule.spanMs / SETTLES_PER_SPAN);
    if (Math.floor(watermarkMs / rhythmMs) !== Math.floor(group.firmToMs / rhythmMs)) this.settle(ref, group);
    const insertion = insertHit(group, hit, rule, switches);
    if (insertion.kind === 'duplicate') return false;
    live.chain?.insert(hit);
    if (insertion.degraded) this.degraded.add(ref, insertion.degraded);
    if (instance.opens && this.config.speaksAll) this.openEpisodes(ref, group, hit.id);
    return true;
  }

  private applyToMachine(ref: GroupRef, live: Live, hit: Hit): boolean {
    const chained = live.chain?.insert(hit) ?? 'duplicate';
    const insertion = live.firm ? live.firm.insert(hit) : chained;
    if (insertion === 'duplicate') return false;
    if (typeof insertion === 'object') this.degraded.add(ref, insertion);
    return true;
  }

  /** Semantics section 8: the listed groups exist from the rule's first hit in the organization on. */
  private expectGroups(family: Family): void {
    for (const groupKey of family.instance.rule.definition.expect) this.addGroup(family, groupKey);
  }

  private expectHit(family: Family, timeMs: number): void {
    if (timeMs >= family.firstAtMs && timeMs <= family.lastAtMs) return;
    family.firstAtMs = Math.min(family.firstAtMs, timeMs);
    family.lastAtMs = Math.max(family.lastAtMs, timeMs);
    for (const groupKey of family.instance.rule.definition.expect) {
      const ref = family.groups.get(groupKey) ?? this.addGroup(family, groupKey);
      const live = this.table.live(ref);
      live.firm?.expect(family.firstAtMs, family.lastAtMs);
      live.chain?.expect(family.firstAtMs, family.lastAtMs);
      this.table.markDirty(ref);
      this.schedule(ref, live);
    }
  }

  /** X10.8: an episode without an open alert inside it gets one, with the trigger as known now. */
  private openEpisodes(ref: GroupRef, group: Group, arrivedId: string): void {
    const rule = ref.family.instance.window as WindowRule;
    const { switches, counters, speech } = this.config;
    const ranges = rangesOf(group, rule, switches);
    for (let index = 0; index < ranges.length; index++) {
      const range = ranges[index] as EpisodeRange;
      if (openOf(group, range)) continue;
      const episode = this.episodeOf(ref, group, range, ranges[index + 1]);
      const trigger = switches.canonicalTrigger ? triggerOf(episode) : arrivedId;
      const id = speech.openId(ref, episode, trigger);
      group.opens = [
        ...group.opens,
        {
          id,
          atMs: episode.fromMs,
          minute: Math.floor(this.watermarkOf(ref.family.instance) / UPDATE_MS),
          lastAtMs: episode.lastAtMs,
          count: episode.count,
        },
      ];
      counters.opens++;
      speech.open(ref, group, { id, episode, trigger });
    }
  }

  private episodeOf(ref: GroupRef, group: Group, range: EpisodeRange, next: EpisodeRange | undefined): Episode {
    const rule = ref.family.instance.window as WindowRule;
    const evidence = evidenceOfRange(group, range, { rule, switches: this.config.switches });
    const { count, exact } = countOfRange(group, range, { rule, nextFromMs: next?.fromMs });
    const { fromMs, lastAtMs } = range;
    const amount = amountOf(group, range, rule);
    return { fromMs, lastAtMs, evidence, count, countExact: exact, amount, dueMs: lastAtMs + rule.spanMs };
  }

  /**
   * Moves the watermark of a depth. What comes due at one step speaks in order of (rule, group) (X9); the chain hits it gives
   * are applied before the next depth moves.
   */
  advance(depth: number, watermarkMs: number): void {
    if (watermarkMs <= (this.watermarks[depth] ?? Number.NEGATIVE_INFINITY)) return;
    this.watermarks[depth] = watermarkMs;
    if (depth === 0) this.losses.pass(watermarkMs);
    for (const ref of this.table.cold.takeDue(depth, watermarkMs)) this.forget(ref);
    if (this.table.due.nextMs > watermarkMs) return;
    const { switches } = this.config;
    const visits: GroupRef[] = [];
    for (const ref of this.table.due.popThrough(watermarkMs)) {
      if (ref.outlook === 'silent' && ref.dueMs <= this.watermarkOf(ref.family.instance)) this.forget(ref);
      else if (this.isDue(ref)) visits.push(ref);
    }
    if (switches.sortedEmission) visits.sort(compareGroups);
    for (const ref of visits) this.visit(ref);
  }

  /** X11: a hit of an inner correlation, applied as soon as the depth that gave it has been brought up. */
  enqueue(pending: Pending): void {
    this.pending.push(pending);
  }

  /** Brings up depth by depth what stands on other correlations. `claimOf`: with chains in the log, what its partitions claim. */
  advanceChains(claimOf: ((depth: number) => number) | null): void {
    this.applyPending();
    for (let depth = 1; depth <= DEPTH_MAX; depth++) {
      const watermarkMs = this.depthWatermark(depth, claimOf);
      if (watermarkMs <= (this.watermarks[depth] ?? NO_WATERMARK_MS)) continue;
      this.advance(depth, watermarkMs);
      this.applyPending();
    }
  }

  private applyPending(): void {
    if (this.pending.length === 0) return;
    const pending = this.pending;
    this.pending = [];
    for (const { plan, organization, groupKey, hit } of pending) {
      this.config.counters.seen++;
      this.apply(plan, organization, groupKey, hit);
    }
  }

  private depthWatermark(depth: number, claimOf: ((depth: number) => number) | null): number {
    if (claimOf) return Math.min(this.watermarks[depth - 1] ?? NO_WATERMARK_MS, claimOf(depth));
    return this.chainClaim(depth);
  }

  /**
   * Below it no chain hit of the depth can come any more: the depth below has decided it, less the longest span of the rules
   * there that speak of the past.
   */
  chainClaim(depth: number): number {
    const belowMs = this.watermarks[depth - 1] ?? NO_WATERMARK_MS;
    if (belowMs === END_OF_INPUT_WATERMARK_MS || belowMs === NO_WATERMARK_MS) return belowMs;
    let lagMs = 0;
    for (const instance of this.table.instances.values()) {
      if (instance.isInner && instance.groups > 0 && instance.depth === depth - 1)
        lagMs = Math.max(lagMs, instance.lagMs);
    }
    return belowMs - lagMs;
  }

  /** The depth of the deepest correlation with state. */
  get deepest(): number {
    let depth = 0;
    for (const instance of this.table.instances.values()) {
      if (instance.groups > 0) depth = Math.max(depth, instance.depth);
    }
    return depth;
  }

  /** Whether there is something to do now; if not, it is scheduled again. Says nothing and changes nothing. */
  private isDue(ref: GroupRef): boolean {
    const dueMs = ref.outlook === 'bound' ? this.exactDueOf(ref, this.table.live(ref)) : ref.dueMs;
    if (dueMs <= this.watermarkOf(ref.family.instance)) return true;
    this.table.due.schedule(ref, dueMs);
    return false;
  }

  private visit(ref: GroupRef): void {
    this.table.markDirty(ref);
    const live = this.table.live(ref);
    const watermarkMs = this.watermarkOf(ref.family.instance);
    const { speech, counters } = this.config;
    if (live.episodes) {
      this.settle(ref, live.episodes);
      if (this.config.speaksAll) this.update(ref, live.episodes);
    }
    for (const outcome of live.firm?.advance(watermarkMs) ?? []) {
      if (outcome.kind === 'final') {
        counters.finals++;
        speech.decided(ref, outcome);
      } else if (outcome.kind === 'degraded') {
        counters.degraded++;
        speech.degraded(ref.family, ref.groupKey, outcome.range);
      }
    }
    for (const outcome of live.chain?.advance(watermarkMs) ?? []) {
      if (outcome.kind === 'chain') speech.chained(ref, outcome);
      else if (outcome.kind === 'degraded') speech.degraded(ref.family, ref.groupKey, outcome.range);
    }
    this.schedule(ref, live);
  }

  /** Brings a group up to the watermark and speaks the episodes that became final. */
  private settle(ref: GroupRef, group: Group): void {
    const rule = ref.family.instance.window as WindowRule;
    const { switches, counters, speech } = this.config;
    const watermarkMs = this.watermarkOf(ref.family.instance);
    for (const episode of settleGroup(group, watermarkMs, { rule, switches })) {
      const owned = group.opens.filter((open) => episode.fromMs <= open.atMs && open.atMs <= episode.lastAtMs);
      if (owned.length > 0) group.opens = group.opens.filter((open) => !owned.includes(open));
      counters.finals++;
      speech.over(ref, group, { episode, owned });
    }
  }

  /** X10.9: what is open and has changed speaks once per minute of watermark. */
  private update(ref: GroupRef, group: Group): void {
    if (group.opens.length === 0) return;
    const rule = ref.family.instance.window as WindowRule;
    const minute = Math.floor(this.watermarkOf(ref.family.instance) / UPDATE_MS);
    const ranges = rangesOf(group, rule, this.config.switches);
    for (let index = 0; index < ranges.length; index++) {
      const range = ranges[index] as EpisodeRange;
      const open = openOf(group, range);
      if (!open || minute <= open.minute) continue;
      const nextFromMs = ranges[index + 1]?.fromMs;
      const { count } = countOfRange(group, range, { rule, nextFromMs });
      if (open.lastAtMs === range.lastAtMs && open.count === count) continue;
      const episode = this.episodeOf(ref, group, range, ranges[index + 1]);
      open.minute = minute;
      open.lastAtMs = episode.lastAtMs;
      open.count = episode.count;
      this.config.counters.updates++;
      this.config.speech.update(ref, group, { id: open.id, episode, trigger: triggerOf(episode) });
    }
  }

  /** Sets a lower bound of when the group must be looked at next; forgets it when nothing is left of it. */
  private schedule(ref: GroupRef, live: Live): void {
    if (this.isOver(ref, live)) {
      this.forget(ref);
      return;
    }
    const { episodes } = live;
    this.table.weigh(ref, weightOf(live));
    let dueMs = Math.min(live.firm?.dueMs ?? Number.POSITIVE_INFINITY, live.chain?.dueMs ?? Number.POSITIVE_INFINITY);
    if (episodes) dueMs = Math.min(dueMs, this.episodesDueOf(ref, episodes, false));
    ref.steps = stepsOf(live, ref.family.instance.window);
    ref.freshSeconds = freshSecondsOf(live);
    ref.outlook = outlookOf(ref, live);
    if (ref.outlook === 'silent') ref.ageMs = ageOf(live.episodes as Group);
    this.table.due.schedule(ref, dueMs);
  }

  private forget(ref: GroupRef): void {
    this.table.remove(ref);
  }

  /** Nothing is left of it; a listed group (semantics section 8) stays until the input ends. */
  private isOver({ family, groupKey }: GroupRef, live: Live): boolean {
    if (!family.instance.rule.definition.expect.includes(groupKey)) return isEmpty(live);
    return this.watermarkOf(family.instance) === END_OF_INPUT_WATERMARK_MS;
  }

  private exactDueOf(ref: GroupRef, live: Live): number {
    const dueMs = Math.min(live.firm?.dueMs ?? Number.POSITIVE_INFINITY, live.chain?.dueMs ?? Number.POSITIVE_INFINITY);
    return live.episodes ? Math.min(dueMs, this.episodesDueOf(ref, live.episodes, true)) : dueMs;
  }

  /** When a final, an update, or the end of the last window is due; updates exactly, or as if something had changed. */
  private episodesDueOf(ref: GroupRef, group: Group, isExact: boolean): number {
    const rule = ref.family.instance.window as WindowRule;
    // Without strictness "passed" means reached, one millisecond sooner.
    const passed = this.config.switches.strictWatermark ? 1 : 0;
    const ranges = rangesOf(group, rule, this.config.switches);
    const first = ranges[0];
    if (!first) {
      const newestMs = group.hits.at(-1)?.timeMs ?? this.watermarkOf(ref.family.instance);
      return newestMs + rule.spanMs + 1;
    }
    let dueMs = first.lastAtMs + rule.spanMs + passed;
    const second = ranges[1];
    if (second) dueMs = Math.min(dueMs, second.fromMs + passed);
    if (group.opens.length === 0) return dueMs;
    for (let index = 0; index < ranges.length; index++) {
      const range = ranges[index] as EpisodeRange;
      const open = openOf(group, range);
      if (!open || (open.minute + 1) * UPDATE_MS >= dueMs) continue;
      if (isExact && open.lastAtMs === range.lastAtMs) {
        const { count } = countOfRange(group, range, { rule, nextFromMs: ranges[index + 1]?.fromMs });
        if (open.count === count) continue;
      }
      dueMs = (open.minute + 1) * UPDATE_MS;
    }
    return dueMs;
  }

  /** A group read from a blob; it stays packed where it can, so that a start costs no more than one look at each. */
  restore(blob: Uint8Array): void {
    const { version, head, read, packed } = decodeGroup(blob);
    const instance = this.table.instances.get(head.instanceKey);
    if (!instance) throw new CorrelationError('a group belongs to no correlation of the state', 'SEC_CORR_STATE');
    const family = instance.families.get(head.organization) ?? this.table.addFamily(instance, head.organization);
    if (this.table.has(family, head.groupKey)) return;
    const live = read(family);
    const ref = this.table.add(family, head.groupKey, live, version === STATE_VERSION ? packed : null);
    this.table.noteVersion(ref, version);
    this.schedule(ref, live);
  }

  /** A cold group as the store has it; one that is cold no more, or over, is left as it is. */
  bring(blob: Uint8Array): void {
    const { head, read } = decodeGroup(blob);
    const family = this.table.instances.get(head.instanceKey)?.families.get(head.organization);
    if (family) this.table.bring(family, head.groupKey, () => read(family));
  }

  /** Lets the groups go cold that were used longest ago, as far as the bound on packed groups asks for it. */
  letCold(): void {
    this.table.letCold((ref) => ref.dueMs > this.watermarkOf(ref.family.instance));
  }

  /**
   * X14: lets go of what is over the limits and says so, per rule and organization. To be called where the log decides it:
   * after a record has been applied, never by time or size of a flush.
   */
  keepLimits(limits: EngineLimits = this.limits): void {
    this.limits = limits;
    this.table.keepTo(limits);
    const { counters, speech } = this.config;
    for (const { family, refs } of overLimits(this.table, limits)) {
      const range = { fromMs: Number.POSITIVE_INFINITY, toMs: Number.NEGATIVE_INFINITY };
      for (const ref of refs) {
        const loss = this.letGo(ref);
        range.fromMs = Math.min(range.fromMs, loss.fromMs);
        range.toMs = Math.max(range.toMs, loss.toMs);
      }
      counters.evicted += refs.length;
      counters.degraded++;
      this.losses.add(family, STATE_PRESSURE, range);
      speech.degraded(family, null, { ...range, reason: STATE_PRESSURE });
    }
  }

  /** X14: matches of the rule were withheld from the organization; said once per cause, and only while it still says something. */
  withhold(who: Pick<Family, 'instance' | 'organization'>, cause: string, range: Range): void {
    if (this.losses.get(who, cause) || saidUntilMs(who.instance, range.toMs) < this.watermarkOf(who.instance)) return;
    this.config.counters.degraded++;
    this.losses.add(who, cause, range);
    this.config.speech.degraded(who, null, { ...range, reason: BREAKER });
  }

  private letGo(ref: GroupRef): Range {
    if (ref.isCold) return this.letGoCold(ref);
    const live = this.table.lastLook(ref);
    const { episodes } = live;
    const watermarkMs = this.watermarkOf(ref.family.instance);
    const ranges = episodes ? rangesOf(episodes, ref.family.instance.window as WindowRule, this.config.switches) : [];
    const loss = lossOf(ref.family.instance.rule.definition, { live, ranges, watermarkMs });
    if (episodes && this.config.speaksAll) this.abandon(ref, episodes, ranges);
    this.table.remove(ref);
    return loss;
  }

  private letGoCold(ref: GroupRef): Range {
    const { newestMs, ageMs } = ref;
    this.table.remove(ref);
    return lossOfWaiting(ref.family.instance.rule.definition, { firstMs: newestMs - ageMs, newestMs });
  }

  private abandon(ref: GroupRef, group: Group, ranges: readonly EpisodeRange[]): void {
    for (const open of group.opens) {
      const index = ranges.findIndex(({ fromMs, lastAtMs }) => fromMs <= open.atMs && open.atMs <= lastAtMs);
      const range = ranges[index] ?? { fromMs: open.atMs, lastAtMs: open.lastAtMs, current: false };
      const episode = this.episodeOf(ref, group, range, ranges[index + 1]);
      this.config.speech.abandoned(ref, group, { open, episode });
    }
  }
}

/** X9: emission order at one watermark is (rule, group). */
function compareGroups(a: GroupRef, b: GroupRef): number {
  return compareFamilies(a.family, b.family) || compareText(a.groupKey, b.groupKey);
}
