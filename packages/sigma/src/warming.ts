import type { LinkedCorrelation } from './correlation-link.ts';
import type { ParsedCorrelation, ParsedDetection } from './rule-document.ts';
import { hashAll } from './rule-hash.ts';
import type { NamedRule } from './rule-names.ts';
import type { Test } from './test-tree.ts';

/**
 * Files below this folder are the set that is to come: what it changes is run beside the set in force, from the log as it grows,
 * and heard by nobody (EXACTNESS X12). The set itself, applied later, finds windows that are full.
 */
export const WARMING_FOLDER = 'warming/';

/** Rules that were read and linked by the names of their own layer. */
export type Layer = {
  readonly rules: readonly NamedRule[];
  readonly tests: ReadonlyMap<ParsedDetection, Test>;
  readonly linked: ReadonlyMap<ParsedCorrelation, LinkedCorrelation>;
};

/** The status under which what a rule says goes to nobody. */
const ON_TRIAL = 'experimental';

/**
 * The correlations of the layer to come that the one in force does not have, and the detections they need: on trial, whatever their
 * status says, and told apart by their semantic hash alone. What both layers have is not there twice: a correlation that is new
 * stands on the rules in force where those mean the same.
 */
export function warmingOf(inForce: Layer, toCome: Layer): Layer {
  const present = byMeaning(inForce);
  const hashes = hashesOf(toCome);
  const places = new Map<NamedRule, NamedRule>();
  for (const [rule, hash] of hashes) {
    const same = present.get(meaningOf(rule, hash));
    if (same !== undefined) places.set(rule, same);
  }
  const tests = new Map<ParsedDetection, Test>();
  const linked = new Map<ParsedCorrelation, LinkedCorrelation>();
  const rules: NamedRule[] = [];
  // The linker's order is from the inside out.
  for (const [rule, one] of toCome.linked) {
    if (places.has(rule) || !hashes.has(rule)) continue;
    const targets = one.targets.map((target) => {
      const known = places.get(target);
      if (known !== undefined) return known;
      // Correlations it stands on came before it.
      if (target.kind === 'correlation') return target;
      const needed = onTrial(target);
      places.set(target, needed);
      tests.set(needed, toCome.tests.get(target) as Test); // It has a hash, so it has a test.
      rules.push(needed);
      return needed;
    });
    const warming = onTrial(rule);
    places.set(rule, warming);
    linked.set(warming, { ...one, rule: warming, targets });
    rules.push(warming);
  }
  return { rules, tests, linked };
}

function onTrial<R extends NamedRule>(rule: R): R {
  return { ...rule, description: { ...rule.description, status: ON_TRIAL } };
}

function hashesOf({ tests, linked }: Layer): ReadonlyMap<NamedRule, string> {
  return hashAll(tests, linked, [...linked.values()]);
}

function byMeaning(layer: Layer): ReadonlyMap<string, NamedRule> {
  return new Map([...hashesOf(layer)].map(([rule, hash]) => [meaningOf(rule, hash), rule]));
}

function meaningOf({ kind, uid }: NamedRule, hash: string): string {
  return JSON.stringify([kind, uid, hash]);
}
