import type { Mutant } from './mutant.ts';

const SERVICE = 'services/correlator/src';
const CORRELATION = 'packages/correlation/src';
const OWNERS = { tests: [`${SERVICE}/correlator.simulation.test.ts`], named: '^(?!.*X11).*E1 E2 E3 hold' };
const CHAINS = { tests: [`${SERVICE}/correlator.simulation.test.ts`], named: 'X11 E1 E2 E3 hold' };
const STORE = { tests: [`${SERVICE}/adapters/memory-state-store.test.ts`], named: '.' };
const COLD = { tests: [`${CORRELATION}/cold-groups.property.test.ts`], named: '.' };
const VERSIONS = { tests: [`${CORRELATION}/state-version.test.ts`], named: 'X8' };
const REBUILDS = {
  tests: [`${CORRELATION}/rebuild-start.test.ts`, `${CORRELATION}/recovery.property.test.ts`],
  named: 'X12',
};
const DETECTORS = { tests: [`${SERVICE}/detector.simulation.test.ts`], named: 'E2 hold' };
const MODEL = { tests: [`${CORRELATION}/mutants.test.ts`], named: 'the exact engine fails no check' };

/** Faults of the protocol between log, state store and outlet (X3 to X12). Each is one a reviewer could miss. */
export const CORRELATOR_MUTANTS: readonly Mutant[] = [
  {
    name: 'X8 fence off',
    file: `${SERVICE}/adapters/memory-state-store.ts`,
    find: "if (!isHeldBy(state, request.fence)) return 'fenced';",
    replace: '',
    ...OWNERS,
  },
  {
    name: 'X8 compare-and-swap loosened: epoch alone',
    file: `${SERVICE}/adapters/memory-state-store.ts`,
    find: 'String(state.epoch) === fence.epoch && state.nonce === fence.nonce && state.flushSeq === fence.flushSeq',
    replace: 'String(state.epoch) === fence.epoch',
    ...STORE,
  },
  {
    name: 'X8 compare-and-swap loosened: no nonce',
    file: `${SERVICE}/adapters/memory-state-store.ts`,
    find: ' && state.nonce === fence.nonce',
    replace: '',
    ...STORE,
  },
  {
    name: 'X8 memory kept after a doubtful flush',
    file: `${SERVICE}/domain/partition-owner.ts`,
    find: 'this.session = null;\n    this.deps.observe?.lost',
    replace: 'this.deps.observe?.lost',
    ...OWNERS,
  },
  {
    name: 'X8 a batch of the old position applied after a reload',
    file: `${SERVICE}/correlator.ts`,
    find: 'if (takes !== lane.takes) return;',
    replace: '',
    ...CHAINS,
  },
  {
    name: 'X8 cold groups read under a fence that is gone',
    file: `${SERVICE}/adapters/memory-state-store.ts`,
    find: "if (!isHeldBy(state, fence)) throw new OwnershipLostError(partition, 'fenced');\n    return groupIds",
    replace: 'return groupIds',
    ...STORE,
  },
  {
    name: 'X8 a changed group goes cold before it is written',
    file: `${CORRELATION}/group-table.ts`,
    find: 'if (ref.isDirty || this.otherVersion.has(ref))',
    replace: 'if (this.otherVersion.has(ref))',
    ...COLD,
  },
  {
    name: 'X8 groups of another version stay as they are until a match changes them',
    file: `${CORRELATION}/group-table.ts`,
    find: 'if (version !== this.version && this.tracksDirty) this.otherVersion.add(ref);',
    replace: '',
    ...VERSIONS,
  },
  {
    name: 'X8 packed groups written as they are, whatever version is asked for',
    file: `${CORRELATION}/group-table.ts`,
    find: 'else if (this.version === STATE_VERSION) writer.raw',
    replace: 'else if (ref.place >= 0) writer.raw',
    ...VERSIONS,
  },
  {
    name: 'X14 a cold group let go without its first hit',
    file: `${CORRELATION}/windows.ts`,
    find: 'firstMs: newestMs - ageMs',
    replace: 'firstMs: newestMs',
    ...COLD,
  },
  {
    name: 'X5 contiguity off: a repeated part applied again',
    file: `${CORRELATION}/switches.ts`,
    find: 'dropBelowMark: true,',
    replace: 'dropBelowMark: false,',
    ...MODEL,
  },
  {
    name: 'X5 contiguity off: a gap passed over',
    file: `${CORRELATION}/switches.ts`,
    find: 'gapCheck: true,',
    replace: 'gapCheck: false,',
    ...MODEL,
  },
  {
    name: 'X6 duplicate check off',
    file: `${CORRELATION}/switches.ts`,
    find: 'dropDuplicateIds: true,',
    replace: 'dropDuplicateIds: false,',
    ...MODEL,
  },
  {
    name: 'X4 ticks withheld',
    file: `${SERVICE}/domain/covered-range.ts`,
    find: 'cuts.push({ to: safeOffset(range.to), matches: current });',
    replace: 'if (current.length > 0) cuts.push({ to: safeOffset(range.to), matches: current });',
    ...DETECTORS,
  },
  {
    name: 'X4 no clock allowance',
    file: `${SERVICE}/domain/covered-range.ts`,
    find: ' - activation.clock_allowance_ms',
    replace: '',
    ...DETECTORS,
  },
  {
    name: 'X3 an event on the border is late',
    file: `${SERVICE}/stages/match.ts`,
    find: 'latenessMs > activation.lateness_ms',
    replace: 'latenessMs >= activation.lateness_ms',
    ...DETECTORS,
  },
  {
    name: 'X7 an activation one millisecond late',
    file: `${SERVICE}/domain/activations.ts`,
    find: 'if (entry.activation.effective_at <= appendTimeMs) return entry;',
    replace: 'if (entry.activation.effective_at < appendTimeMs) return entry;',
    tests: [`${SERVICE}/domain/activations.test.ts`],
    named: '.',
  },
  {
    name: 'X9 the outbox is not part of the flush',
    file: `${SERVICE}/domain/partition-owner.ts`,
    find: 'outbox: fresh.map(encodeOutboxRecord),',
    replace: 'outbox: [],',
    ...OWNERS,
  },
  {
    name: 'X9 alerts emitted before their flush',
    file: `${SERVICE}/domain/partition-owner.ts`,
    find: 'session.fresh.push(one);',
    replace: 'session.pending.push(one);',
    ...OWNERS,
  },
  {
    name: 'X12 refold after a loss skipped',
    file: `${SERVICE}/correlator.ts`,
    find: "return next === null ? { kind: 'earliest' }",
    replace: "return next === null ? { kind: 'offset', offset: until }",
    ...OWNERS,
  },
  {
    name: 'X12 a rebuild that begins one span before the watermark',
    file: `${CORRELATION}/rebuild-start.ts`,
    find: 'rebuildFromMs(windows.watermarkOf(instance), spanMs) - spanMs',
    replace: 'windows.watermarkOf(instance) - spanMs',
    ...REBUILDS,
  },
  {
    name: 'X12 a rebuild that does not wait for every source',
    file: `${CORRELATION}/rebuild-start.ts`,
    find: 'Math.min(least, this.spokenAt[slot] ?? 0)',
    replace: 'least',
    ...REBUILDS,
  },
  {
    name: 'X12 a rule without groups is out of use',
    file: `${CORRELATION}/rebuild-start.ts`,
    find: 'return instance.newestMs + 2 * spanMs >= windows.watermarkOf(instance);',
    replace: 'return false;',
    ...REBUILDS,
  },
  {
    name: 'X12 silence forgotten in a rebuild',
    file: `${CORRELATION}/rebuild-start.ts`,
    find: 'if (expect.length > 0) return Number.NEGATIVE_INFINITY;',
    replace: '',
    ...REBUILDS,
  },
  {
    name: 'X11 chain hits outside the flush',
    file: `${SERVICE}/domain/partition-owner.ts`,
    find: 'session.fresh = session.fresh.concat(session.engine.takeChained(next));',
    replace: 'session.pending = session.pending.concat(session.engine.takeChained(next));',
    ...CHAINS,
  },
  {
    name: 'X11 claims without the lag of inner rules',
    file: `${CORRELATION}/windows.ts`,
    find: 'return belowMs - lagMs;',
    replace: 'return belowMs;',
    ...CHAINS,
  },
  {
    name: 'X11 a depth does not wait for the claims of all partitions',
    file: `${CORRELATION}/windows.ts`,
    find: 'Math.min(this.watermarks[depth - 1] ?? NO_WATERMARK_MS, claimOf(depth))',
    replace: 'this.watermarks[depth - 1] ?? NO_WATERMARK_MS',
    ...CHAINS,
  },
  {
    name: 'X11 a new owner claims what it has not said',
    file: `${SERVICE}/domain/chain-lane.ts`,
    find: 'this.deps.engine.markOf({ topic_id: topicId, partition }, depth) ?? 0',
    replace: '(this.deps.engine.markOf({ topic_id: topicId, partition }, depth) ?? 0) + 1',
    ...CHAINS,
  },
  {
    name: 'X11 expected groups spread over partitions',
    file: `${SERVICE}/domain/route.ts`,
    find: "rule.definition.expect.length > 0 ? '' : groupKey",
    replace: 'groupKey',
    ...CHAINS,
  },
];
