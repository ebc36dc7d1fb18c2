import { classifyError, type SpanContext } from '@tracehound/event-model';
import { StoppingError } from '../errors.ts';
import type { MatchesAppender } from '../ports.ts';
import { MATCH_BATCH_BYTES_MAX } from './covered-range.ts';

type Waiting = {
  readonly values: readonly Buffer[];
  readonly context: SpanContext | null;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
};

export type MatchWriterOptions = {
  readonly appender: MatchesAppender;
  /** Waits before the n-th repetition (n from 1); rejects when the wait was ended by `stop`. */
  readonly backoff: (attempt: number) => Promise<void>;
  readonly onRetry?: (target: number, error: unknown) => void;
};

/**
 * Writes to the matches partitions as X5 asks: per target one request in flight, in order, sent again until it is
 * acknowledged. Records of several sources that wait for the same target share a request. After an unknown outcome
 * the same request goes out again before anything newer, so per (source, target) the log only ever repeats a
 * stretch, it never skips one.
 */
export class MatchWriter {
  private readonly options: MatchWriterOptions;
  private readonly lanes = new Map<number, Waiting[]>();
  private readonly running = new Set<number>();
  private stopped = false;

  constructor(options: MatchWriterOptions) {
    this.options = options;
  }

  /** Resolves when all values are acknowledged, in the order of the calls per target. `context` is the span they come from. */
  append(target: number, values: readonly Buffer[], context: SpanContext | null = null): Promise<void> {
    if (this.stopped) return Promise.reject(new StoppingError());
    return new Promise((resolve, reject) => {
      const lane = this.lanes.get(target) ?? [];
      this.lanes.set(target, lane);
      lane.push({ values, context, resolve, reject });
      if (!this.running.has(target)) void this.drain(target, lane);
    });
  }

  /** Gives up everything unacknowledged: its source offsets stay uncommitted, so the next owner writes it again. */
  stop(): void {
    this.stopped = true;
    for (const lane of this.lanes.values()) for (const entry of lane.splice(0)) entry.reject(new StoppingError());
  }

  private async drain(target: number, lane: Waiting[]): Promise<void> {
    this.running.add(target);
    // Callers of the same turn may still add to the lane; one request then carries them all.
    await Promise.resolve();
    while (lane.length > 0) {
      const requests = takeRequests(lane);
      for (let i = 0; i < requests.length; i++) {
        const failure = await this.send(target, requests[i] as Request);
        if (failure === null) {
          for (const entry of (requests[i] as Request).ends) entry.resolve();
          continue;
        }
        // Nothing newer may pass what failed, or the log would have a gap.
        for (const request of requests.slice(i)) for (const entry of request.ends) entry.reject(failure);
        break;
      }
    }
    this.running.delete(target);
  }

  /** Null when acknowledged; otherwise why it never will be. */
  private async send(target: number, { values, contexts }: Request): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      if (this.stopped) return new StoppingError();
      try {
        await this.options.appender.append(target, values, contexts);
        return null;
      } catch (error) {
        if (!classifyError(error).retriable) return error;
        this.options.onRetry?.(target, error);
        await this.options.backoff(attempt).catch(() => undefined);
      }
    }
  }
}

type Request = { readonly values: Buffer[]; readonly contexts: (SpanContext | null)[]; readonly ends: Waiting[] };

/** Empties the lane into requests of at most one record batch each; the request with a caller's last value answers it. */
function takeRequests(lane: Waiting[]): readonly Request[] {
  const requests: Request[] = [];
  let current: Request = { values: [], contexts: [], ends: [] };
  let bytes = 0;
  for (const entry of lane.splice(0)) {
    for (const value of entry.values) {
      if (current.values.length > 0 && bytes + value.length > MATCH_BATCH_BYTES_MAX) {
        requests.push(current);
        current = { values: [], contexts: [], ends: [] };
        bytes = 0;
      }
      current.values.push(value);
      current.contexts.push(entry.context);
      bytes += value.length;
    }
    current.ends.push(entry);
  }
  requests.push(current);
  return requests;
}
