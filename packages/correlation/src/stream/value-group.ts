import { bucketOf } from '../truth.ts';
import type { QueuedHit } from './hit-queue.ts';
import { grown, type LeftEnd, StreamGroup } from './stream-group.ts';

/** Distinct values beyond which a rule is not streamed: a hit looks for its value among the N most recent ones. */
export const STREAMED_VALUES_MAX = 64;
/** Values that the last bucket before a frame keeps for evidence, if no threshold asks for more. */
const EDGE_VALUES_MAX = 1024;

/** Of one value: its hits that evidence may name (X10.5), by bucket of the span. */
class ValueTrace {
  readonly value: string;
  /** @see markOf */
  readonly mark: number;
  bucket: number;
  lastMs: number;
  lastId: string;
  /** First hit in `bucket`. */
  firstMs: number;
  firstId: string;
  /** Last hit in the bucket before, if there is one. */
  before: { readonly timeMs: number; readonly id: string } | null = null;

  constructor(value: string, mark: number, { bucket, timeMs, id }: { bucket: number; timeMs: number; id: string }) {
    this.value = value;
    this.mark = mark;
    this.bucket = bucket;
    this.lastMs = timeMs;
    this.lastId = id;
    this.firstMs = timeMs;
    this.firstId = id;
  }

  is(value: string, mark: number): boolean {
    return this.mark === mark && this.value === value;
  }

  take(bucket: number, timeMs: number, id: string): void {
    if (bucket !== this.bucket) {
      this.before = bucket - 1 === this.bucket ? { timeMs: this.lastMs, id: this.lastId } : null;
      this.bucket = bucket;
      this.firstMs = timeMs;
      this.firstId = id;
    }
    this.lastMs = timeMs;
    this.lastId = id;
  }

  /** The hit that evidence at `leftMs` (in `bucket`) names. */
  named(bucket: number, leftMs: number, spanMs: number): Named {
    if (this.bucket !== bucket) return { timeMs: this.lastMs, id: this.lastId };
    if (this.before !== null && this.before.timeMs >= leftMs - spanMs) return this.before;
    return { timeMs: this.firstMs, id: this.firstId };
  }
}

/**
 * A number that tells most values apart, made of the last units that can differ: values of one rule are often of one length
 * and begin and end alike (`["s:user-00123"]`).
 */
function markOf(value: string): number {
  const { length } = value;
  if (length < 6) return length;
  return (value.charCodeAt(length - 3) << 16) ^ (value.charCodeAt(length - 4) << 8) ^ value.charCodeAt(length - 5);
}

type Named = { readonly timeMs: number; readonly id: string };
type Edge = { readonly endMs: number; readonly values: Map<string, Named>; isWhole: boolean };

/**
 * value_count: the N most recent distinct values, oldest first. While the condition does not hold the window has fewer than
 * N, so evidence at a left end is among them; a value that N others have pushed out can name nothing before its next hit.
 */
export class ValueGroup extends StreamGroup {
  private recent: ValueTrace[] = [];
  private edge: Edge | null = null;
  /** The edge before: where every bucket is one, the instant of a cut lies in the next. */
  private edgeBefore: Edge | null = null;

  /** Values are those of the left end (semantics section 9). */
  get fresh(): number {
    return 0;
  }

  take({ timeMs, id, value: given }: QueuedHit<StreamGroup>): boolean {
    const { window } = this.line;
    const value = given ?? '';
    const { recent } = this;
    const bucket = bucketOf(timeMs, window);
    const mark = markOf(value);
    let index = recent.length - 1;
    while (index >= 0 && !(recent[index] as ValueTrace).is(value, mark)) index--;
    if (index < 0) this.recent = grown(recent, new ValueTrace(value, mark, { bucket, timeMs, id }));
    else {
      const trace = recent[index] as ValueTrace;
      if (trace.lastMs === timeMs && trace.lastId === id) return false;
      trace.take(bucket, timeMs, id);
      for (; index < recent.length - 1; index++) recent[index] = recent[index + 1] as ValueTrace;
      recent[index] = trace;
    }
    const endMs = (bucket + 1) * window.spanMs;
    if (endMs % window.frameMs === 0) this.noteEdge(endMs, value, { timeMs, id });
    return true;
  }

  settle(): number {
    const { threshold } = this.line.window;
    const oldest = this.recent[this.recent.length - threshold];
    return oldest === undefined ? Number.NEGATIVE_INFINITY : oldest.lastMs;
  }

  leftEnd(timeMs: number): LeftEnd {
    const { spanMs } = this.line.window;
    const bucket = bucketOf(timeMs, this.line.window);
    const named = new Map<string, Named>();
    const edge = this.edge?.endMs === timeMs ? this.edge : this.edgeBefore;
    if (edge !== null && edge.endMs === timeMs) {
      for (const [value, hit] of edge.values) named.set(value, hit);
      if (!edge.isWhole) this.line.dropped(this, { fromMs: timeMs - spanMs, toMs: timeMs });
    }
    for (const trace of this.recent) {
      if (trace.lastMs >= timeMs - spanMs && !named.has(trace.value))
        named.set(trace.value, trace.named(bucket, timeMs, spanMs));
    }
    let firstAtMs = Number.POSITIVE_INFINITY;
    let atMs = Number.NEGATIVE_INFINITY;
    const ids = new Set<string>();
    for (const hit of named.values()) {
      firstAtMs = Math.min(firstAtMs, hit.timeMs);
      atMs = Math.max(atMs, hit.timeMs);
      ids.add(hit.id);
    }
    return { eventIds: [...ids].sort(), firstAtMs, atMs, count: named.size };
  }

  endInstant(): void {
    const { recent } = this;
    const { threshold } = this.line.window;
    if (recent.length === threshold + 1) recent.shift();
    else if (recent.length > threshold) recent.splice(0, recent.length - threshold);
  }

  release(): void {
    this.recent = [];
  }

  private noteEdge(endMs: number, value: string, hit: Named): void {
    let { edge } = this;
    if (edge?.endMs !== endMs) {
      edge = { endMs, values: new Map(), isWhole: true };
      this.edgeBefore = this.edge;
      this.edge = edge;
    }
    const { values } = edge;
    if (values.has(value) || values.size < Math.max(EDGE_VALUES_MAX, 8 * this.line.window.threshold))
      values.set(value, hit);
    else edge.isWhole = false;
  }
}
