/**
 * The fine print of X2-X10 as switches. Production runs on `EXACT`; only tests turn one off, to show that some test
 * notices (the mutants of the executable model).
 */
export type EngineSwitches = {
  /** X4: "passed t" means watermark > t; off: >=. */
  readonly strictWatermark: boolean;
  /** X4: matches of a record are applied before its watermark. */
  readonly matchesBeforeWatermark: boolean;
  /** X4: the watermark waits for every source of the activation. */
  readonly waitForAllSources: boolean;
  /** X5: a gap stops the engine. */
  readonly gapCheck: boolean;
  /** X5: the part of a batch below the mark is dropped. */
  readonly dropBelowMark: boolean;
  /** X6: a second copy of an event id has no effect. */
  readonly dropDuplicateIds: boolean;
  /** X9: emission is sorted by (rule, group). */
  readonly sortedEmission: boolean;
  /** X9: alert ids come from the trigger in event time; off: from the event that arrived. */
  readonly canonicalTrigger: boolean;
  /** X9: the final is recomputed; off: it keeps what the open said. */
  readonly canonicalFinal: boolean;
  /** X10.3: episodes are cut at frame boundaries. */
  readonly frames: boolean;
  /** X10.5: value evidence comes from what thinning keeps; off: the latest hit per value. */
  readonly valueEvidenceKept: boolean;
  /** X10.6: thinning keeps the first N as well as the last N. */
  readonly thinKeepsFirst: boolean;
  /** X10.6: thinning keeps the last N as well as the first N. */
  readonly thinKeepsLast: boolean;
  /** X10.12: superseded alerts are ended. */
  readonly endSuperseded: boolean;
};

export const EXACT: EngineSwitches = {
  strictWatermark: true,
  matchesBeforeWatermark: true,
  waitForAllSources: true,
  gapCheck: true,
  dropBelowMark: true,
  dropDuplicateIds: true,
  sortedEmission: true,
  canonicalTrigger: true,
  canonicalFinal: true,
  frames: true,
  valueEvidenceKept: true,
  thinKeepsFirst: true,
  thinKeepsLast: true,
  endSuperseded: true,
};
