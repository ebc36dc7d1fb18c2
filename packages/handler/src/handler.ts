import type { RecordByName, TopicName } from '@tracehound/event-model';
import { TracehoundError } from '@tracehound/event-model';
import type { LifecycleLogger } from '@tracehound/lifecycle';

/** What a handler may listen to: everything that is said about events, and the events themselves. */
export type HandlerTopic = Extract<
  TopicName,
  | 'security.alerts'
  | 'security.findings'
  | 'security.late'
  | 'security.shadow'
  | 'security.events'
  | 'security.telemetry'
  | 'security.event-detected'
  | 'security.deliveries'
  | 'security.alert-lifecycle'
>;

/** One decoded record. `value` is one of the generated record types; `name` says which. */
export type HandlerRecord = {
  readonly [Name in keyof RecordByName]: {
    readonly topic: HandlerTopic;
    readonly partition: number;
    readonly offset: bigint;
    /** When the broker appended it, ms UTC. */
    readonly appendTimeMs: number;
    readonly key: string | null;
    readonly name: Name;
    readonly value: RecordByName[Name];
    /**
     * The same whenever this is delivered again, also under another offset: `alert_id:revision`, `detection_id`, `event_id`,
     * `delivery_id:attempt`. What has seen a key may pass over the record.
     */
    readonly idempotencyKey: string;
  };
}[keyof RecordByName];

export type HandlerContext = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: LifecycleLogger;
  /** Aborted when the process drains; a wait inside `handle` should end then. */
  readonly signal: AbortSignal;
};

/**
 * A consumer of your own. Calls never overlap within a partition; records of one partition come in order, those of several
 * partitions side by side. Alerts are immutable revisions: of several records with one `alert_id` the highest revision wins (X9).
 */
export type Handler = {
  /** Lower-case letters, digits and `-`: part of the consumer group, so changing it starts anew. */
  readonly name: string;
  readonly topics: readonly HandlerTopic[];
  /** Once, before the first record. Throw to refuse the start: the message is what the operator sees. */
  open?(context: HandlerContext): Promise<void> | void;
  /**
   * The effect of one record. At least once: after a crash, or when a later record of the batch failed, it comes again.
   * Throw `PermanentError` for a record that can never succeed (it becomes a dead letter), anything else to have it again later:
   * the partition waits (backoff with jitter up to half a minute), others go on, nothing is dropped.
   */
  handle(record: HandlerRecord, context: HandlerContext): Promise<void> | void;
  /** After the records of a batch, before their offsets are committed: make effects durable (fsync, flush). Throw to repeat. */
  settle?(context: HandlerContext): Promise<void> | void;
  /** Once, after the last record. */
  close?(context: HandlerContext): Promise<void> | void;
};

const NAME = /^[a-z0-9][a-z0-9-]{0,40}$/;

/** Checks the shape and gives the handler its types. @throws RangeError with what to change. */
export function defineHandler(handler: Handler): Handler {
  if (!NAME.test(handler.name)) {
    throw new RangeError(`handler name '${handler.name}': lower-case letters, digits and -, 41 at most`);
  }
  if (handler.topics.length === 0) throw new RangeError(`handler '${handler.name}' names no topics`);
  return handler;
}

/** The record can never be handled: it goes to `<topic>.dlq` with this reason. `message` must hold no data of the record. */
export class PermanentError extends TracehoundError {
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super(message, {
      code: 'SEC_HANDLER_PERMANENT',
      category: 'invalid_input',
      retriable: false,
      cause: options.cause,
    });
  }
}

/** The receiver asked to come back after so many milliseconds; waited for at most a minute, then tried again. */
export class RetryLaterError extends TracehoundError {
  readonly afterMs: number;
  constructor(message: string, afterMs: number) {
    super(message, { code: 'SEC_HANDLER_RETRY_LATER', category: 'dependency', retriable: true });
    this.afterMs = afterMs;
  }
}
