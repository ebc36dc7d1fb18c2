import { END_OF_INPUT_WATERMARK_MS, type MatchBatch, NO_WATERMARK_MS } from '@tracehound/event-model';
import type { Source } from './alert.ts';
import type { PartitionEngineConfig, SourceRef } from './partition-engine.ts';

/** The sources that have spoken, by slot, and what those of the list in force claim (X4). */
export class Sources {
  private readonly config: Pick<PartitionEngineConfig, 'sources' | 'chainSources'>;
  /** Off in a test: claims of those that have spoken are enough. */
  private readonly waitForAll: boolean;
  private sources: Source[] = [];
  private slots = new Map<string, number>();
  /** Per depth, see `awaitedSlots`. */
  private awaited: (readonly number[])[] = [];
  private listVersion = -1;
  /** Depth of the deepest chain that has spoken (X11). */
  deepest = 0;

  constructor(config: Pick<PartitionEngineConfig, 'sources' | 'chainSources'>, waitForAll: boolean) {
    this.config = config;
    this.waitForAll = waitForAll;
  }

  get all(): Source[] {
    return this.sources;
  }

  /** Of the source list in force. */
  get version(): number {
    return this.listVersion;
  }

  restore(sources: Source[], version: number): void {
    this.sources = sources;
    this.slots = new Map(sources.map((s, slot) => [keyOf(s.topicId, s.partition, s.depth), slot]));
    this.deepest = Math.max(0, ...sources.map(({ depth }) => depth));
    this.listVersion = version;
    this.awaited = [];
  }

  slotOf(topicId: string, partition: number, depth: number): number | undefined {
    return this.slots.get(keyOf(topicId, partition, depth));
  }

  /** The first record of a source sets its mark: whatever came before it was acknowledged to another state. */
  add({ src_topic, src_topic_id, src_partition, depth, prev_to }: MatchBatch): number {
    const slot = this.sources.length;
    this.sources.push({
      topic: src_topic,
      topicId: src_topic_id,
      partition: src_partition,
      depth,
      markOffset: prev_to,
      watermarkMs: NO_WATERMARK_MS,
    });
    this.slots.set(keyOf(src_topic_id, src_partition, depth), slot);
    this.awaited = [];
    this.deepest = Math.max(this.deepest, depth);
    return slot;
  }

  /** The newest list there was holds. */
  see(version: number): void {
    if (version <= this.listVersion) return;
    this.listVersion = version;
    this.awaited = [];
  }

  /** The minimum over the sources of a depth; nothing until all have spoken. */
  leastClaim(depth: number): number {
    let watermarkMs = END_OF_INPUT_WATERMARK_MS;
    for (const slot of this.awaitedSlots(depth)) {
      if (slot === SILENT) {
        if (this.waitForAll) return NO_WATERMARK_MS;
      } else watermarkMs = Math.min(watermarkMs, (this.sources[slot] as Source).watermarkMs);
    }
    return watermarkMs;
  }

  /** Slots of all that hold a watermark back; null while one of the list has not spoken. */
  holding(): readonly number[] | null {
    const slots = [...this.awaitedSlots(0)];
    if (slots.includes(SILENT)) return null;
    for (const [slot, { depth }] of this.sources.entries()) if (depth > 0) slots.push(slot);
    return slots;
  }

  claims(): readonly (SourceRef & { readonly watermarkMs: number })[] {
    return (this.config.sources(this.listVersion) ?? []).map((ref) => {
      const slot = this.slotOf(ref.topic_id, ref.partition, 0);
      return { ...ref, watermarkMs: slot === undefined ? NO_WATERMARK_MS : (this.sources[slot] as Source).watermarkMs };
    });
  }

  /** By source of the list in force: its slot, or `SILENT`. Looked up again only when a source or a list is new. */
  private awaitedSlots(depth: number): readonly number[] {
    let slots = this.awaited[depth];
    if (slots === undefined) {
      const refs = depth === 0 ? this.config.sources(this.listVersion) : this.config.chainSources;
      if (refs === undefined) return [];
      slots = refs.map((ref) => this.slotOf(ref.topic_id, ref.partition, depth) ?? SILENT);
      this.awaited[depth] = slots;
    }
    return slots;
  }
}

/** A source of the list that has not spoken yet. */
const SILENT = -1;

function keyOf(topicId: string, partition: number, depth: number): string {
  return `${topicId}/${partition}/${depth}`;
}
