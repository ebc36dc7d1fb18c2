/** Event ids remembered by default: some 64 MB when all are known from nowhere else. */
export const CHAIN_IDS_MAX = 500_000;

/**
 * The events behind the hits that inner correlations gave, so that the evidence of an outer one can be told as events. Beyond
 * `idsMax` ids the hits given first are forgotten; those are told by their own id.
 */
export class ChainEvidence {
  private readonly idsMax: number;
  private readonly events = new Map<string, readonly string[]>();
  private size = 0;

  constructor(idsMax: number = CHAIN_IDS_MAX) {
    this.idsMax = idsMax;
  }

  /** What a hit stands for: ids of events, or of hits that were kept before. */
  keep(hitId: string, ids: readonly string[]): void {
    if (this.events.has(hitId)) return;
    const events = this.resolve(ids);
    this.events.set(hitId, events);
    this.size += events.length;
    for (const [oldest, known] of this.events) {
      if (this.size <= this.idsMax) break;
      this.events.delete(oldest);
      this.size -= known.length;
    }
  }

  /** The ids with events in place of hits; sorted, each once. */
  resolve(ids: readonly string[]): readonly string[] {
    if (!ids.some((id) => this.events.has(id))) return ids;
    return [...new Set(ids.flatMap((id) => this.events.get(id) ?? id))].sort();
  }
}
