import type { MatchBatch } from '@tracehound/event-model';
import type { Effect, PartitionEngine } from '../src/engine.ts';
import { STATE_VERSION, STATE_VERSION_BEFORE, type StateVersion } from '../src/state-version.ts';
import { createRandom } from './random.ts';

/** Effects per offset of the log, as bytes: what E1 compares. */
export type EffectLog = readonly (readonly string[])[];

export function effectLog(engine: PartitionEngine, batches: readonly MatchBatch[]): EffectLog {
  return batches.map((batch, offset) => bytesOf(engine.apply(batch, offset)));
}

function bytesOf(effects: readonly Effect[]): string[] {
  return effects.map((effect) => JSON.stringify(effect));
}

/** A fleet in the middle of an upgrade: every other owner writes as the release before did. */
export function versionsInTurns(seed: number): () => StateVersion {
  let owners = seed;
  return () => (owners++ % 2 === 0 ? STATE_VERSION : STATE_VERSION_BEFORE);
}

/**
 * The same log through owners that flush now and then, die at random, and hand over what was flushed last, in any
 * order of groups. Cold groups are brought for some batches at once. Returns the effects of the last application of each offset,
 * the counters and final state of the last owner, how often an offset applied twice spoke differently, and how many groups
 * were brought.
 */
export function runWithRestarts(
  create: () => PartitionEngine,
  batches: readonly MatchBatch[],
  seed: number,
): { log: EffectLog; differing: number; restarts: number; brought: number; engine: PartitionEngine } {
  const random = createRandom(seed ^ 0x2545f491);
  const log: string[][] = [];
  let stored: { meta: Uint8Array; groups: Map<string, Uint8Array> } | null = null;
  let engine = create();
  let offset = 0;
  let differing = 0;
  let restarts = 0;
  let brought = 0;
  let readyTo = 0;
  while (offset < batches.length) {
    if (offset >= readyTo) {
      readyTo = offset + 1 + random.below(4);
      brought += bringCold(engine, batches.slice(offset, readyTo), stored?.groups);
    }
    const spoken = bytesOf(engine.apply(batches[offset] as MatchBatch, offset));
    if (log[offset] && JSON.stringify(log[offset]) !== JSON.stringify(spoken)) differing++;
    log[offset] = spoken;
    offset++;
    if (random.chance(0.3)) {
      const groups: Map<string, Uint8Array> = stored?.groups ?? new Map();
      for (const { groupId, blob } of engine.takeDirty()) {
        if (blob) groups.set(groupId, blob);
        else groups.delete(groupId);
      }
      stored = { meta: engine.metaBlob(), groups };
    }
    if (stored && random.chance(0.1) && restarts < 20) {
      restarts++;
      engine = create();
      // In two pages, as a store gives them.
      const written = random.shuffle([...stored.groups]);
      const page = written.length >> 1;
      engine.load(stored.meta, written.slice(0, page));
      engine.loadMore(written.slice(page));
      offset = engine.nextOffset;
      readyTo = offset;
    }
  }
  return { log, differing, restarts, brought, engine };
}

/** Gives an engine what it needs of its store for the batches; returns how many groups. */
function bringCold(
  engine: PartitionEngine,
  batches: readonly MatchBatch[],
  stored: ReadonlyMap<string, Uint8Array> | undefined,
): number {
  const ids = engine.need(batches);
  engine.bring(
    ids.map((id) => {
      const blob = stored?.get(id);
      if (!blob) throw new Error(`a cold group is not in the store: ${id}`);
      return blob;
    }),
  );
  return ids.length;
}
