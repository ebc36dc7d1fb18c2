import { createHash } from 'node:crypto';
import type { LinkedCorrelation } from './correlation-link.ts';
import type { ParsedCorrelation, ParsedDetection } from './rule-document.ts';
import type { NamedRule } from './rule-names.ts';
import type { Test } from './test-tree.ts';

/** SHA-256 in hex over length-prefixed parts, so that no two lists of parts have the same bytes. */
export function hashOf(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex');
}

/** Semantic hashes, inner rules first: a correlation's holds those of everything it stands on. */
export function hashAll(
  tests: ReadonlyMap<ParsedDetection, Test>,
  linked: ReadonlyMap<ParsedCorrelation, LinkedCorrelation>,
  ready: readonly LinkedCorrelation[],
): ReadonlyMap<NamedRule, string> {
  const hashes = new Map<NamedRule, string>();
  for (const [rule, test] of tests) hashes.set(rule, hashOf([JSON.stringify([rule.logSource, test])]));
  // The linker's order is from the inside out.
  const isReady = new Set(ready);
  for (const one of linked.values()) {
    if (!isReady.has(one)) continue;
    hashes.set(
      one.rule,
      hashOfLinked(one, (target) => hashes.get(target)),
    );
  }
  return hashes;
}

/** Equal as long as nothing changed that could change what the correlation alerts on. */
export function hashOfLinked(one: LinkedCorrelation, hashOfTarget: (target: NamedRule) => string | undefined): string {
  const { source, definition, groupFields, valueFields, groupPositions, valuePositions } = one;
  const steps = one.targets.map((target) => hashOfTarget(target) ?? null);
  const fields = [source.groupBy, groupFields, valueFields, groupPositions, valuePositions, source.nullGroup];
  return hashOf([JSON.stringify([definition, steps, fields])]);
}
