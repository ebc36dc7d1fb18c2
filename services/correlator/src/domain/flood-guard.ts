import type { RuleMatch, RuleSetCompiled } from '@tracehound/sigma';
import { breakerKey, type Trip } from './breakers.ts';

export type FloodGuardOptions = {
  /** Matches of one rule in one organization per window below which nothing is a flood. */
  readonly matchesMin: number;
  /** Matches per event of the organization from which on it is one. */
  readonly perEventMax: number;
  /** A rule floods: called once per window, rule and organization. */
  readonly onFlood: (flood: Trip) => void;
};

/** Length of a window, in append time. */
const WINDOW_MS = 10_000;

/** Organizations that are counted per window; senders who make up more of them are one together. */
const ORGANIZATIONS_MAX = 10_000;
const OTHERS = '';

type Tally = { events: number; readonly matches: Map<string, number>; readonly told: Set<string> };

/**
 * Notices a rule that makes many matches of each event, which fans out with values that a sender chooses. It only ever
 * proposes: what changes results is an activation in the log (X7). Windows are cut by append time; what another process
 * sees in its partitions does not count here.
 */
export class FloodGuard {
  private readonly options: FloodGuardOptions;
  private readonly tallies = new Map<string, Tally>();
  private windowEndMs = Number.NEGATIVE_INFINITY;

  constructor(options: FloodGuardOptions) {
    this.options = options;
  }

  /** Every event, those without a match too. */
  saw(event: {
    readonly organizationId: string;
    readonly appendTimeMs: number;
    readonly matches: readonly RuleMatch[];
    readonly rules: Pick<RuleSetCompiled, 'correlations'>;
  }): void {
    if (event.appendTimeMs >= this.windowEndMs) {
      this.windowEndMs = event.appendTimeMs + WINDOW_MS;
      this.tallies.clear();
    }
    const tally = this.tallyOf(event.organizationId);
    tally.events++;
    for (const { rule } of event.matches) {
      const ruleId = event.rules.correlations[rule]?.uid ?? '';
      const count = (tally.matches.get(ruleId) ?? 0) + 1;
      tally.matches.set(ruleId, count);
      if (count >= this.options.matchesMin && count > tally.events * this.options.perEventMax)
        this.tell(tally, {
          organizationId: event.organizationId,
          ruleId,
          reason: `${count} matches of ${tally.events} events within 10 s`,
        });
    }
  }

  private tell(tally: Tally, flood: Trip): void {
    const key = breakerKey(flood.organizationId, flood.ruleId);
    if (tally.told.has(key)) return;
    tally.told.add(key);
    this.options.onFlood(flood);
  }

  private tallyOf(organizationId: string): Tally {
    const key = this.tallies.has(organizationId) || this.tallies.size < ORGANIZATIONS_MAX ? organizationId : OTHERS;
    let tally = this.tallies.get(key);
    if (tally === undefined) {
      tally = { events: 0, matches: new Map(), told: new Set() };
      this.tallies.set(key, tally);
    }
    return tally;
  }
}
