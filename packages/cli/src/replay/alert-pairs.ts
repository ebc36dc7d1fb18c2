import { hash } from 'node:crypto';
import type { DetectResult } from '@tracehound/detect';
import type { ReplayedFinal } from './diff-live.ts';

/** The rules in force, or the draft. */
export type Side = 'before' | 'after';

/**
 * What came of an alert: both sides have it; both have one there (same rule, organization and group, overlapping time), but its
 * time, count or evidence differs; only the draft has it; only the rules in force have it.
 */
export type PairChange = 'same' | 'changed' | 'added' | 'removed';

/** One side's alert. */
export type SideAlert = {
  readonly side: Side;
  readonly result: DetectResult;
  readonly final: ReplayedFinal;
  /** Decided within the range; others lie at its edges and only keep those of the other side from looking new or lost. */
  readonly isInRange: boolean;
};

/** What is shown of an alert or match. */
export type PairExample = Pick<DetectResult, 'at' | 'group' | 'count'> & {
  readonly organization_id: string;
  /** At most 16. */
  readonly event_ids: readonly string[];
};

export type AlertPair = Pick<DetectResult, 'kind' | 'rule_id' | 'rule_title'> & {
  readonly change: PairChange;
  readonly example: PairExample;
};

/** Finds the partner of each alert on the other side, in bounded memory. */
export type AlertPairs = {
  add(alert: SideAlert): void;
  /**
   * Settles alerts that can find no partner any more. `decidedFromMs`: nothing that begins earlier will come of that rule, on
   * either side.
   */
  settle(decidedFromMs: (ruleId: string) => number): void;
  readonly pending: number;
  /** Alerts that were settled before their time for want of room: they may count as added or removed and be neither. */
  readonly hurried: number;
};

export type AlertPairsOptions = {
  /** Ids of the rules of each side: what only one of them has needs to wait for nobody. */
  readonly rules: Readonly<Record<Side, ReadonlySet<string>>>;
  /** Alerts that wait for a partner at once, about 500 bytes each. */
  readonly pendingMax: number;
  readonly onPair: (pair: AlertPair) => void;
};

const EVENTS_SHOWN = 16;

type Entry = Pick<SideAlert, 'side' | 'isInRange'> & {
  /** Rule, organization and group. */
  readonly place: string;
  /** Digest of the place, time, count and events: what `backtest` over files compares too. */
  readonly key: string;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  readonly kept: Omit<AlertPair, 'change'>;
};

/** @see AlertPairs */
export function createAlertPairs({ rules, pendingMax, onPair }: AlertPairsOptions): AlertPairs {
  const waiting = new Set<Entry>();
  const byKey = createIndex<Entry>();
  const byPlace = createIndex<Entry>();
  let hurried = 0;

  function wait(entry: Entry): void {
    waiting.add(entry);
    byKey.add(`${entry.side} ${entry.key}`, entry);
    byPlace.add(`${entry.side} ${entry.place}`, entry);
  }

  function leave(entry: Entry): void {
    waiting.delete(entry);
    byKey.remove(`${entry.side} ${entry.key}`, entry);
    byPlace.remove(`${entry.side} ${entry.place}`, entry);
  }

  /** An alert of the draft stands for a pair. */
  function pairUp(change: 'same' | 'changed', one: Entry, other: Entry): void {
    if (one.isInRange || other.isInRange) onPair({ ...(one.side === 'after' ? one : other).kept, change });
  }

  function settleOne(entry: Entry): void {
    leave(entry);
    for (const other of byPlace.of(`${otherOf(entry.side)} ${entry.place}`)) {
      if (!overlaps(other, entry)) continue;
      leave(other);
      pairUp('changed', entry, other);
      return;
    }
    if (entry.isInRange) onPair({ ...entry.kept, change: entry.side === 'after' ? 'added' : 'removed' });
  }

  return {
    get pending() {
      return waiting.size;
    },
    get hurried() {
      return hurried;
    },
    add(alert) {
      const entry = entryOf(alert);
      const [partner] = byKey.of(`${otherOf(entry.side)} ${entry.key}`);
      if (partner !== undefined) {
        leave(partner);
        pairUp('same', entry, partner);
        return;
      }
      wait(entry);
      if (!rules[otherOf(entry.side)].has(entry.kept.rule_id)) settleOne(entry);
      const [oldest] = waiting;
      if (oldest === undefined || waiting.size <= pendingMax) return;
      hurried++;
      settleOne(oldest);
    },
    settle(decidedFromMs) {
      // What is paired with another on the way is no longer met.
      for (const entry of waiting) if (entry.lastAtMs < decidedFromMs(entry.kept.rule_id)) settleOne(entry);
    },
  };
}

function entryOf({ side, result, final, isInRange }: SideAlert): Entry {
  const { organization, rule, group, first_at: firstAtMs, last_at: lastAtMs } = final.projection;
  const place = JSON.stringify([rule, organization, group]);
  const key = hash('sha256', JSON.stringify([place, result.at, result.count, result.event_ids]), 'base64url');
  const kept = { ...ruleOf(result), example: exampleOf(result, organization) };
  return { side, isInRange, place, key, firstAtMs, lastAtMs, kept };
}

function otherOf(side: Side): Side {
  return side === 'before' ? 'after' : 'before';
}

/** Many values a key, in the order in which they came. */
type Index<T> = {
  of(key: string): Iterable<T>;
  add(key: string, value: T): void;
  remove(key: string, value: T): void;
};

function createIndex<T>(): Index<T> {
  const sets = new Map<string, Set<T>>();
  return {
    of: (key) => sets.get(key) ?? [],
    add(key, value) {
      const set = sets.get(key);
      if (set === undefined) sets.set(key, new Set([value]));
      else set.add(value);
    },
    remove(key, value) {
      const set = sets.get(key);
      set?.delete(value);
      if (set?.size === 0) sets.delete(key);
    },
  };
}

export function ruleOf({
  kind,
  rule_id,
  rule_title,
}: DetectResult): Pick<AlertPair, 'kind' | 'rule_id' | 'rule_title'> {
  return { kind, rule_id, rule_title };
}

export function exampleOf({ at, group, count, event_ids }: DetectResult, organization: string): PairExample {
  return { at, organization_id: organization, group, count, event_ids: event_ids.slice(0, EVENTS_SHOWN) };
}

function overlaps(a: Entry, b: Entry): boolean {
  return a.firstAtMs <= b.lastAtMs && b.firstAtMs <= a.lastAtMs;
}
