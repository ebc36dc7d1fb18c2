import { TracehoundError } from '@tracehound/event-model';

/** PostgreSQL refuses a row for its content, for good. Raised by `AuditStore.append`; the pipeline finds the row. */
export class RowRefusedError extends TracehoundError {
  constructor(cause: unknown, sqlstate: string) {
    super('the store refuses a row for its content', {
      code: 'SEC_SINK_ROW_REFUSED',
      category: 'invalid_input',
      retriable: false,
      cause,
      fields: { sqlstate },
    });
  }
}

/** Rows are stored but Kafka has not taken their `security.event-detected` yet; it is sent again. */
export class PublishFailedError extends TracehoundError {
  constructor(cause: unknown, fields: { topic: string; failed: number }) {
    super('security.event-detected could not be published', {
      code: 'SEC_SINK_PUBLISH_FAILED',
      category: 'dependency',
      retriable: true,
      cause,
      fields,
    });
  }
}

/** A dead letter is not durable yet, so its record is not done. */
export class DeadLetterFailedError extends TracehoundError {
  constructor(cause: unknown, fields: { topic: string; failed: number }) {
    super('a dead letter could not be written', {
      code: 'SEC_SINK_DEAD_LETTER_FAILED',
      category: 'dependency',
      retriable: true,
      cause,
      fields,
    });
  }
}

/**
 * The store is ahead of the topic: records that were read are no longer there (unclean leader election, a restored
 * broker). The partition waits until a human chooses (X5); the others go on.
 */
export class OffsetAheadError extends TracehoundError {
  constructor(fields: { topic: string; partition: number; nextOffset: bigint; high: bigint }) {
    super('the store is ahead of the topic', {
      code: 'SEC_SINK_OFFSET_AHEAD',
      category: 'conflict',
      retriable: true,
      fields,
    });
  }
}

/** Another sink took the partition while this one was taking it: it is taken again with backoff, if still assigned. */
export class FenceLostError extends TracehoundError {
  constructor(fields: { topic: string; partition: number }) {
    super('another sink took the partition meanwhile', {
      code: 'SEC_SINK_FENCE_LOST',
      category: 'conflict',
      retriable: true,
      fields,
    });
  }
}
