import type { AvroCodec } from '@tracehound/avro';
import type { DetectResult } from '@tracehound/detect';
import { PLATFORM_ORGANIZATION } from '@tracehound/event-model';
import type { RuleSetCompiled } from '@tracehound/sigma';
import { createAlertPairs, exampleOf, ruleOf, type Side } from './alert-pairs.ts';
import type { ReplayedFinal } from './diff-live.ts';
import { decidedFromMs, type ReplayPlan } from './plan.ts';
import type { IntakeTaker } from './read-all.ts';
import { createReplayRun, type ReplayRun } from './replay-run.ts';
import { createTotals, type RuleTotals } from './rule-totals.ts';

export type BacktestRunOptions = {
  readonly plan: ReplayPlan;
  /** `before`: what a draft is compared with; `after`: the draft. */
  readonly ruleSets: Readonly<Record<Side, RuleSetCompiled>>;
  readonly codec: Pick<AvroCodec, 'decode'>;
  readonly organization?: string;
  /** Only what stands on events of this trace. */
  readonly traceId?: string;
  /** Alerts shown per rule and change. */
  readonly examplesMax: number;
  /** Alerts that wait for a partner at once. */
  readonly pendingMax: number;
};

export type BacktestRun = IntakeTaker & {
  readonly counters: ReplayRun['counters'];
  readonly watermarkMs: number;
  /**
   * Ends the run. Windows that are open at the end are no alerts of either side, but an alert that the other side has already, or
   * overlaps, is neither added nor removed.
   */
  finish(): readonly RuleTotals[];
  /** Alerts compared before their time, because `pendingMax` waited. */
  readonly hurried: number;
};

/** Records between two looks for alerts that can find no partner any more. */
const SETTLE_RECORDS = 4_096;

/** Two rule sets over the same records at once: alerts are paired as they are decided, so that only totals are kept. */
export function createBacktestRun(options: BacktestRunOptions): BacktestRun {
  const { plan, ruleSets, organization, traceId } = options;
  const totals = createTotals(options);
  const rules = { before: ruleIdsOf(ruleSets.before), after: ruleIdsOf(ruleSets.after) };
  const pairs = createAlertPairs({ rules, pendingMax: options.pendingMax, onPair: totals.add });
  const traceIds = new Set<string>();
  const isWanted = ({ event_ids }: DetectResult): boolean =>
    traceId === undefined || event_ids.some((id) => traceIds.has(id));
  /** Detections of the record that is taken now, by rule. */
  const matches: Record<Side, Map<string, DetectResult>> = { before: new Map(), after: new Map() };
  const codec = decodedOnce(options.codec);
  let taken = 0;

  const runOf = (side: Side): ReplayRun =>
    createReplayRun({
      ruleSet: ruleSets[side],
      rulesLog: plan.rulesLog,
      codec,
      sources: plan.parts.length,
      ...(organization === undefined ? {} : { organization }),
      ...(traceId === undefined ? {} : { traceId }),
      onTraceEvent: ({ envelope }) => traceIds.add(envelope.event_id),
      onFinal: () => {},
      onResult: (result, appendTimeMs, final) => {
        if (!isWanted(result)) return;
        const isInRange = appendTimeMs >= plan.fromMs;
        if (final !== null) pairs.add({ side, result, final, isInRange });
        else if (isInRange) matches[side].set(result.rule_id, result);
      },
    });
  const runs: Readonly<Record<Side, ReplayRun>> = { before: runOf('before'), after: runOf('after') };

  function addMatches(): void {
    const { before, after } = matches;
    for (const [side, one, other] of [
      ['after', after, before],
      ['before', before, after],
    ] as const) {
      for (const [ruleId, result] of one) {
        const isBoth = other.has(ruleId);
        if (isBoth && side === 'before') continue; // Counted with the other side.
        const change = isBoth ? 'same' : side === 'after' ? 'added' : 'removed';
        totals.add({ ...ruleOf(result), change, example: exampleOf(result, organizationOf(result)) });
      }
    }
    before.clear();
    after.clear();
  }

  const addOpen = (side: Side, { result, final }: { result: DetectResult; final: ReplayedFinal }): void => {
    if (isWanted(result)) pairs.add({ side, result, final, isInRange: false });
  };

  return {
    get counters() {
      const { counters } = runs.before;
      return { ...counters, gaps: counters.gaps + runs.after.counters.gaps };
    },
    get watermarkMs() {
      return runs.before.watermarkMs;
    },
    get hurried() {
      return pairs.hurried;
    },
    async take(intake) {
      // The second one finds the record decoded: it is taken by both or by none.
      await runs.before.take(intake);
      await runs.after.take(intake);
      addMatches();
      if (++taken % SETTLE_RECORDS !== 0 || pairs.pending === 0) return;
      const { watermarkMs } = runs.before;
      const decided = [ruleSets.before, ruleSets.after].map((set) => decidedFromMs(set, watermarkMs));
      pairs.settle((ruleId) => Math.min(...decided.map((byRule) => byRule.get(ruleId) ?? watermarkMs)));
    },
    finish() {
      for (const side of ['before', 'after'] as const) for (const open of runs[side].open()) addOpen(side, open);
      pairs.settle(() => Number.POSITIVE_INFINITY);
      return totals.rows();
    },
  };
}

function ruleIdsOf({ correlations }: RuleSetCompiled): ReadonlySet<string> {
  return new Set(correlations.map(({ description }) => description.rule_id));
}

function organizationOf({ organization_id }: DetectResult): string {
  return organization_id ?? PLATFORM_ORGANIZATION;
}

/** A codec that remembers the last record: both sides ask for it. What failed is asked again. */
function decodedOnce(codec: Pick<AvroCodec, 'decode'>): Pick<AvroCodec, 'decode'> {
  let last: { readonly value: Buffer; readonly decoded: Awaited<ReturnType<AvroCodec['decode']>> } | null = null;
  return {
    decode: async (value) => {
      if (last?.value === value) return last.decoded;
      const decoded = await codec.decode(value);
      last = { value, decoded };
      return decoded;
    },
  };
}
