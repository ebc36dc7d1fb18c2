import type { AlertPair, PairChange, PairExample } from './alert-pairs.ts';

/** What two rule sets said of one rule. `before` is same + changed + removed, `after` same + changed + added. */
export type RuleTotals = Pick<AlertPair, 'kind' | 'rule_id' | 'rule_title'> & {
  readonly before: number;
  readonly after: number;
  readonly same: number;
  readonly changed: number;
  readonly added: number;
  readonly removed: number;
  /** The first ones of each change, in the order in which they were decided. */
  readonly examples: Readonly<Record<Exclude<PairChange, 'same'>, readonly PairExample[]>>;
};

/** Sums up pairs by rule; what it holds grows with the rules, not with the alerts. */
export type TotalsByRule = {
  add(pair: AlertPair): void;
  /** Those that differ first, correlations before detections, then by title. */
  rows(): readonly RuleTotals[];
};

type Tally = Pick<AlertPair, 'kind' | 'rule_id' | 'rule_title'> & {
  readonly counts: Record<PairChange, number>;
  readonly examples: Record<Exclude<PairChange, 'same'>, PairExample[]>;
};

/** @see TotalsByRule. `examplesMax`: per rule and change. */
export function createTotals({ examplesMax }: { readonly examplesMax: number }): TotalsByRule {
  const tallies = new Map<string, Tally>();
  return {
    add({ change, example, ...rule }) {
      const key = `${rule.kind} ${rule.rule_id}`;
      let tally = tallies.get(key);
      if (tally === undefined) {
        tally = {
          ...rule,
          counts: { same: 0, changed: 0, added: 0, removed: 0 },
          examples: { changed: [], added: [], removed: [] },
        };
        tallies.set(key, tally);
      }
      tally.counts[change]++;
      if (change === 'same') return;
      const examples = tally.examples[change];
      if (examples.length < examplesMax) examples.push(example);
    },
    rows: () => [...tallies.values()].map(totalsOf).sort(byChange),
  };
}

function totalsOf({ counts, examples, ...rule }: Tally): RuleTotals {
  const { same, changed, added, removed } = counts;
  return { ...rule, before: same + changed + removed, after: same + changed + added, ...counts, examples };
}

function byChange(a: RuleTotals, b: RuleTotals): number {
  return (
    Number(isDiffering(b)) - Number(isDiffering(a)) ||
    compareText(a.kind, b.kind) ||
    compareText(a.rule_title, b.rule_title) ||
    compareText(a.rule_id, b.rule_id)
  );
}

function isDiffering({ before, same, added }: RuleTotals): boolean {
  return before !== same || added > 0;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
