/** The way of a record to a custom handler: `consume, decode, handle`, then `settle`, then the commit. */
import type { AvroCodec } from '@tracehound/avro';
import { classifyError, type DeadLetter, deadLetter, drop, ok, retry, type Verdict } from '@tracehound/event-model';
import type { KafkaRecord } from '@tracehound/kafka';
import { Pipeline, settle, type VerdictCounter } from '@tracehound/pipeline';
import { type Handler, type HandlerContext, type HandlerRecord, type HandlerTopic, PermanentError } from './handler.ts';
import { idempotencyKeyOf } from './idempotency-key.ts';

export type HandlePathDeps = {
  readonly handler: Handler;
  readonly context: HandlerContext;
  readonly codec: Pick<AvroCodec, 'decode'>;
  /** Name in the catalogue of a topic as it is named in the cluster. */
  readonly topicOf: (topic: string) => HandlerTopic;
  readonly counter: VerdictCounter;
  readonly deadLetters: (
    entries: readonly { item: KafkaRecord; stage: string; verdict: DeadLetter }[],
  ) => Promise<void>;
  readonly faultPoint: (name: string) => void;
  /** Everything up to this offset has had its effect, durably; it may be committed. */
  readonly onSettled: (next: bigint) => void;
};

type Consumed = KafkaRecord & { readonly value: Buffer };
export type HandleReason = 'marker' | 'no_value' | 'undecodable' | 'registry_unavailable' | 'permanent' | 'failed';

/**
 * One batch of one partition, in order. Where a record asks to come again, those before it are settled and told, then the call
 * rejects; the batch comes again and must begin after them.
 */
export function createHandlePath(deps: HandlePathDeps): (records: readonly KafkaRecord[]) => Promise<void> {
  const pipeline = Pipeline.from<KafkaRecord>('handler')
    .each(function consume(record): Verdict<Consumed, HandleReason> {
      if ('th_marker' in record.headers) return drop('marker');
      return record.value === null ? drop('no_value') : ok({ ...record, value: record.value });
    })
    .each(createDecodeStage(deps))
    .batch(createHandleStage(deps));

  return async function run(records) {
    const outcomes = await pipeline.run(records);
    const stuck = outcomes.findIndex(({ verdict }) => verdict.kind === 'retry');
    const settled = stuck < 0 ? outcomes : outcomes.slice(0, stuck);
    const last = settled.at(-1);
    if (last !== undefined) {
      await deps.handler.settle?.(deps.context);
      deps.faultPoint('h:after-settle');
      await settle(settled, { counter: deps.counter, deadLetter: deps.deadLetters });
      deps.onSettled(last.item.offset + 1n);
    }
    await settle(outcomes.slice(settled.length), { counter: deps.counter, deadLetter: deps.deadLetters });
  };
}

function createDecodeStage({ codec, topicOf }: HandlePathDeps) {
  return async function decode(raw: Consumed): Promise<Verdict<HandlerRecord, HandleReason>> {
    try {
      const { name, value } = await codec.decode(raw.value);
      const { partition, offset, appendTimeMs } = raw;
      const place = { topic: topicOf(raw.topic), partition, offset };
      const idempotencyKey = idempotencyKeyOf(value, place);
      const key = raw.key?.toString() ?? null;
      // The codec pairs names and values; the compiler cannot follow that through a union.
      return ok({ ...place, appendTimeMs, key, name, value, idempotencyKey } as HandlerRecord);
    } catch (error) {
      const { code, retriable } = classifyError(error);
      return retriable ? retry('registry_unavailable', error) : deadLetter('undecodable', code);
    }
  };
}

/** One after the other; after a failure the rest waits, so that order holds. */
function createHandleStage({ handler, context, faultPoint }: HandlePathDeps) {
  return async function handle(records: readonly HandlerRecord[]): Promise<readonly Verdict<HandlerRecord>[]> {
    const verdicts: Verdict<HandlerRecord, HandleReason>[] = [];
    let failure: Verdict<HandlerRecord, HandleReason> | null = null;
    for (const record of records) {
      const verdict: Verdict<HandlerRecord, HandleReason> = failure ?? (await handled(record));
      if (verdict.kind === 'retry') failure = verdict;
      verdicts.push(verdict);
    }
    return verdicts;
  };

  async function handled(record: HandlerRecord): Promise<Verdict<HandlerRecord, HandleReason>> {
    try {
      await handler.handle(record, context);
      faultPoint('h:after-handle');
      return ok(record);
    } catch (error) {
      return error instanceof PermanentError ? deadLetter('permanent', error.message) : retry('failed', error);
    }
  }
}
