import { END_OF_INPUT_WATERMARK_MS, NO_WATERMARK_MS } from '@tracehound/event-model';
import type { CorrelationRule, RuleMatch, RuleSetCompiled } from '@tracehound/sigma';
import { evidenceIds } from './alert.ts';
import { alertIdOf } from './alert-id.ts';
import { ChainEvidence } from './chain-evidence.ts';
import { chainHits } from './chains.ts';
import { type CounterName, emptyCounters } from './counters.ts';
import type { Episode } from './episodes.ts';
import { decidedFacts, type FinalFacts, factsOf } from './final-facts.ts';
import type { FirmChainHit, FirmFinal } from './firm/machine.ts';
import { compareText } from './hit.ts';
import { BYTES_MAX_DEFAULT, type EngineLimits, GROUPS_MAX_DEFAULT } from './limits.ts';
import type { Family, GroupRef } from './live-group.ts';
import { ENGINE_MEMORY } from './memory.ts';
import type { OfflineGap } from './offline-gap.ts';
import { STATE_VERSION } from './state-version.ts';
import { isStreamed, type StreamFinal, type StreamRule, Streams } from './stream/streams.ts';
import { EXACT } from './switches.ts';
import { type Plan, Windows } from './windows.ts';

/** A decided correlation (semantics section 9). */
export type OfflineFinal = FinalFacts & {
  readonly rule: CorrelationRule;
  readonly organization: string;
  readonly groupKey: string;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  /** Evidence, sorted: events, and the hits of inner correlations (`eventsOf` tells what these are made of). */
  readonly eventIds: readonly string[];
};

/** What a window keeps of an event. */
export type OfflineEvent = {
  readonly id: string;
  readonly timeMs: number;
  readonly organization: string;
  readonly instance?: string | null;
  readonly sequence?: number | null;
};

/** The windows over one recording that is read to its end: the same machines, without a log, records and durable state. */
export type OfflineEngine = {
  /** The caller has seen to it that the event is not late. */
  add(match: RuleMatch, event: OfflineEvent): void;
  /** What is firm at the watermark; costs nothing when nothing is due. */
  advance(watermarkMs: number): readonly OfflineFinal[];
  /** The recording is over. */
  end(): readonly OfflineFinal[];
  /** The evidence as events alone, sorted, through all inner correlations. Ask when the final is told, not later. */
  eventsOf(final: Pick<OfflineFinal, 'eventIds'>): readonly string[];
  /** Ranges in which state was dropped since the last call. */
  takeGaps(): readonly OfflineGap[];
  readonly liveGroups: number;
  counters(): Readonly<Record<CounterName, number>>;
};

export type OfflineOptions = { readonly groupsMax?: number; readonly bytesMax?: number };

/** @see OfflineEngine */
export function createOfflineEngine(ruleSet: RuleSetCompiled, options: OfflineOptions = {}): OfflineEngine {
  return new Offline(ruleSet, options);
}

const NOTHING: readonly OfflineFinal[] = [];
/** Matches between two looks at the limits. */
const LIMITS_EVERY = 4096;

class Offline implements OfflineEngine {
  private readonly ruleSet: RuleSetCompiled;
  private readonly windows: Windows;
  private readonly plans: readonly Plan[];
  private readonly streams: Streams;
  /** Per rule; null where the general windows run it. */
  private readonly streamed: readonly (StreamRule | null)[];
  private readonly groupsMax: number;
  private readonly tally = emptyCounters();
  private finals: OfflineFinal[] = [];
  private gaps: OfflineGap[] = [];
  private offset = 0;
  /** Null without chains. */
  private readonly chained: ChainEvidence | null;

  constructor(ruleSet: RuleSetCompiled, options: OfflineOptions) {
    this.ruleSet = ruleSet;
    this.windows = new Windows(
      {
        switches: EXACT,
        speaksAll: false,
        tracksDirty: false,
        limits: limitsOf(options),
        memory: ENGINE_MEMORY,
        stateVersion: STATE_VERSION,
        counters: this.tally,
        speech: {
          open: () => {},
          update: () => {},
          openId: () => '',
          over: (ref, _, { episode }) => this.over(ref, episode),
          decided: (ref, final) => this.decided(ref, final),
          abandoned: () => {},
          chained: (ref, hit) => this.chainedHit(ref, hit),
          degraded: (family, groupKey, range) => this.degraded(family, groupKey, range),
        },
      },
      NO_WATERMARK_MS,
    );
    this.plans = ruleSet.correlations.map((rule) => ({ rule, instance: this.windows.instanceOf(rule) }));
    this.groupsMax = options.groupsMax ?? GROUPS_MAX_DEFAULT;
    this.streams = new Streams({
      bytesMax: options.bytesMax ?? BYTES_MAX_DEFAULT,
      counters: this.tally,
      final: (final) => this.streamOver(final),
      gap: (gap) => this.gaps.push(gap),
    });
    this.streamed = this.plans.map(({ rule, instance }) =>
      isStreamed(instance) && instance.window ? this.streams.createRule(rule, instance.window) : null,
    );
    this.chained = ruleSet.correlations.some(({ feeds }) => feeds.length > 0) ? new ChainEvidence() : null;
  }

  get liveGroups(): number {
    return this.windows.table.size + this.streams.size;
  }

  counters(): Readonly<Record<CounterName, number>> {
    return { ...this.tally };
  }

  add(match: RuleMatch, event: OfflineEvent): void {
    this.tally.seen++;
    this.offset++;
    const rule = this.ruleSet.inOrganization(match.rule, event.organization);
    const streamed = this.streamed[rule] as StreamRule | null;
    if (streamed === null) this.apply(this.plans[rule] as Plan, match, event);
    else this.stream(streamed, match, event);
    this.windows.sayDegraded();
    if (this.offset % LIMITS_EVERY === 0) {
      this.windows.keepLimits();
      this.streams.keepLimits(this.groupsMax - this.windows.table.size);
    }
  }

  private stream(streamed: StreamRule, match: RuleMatch, event: OfflineEvent): void {
    const { instance = null, sequence = null } = event;
    this.streams.add(streamed, event.organization, match.group_key, {
      timeMs: event.timeMs,
      id: event.id,
      step: match.step,
      value: match.value,
      origin: instance !== null && sequence !== null ? { instance, sequence } : null,
    });
  }

  private apply(plan: Plan, match: RuleMatch, event: OfflineEvent): void {
    this.windows.apply(plan, event.organization, match.group_key, {
      timeMs: event.timeMs,
      id: event.id,
      step: match.step,
      value: match.value,
      number: match.number,
      source: 0,
      sourceOffset: this.offset,
      matchesOffset: 0,
      instance: event.instance ?? null,
      sequence: event.sequence ?? null,
    });
  }

  advance(watermarkMs: number): readonly OfflineFinal[] {
    this.streams.advance(watermarkMs);
    this.windows.advance(0, watermarkMs);
    if (this.chained !== null) this.windows.advanceChains(null);
    this.windows.sayDegraded();
    return this.take();
  }

  end(): readonly OfflineFinal[] {
    return this.advance(END_OF_INPUT_WATERMARK_MS);
  }

  eventsOf({ eventIds }: Pick<OfflineFinal, 'eventIds'>): readonly string[] {
    return this.chained === null ? eventIds : this.chained.resolve(eventIds);
  }

  takeGaps(): readonly OfflineGap[] {
    const gaps = this.gaps;
    this.gaps = [];
    return gaps;
  }

  private take(): readonly OfflineFinal[] {
    if (this.finals.length === 0) return NOTHING;
    const finals = this.finals.sort(compareFinals);
    this.finals = [];
    return finals;
  }

  private streamOver({ group, episode, dueMs }: StreamFinal): void {
    const { rule, organization } = group.line;
    const { eventIds, firstAtMs, atMs } = episode.left;
    const { count, lastAtMs } = episode;
    this.tally.finals++;
    const groupKey = group.key;
    this.finals.push({ rule, organization, groupKey, atMs, dueMs, count, firstAtMs, lastAtMs, eventIds });
  }

  private over(ref: GroupRef, episode: Episode): void {
    const { rule } = ref.family.instance;
    const { evidence, fromMs, lastAtMs } = episode;
    const firstAtMs = evidence[0]?.timeMs ?? fromMs;
    this.say(ref, { ...factsOf(episode, rule), firstAtMs, lastAtMs, eventIds: evidenceIds(evidence) });
  }

  private decided(ref: GroupRef, final: FirmFinal): void {
    const { firstAtMs, lastAtMs, eventIds } = final;
    this.say(ref, { ...decidedFacts(final), firstAtMs, lastAtMs, eventIds });
  }

  private say(ref: GroupRef, said: Omit<OfflineFinal, 'rule' | 'organization' | 'groupKey'>): void {
    const { instance, organization } = ref.family;
    if (instance.rule.emitsAlert)
      this.finals.push({ rule: instance.rule, organization, groupKey: ref.groupKey, ...said });
  }

  private chainedHit(ref: GroupRef, chain: FirmChainHit): void {
    const { rule } = ref.family.instance;
    const { organization } = ref.family;
    const { uid: correlation, semanticHash } = rule;
    const { groupKey } = ref;
    const parts = { organization, correlation, semanticHash, groupKey, frame: chain.frame, trigger: chain.triggerId };
    const id = `chain:${alertIdOf(parts)}`;
    this.chained?.keep(id, evidenceIds(chain.evidence));
    for (const { outer, groupKey: outerKey, hit } of chainHits(this.ruleSet, {
      rule,
      groupKey,
      organization,
      id,
      chain,
    })) {
      this.tally.chained++;
      this.windows.enqueue({ plan: this.plans[outer.index] as Plan, organization, groupKey: outerKey, hit });
    }
  }

  private degraded(
    family: Pick<Family, 'instance' | 'organization'>,
    groupKey: string | null,
    range: { readonly fromMs: number; readonly toMs: number; readonly reason: string },
  ): void {
    this.gaps.push({ rule: family.instance.rule, organization: family.organization, groupKey, ...range });
  }
}

/** One reader of a recording: no organization and no rule has less than all of it. */
function limitsOf({ groupsMax = GROUPS_MAX_DEFAULT, bytesMax = BYTES_MAX_DEFAULT }: OfflineOptions): EngineLimits {
  return {
    groupsMax,
    bytesMax,
    organizationGroupsMax: groupsMax,
    organizationBytesMax: bytesMax,
    ruleGroupsMax: groupsMax,
    ruleBytesMax: bytesMax,
  };
}

function compareFinals(a: OfflineFinal, b: OfflineFinal): number {
  return (
    a.dueMs - b.dueMs ||
    a.rule.index - b.rule.index ||
    compareText(a.organization, b.organization) ||
    compareText(a.groupKey, b.groupKey) ||
    a.lastAtMs - b.lastAtMs
  );
}
