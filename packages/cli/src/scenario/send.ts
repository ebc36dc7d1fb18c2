import { setTimeout as delay } from 'node:timers/promises';
import type { ScenarioEvent } from './scenario.ts';

/** What the gateway said of one event it has accepted: durable in Kafka at this coordinate. */
export type Acknowledged = {
  readonly eventId: string;
  readonly status: 'accepted' | 'duplicate';
  readonly topic: string | null;
  readonly partition: number | null;
  readonly offset: bigint | null;
  /** When the answer arrived here (ms UTC). */
  readonly ackedAtMs: number;
};

export type Refused = {
  readonly index: number;
  readonly eventId: string | null;
  readonly code: string;
  readonly detail: string;
};

export type SendReport = { readonly acknowledged: readonly Acknowledged[]; readonly refused: readonly Refused[] };

type ResultEntry = {
  index: number;
  event_id: string | null;
  status: 'accepted' | 'duplicate' | 'spooled' | 'rejected' | 'retry';
  code?: string;
  detail?: string;
  topic?: string;
  partition?: number;
  offset?: string | number;
};

const BATCH_EVENTS_MAX = 256;
/** Under the gateway's 1 MiB body limit. */
const BATCH_BYTES_MAX = 700_000;
const ATTEMPTS_MAX = 60;
const BACKOFF_MS_MAX = 2_000;

function* batches(events: readonly ScenarioEvent[]): Generator<{ from: number; lines: string[] }> {
  let lines: string[] = [];
  let bytes = 0;
  let from = 0;
  for (const [index, event] of events.entries()) {
    const line = JSON.stringify(event);
    if (lines.length > 0 && (lines.length >= BATCH_EVENTS_MAX || bytes + line.length > BATCH_BYTES_MAX)) {
      yield { from, lines };
      [lines, bytes, from] = [[], 0, index];
    }
    lines.push(line);
    bytes += line.length + 1;
  }
  if (lines.length > 0) yield { from, lines };
}

/**
 * Posts events as NDJSON in their order and repeats whatever the gateway asked to repeat (and whole batches after a
 * network error: event ids make that harmless, X6) until each one is acknowledged or refused for good.
 */
export async function sendEvents(
  events: readonly ScenarioEvent[],
  target: { readonly url: string; readonly apiKey: string },
  onProgress: (done: number, all: number) => void = () => undefined,
): Promise<SendReport> {
  const acknowledged: Acknowledged[] = [];
  const refused: Refused[] = [];
  for (const batch of batches(events)) {
    let open = batch.lines.map((line, i) => ({ line, index: batch.from + i }));
    for (let attempt = 0; open.length > 0; attempt++) {
      const answer = await post(
        target,
        open.map((entry) => entry.line),
      );
      if (answer.kind === 'refused') throw new Error(`the gateway refused the batch: ${answer.detail}`);
      if (answer.kind === 'again') {
        if (attempt >= ATTEMPTS_MAX) throw new Error(`the gateway did not accept events: ${answer.detail}`);
        await delay(answer.afterMs ?? Math.min(BACKOFF_MS_MAX, 50 * 2 ** attempt));
        continue;
      }
      const again: typeof open = [];
      const ackedAtMs = Date.now();
      for (const result of answer.results) {
        const entry = open[result.index];
        if (!entry) throw new Error(`the gateway answered for index ${result.index}, which was not sent`);
        if (result.status === 'retry') again.push(entry);
        else if (result.status === 'rejected') {
          refused.push({
            index: entry.index,
            eventId: result.event_id,
            code: result.code ?? '',
            detail: result.detail ?? '',
          });
        } else {
          acknowledged.push({
            eventId: result.event_id ?? '',
            status: result.status === 'duplicate' ? 'duplicate' : 'accepted',
            topic: result.topic ?? null,
            partition: result.partition ?? null,
            offset: result.offset === undefined ? null : BigInt(result.offset),
            ackedAtMs,
          });
        }
      }
      if (again.length > 0) {
        if (attempt >= ATTEMPTS_MAX) throw new Error('the gateway keeps asking to repeat some events');
        await delay(Math.min(BACKOFF_MS_MAX, 50 * 2 ** attempt));
      }
      open = again;
    }
    onProgress(acknowledged.length + refused.length, events.length);
  }
  return { acknowledged, refused };
}

type Answer =
  | { kind: 'results'; results: ResultEntry[] }
  | { kind: 'again'; detail: string; afterMs: number | null }
  | { kind: 'refused'; detail: string };

async function post(target: { url: string; apiKey: string }, lines: readonly string[]): Promise<Answer> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${target.url}/v1/events`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-ndjson',
        authorization: `Bearer ${target.apiKey}`,
        prefer: 'return=representation',
      },
      body: lines.join('\n'),
      signal: AbortSignal.timeout(40_000),
    });
    text = await response.text();
  } catch (error) {
    return {
      kind: 'again',
      detail: `no answer (${error instanceof Error ? error.message : 'unknown'})`,
      afterMs: null,
    };
  }
  if (response.status === 429 || response.status >= 500) {
    const seconds = Number(response.headers.get('retry-after'));
    return {
      kind: 'again',
      detail: `HTTP ${response.status}`,
      afterMs: seconds > 0 ? Math.min(seconds * 1_000, 5_000) : null,
    };
  }
  let body: { results?: ResultEntry[]; detail?: string; title?: string };
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    return { kind: 'refused', detail: `HTTP ${response.status} without a JSON body` };
  }
  // 422 = every event is invalid, with per-event results all the same.
  if (body.results) return { kind: 'results', results: body.results };
  return { kind: 'refused', detail: `HTTP ${response.status}: ${body.title ?? ''} ${body.detail ?? ''}`.trim() };
}
