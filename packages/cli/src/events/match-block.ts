import { createMatchStage, type EventReaderOptions, type Matched } from '@tracehound/detect';
import type { RuleSetCompiled } from '@tracehound/sigma';
import { createEventStream } from './event-stream.ts';

/** An event of a block that some rule wants. Plain data: it crosses from a worker. */
export type BlockHit = {
  /** Its place among the events of the block. */
  readonly index: number;
  /** Null when the event has no id of its own: it is named by its line. */
  readonly id: string | null;
  /** Counted from the first line of the block, 1 on. */
  readonly line: number;
  readonly organization: string;
  readonly instance: string | null;
  readonly sequence: number | null;
  readonly matched: Matched;
};

/** What the events of one block of whole lines say. */
export type MatchedBlock = {
  readonly lines: number;
  /** Event times in order, ms; NaN for an event without any. */
  readonly timesMs: Float64Array;
  readonly hits: readonly BlockHit[];
  readonly invalid: readonly (readonly [line: number, reason: string])[];
};

/** Parses and matches blocks of whole lines. Stateless from block to block, so that blocks may be shared out. */
export function createBlockMatcher(
  ruleSet: RuleSetCompiled,
  options: EventReaderOptions & { readonly lineBytesMax?: number },
): (block: Buffer) => MatchedBlock {
  const match = createMatchStage(ruleSet);
  return (block) => {
    const timesMs: number[] = [];
    const hits: BlockHit[] = [];
    const invalid: (readonly [number, string])[] = [];
    const stream = createEventStream({
      ...options,
      onEvent: (event, line) => {
        const matched = match(event);
        const index = timesMs.push(event.timeSource === 'none' ? Number.NaN : event.timeMs) - 1;
        if (matched.findings.length === 0 && matched.matches.length === 0 && matched.groupMissing === 0) return;
        const { organization, instance = null, sequence = null } = event;
        const id = event.id === `line:${line}` ? null : event.id;
        hits.push({ index, id, line, organization, instance, sequence, matched });
      },
      onInvalid: (line, reason) => invalid.push([line, reason]),
    });
    stream.push(block);
    stream.end();
    return { lines: stream.lines, timesMs: Float64Array.from(timesMs), hits, invalid };
  };
}
