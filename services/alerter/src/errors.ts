import { classifyError, TracehoundError } from '@tracehound/event-model';

/** Another process owns the partition: its offset moved under us. The batch is rolled back and read again. */
export class PartitionFencedError extends TracehoundError {
  constructor(partition: number) {
    super('the partition was taken over by another alerter', {
      code: 'SEC_ALERTER_FENCED',
      category: 'conflict',
      retriable: true,
      fields: { partition },
    });
  }
}

/** While the store is away alerts wait in memory; beyond the bound the partition pauses instead. */
export class BacklogFullError extends TracehoundError {
  constructor(partition: number, alerts: number) {
    super('too many alerts wait in memory for the store', {
      code: 'SEC_ALERTER_BACKLOG_FULL',
      category: 'overload',
      retriable: true,
      fields: { partition, alerts },
    });
  }
}

/** The receivers or tokens file is wrong. `explain` names the place; it never repeats a secret. */
export class AlerterFileError extends TracehoundError {
  readonly problems: readonly string[];

  constructor(key: string, problems: readonly string[]) {
    super('a configuration file of the alerter is wrong', {
      code: 'SEC_CONFIG_INVALID',
      category: 'invalid_input',
      retriable: false,
      fields: { key, problems: problems.length },
    });
    this.problems = problems.map((problem) => `${key}: ${problem}`);
  }

  explain(): string {
    return this.problems.join('\n');
  }
}

/** An alert was told from memory while a slow transaction was storing it as untold: it is rolled back and stored as told. */
export class ToldMeanwhileError extends TracehoundError {
  constructor(partition: number) {
    super('an alert was told from memory while it was being stored', {
      code: 'SEC_ALERTER_TOLD_MEANWHILE',
      category: 'conflict',
      retriable: true,
      fields: { partition },
    });
  }
}

/** PostgreSQL cannot be asked at the moment, or has no room to write, as opposed to having refused. */
export function isStoreAway(error: unknown): boolean {
  const { code } = classifyError(error);
  return code === 'SEC_PG_UNAVAILABLE' || code === 'SEC_PG_TIMEOUT' || code === 'SEC_PG_DISK_FULL';
}

/** Facts for the audit log were not acknowledged; they stay in the store and go out again. */
export class FactsNotPublishedError extends TracehoundError {
  constructor(topic: string, failed: number, cause: unknown) {
    super('facts were not acknowledged by Kafka', {
      code: 'SEC_ALERTER_FACTS',
      category: 'dependency',
      retriable: true,
      cause,
      fields: { topic, failed },
    });
  }
}

/** A dead letter was not acknowledged: nothing of its batch is stored. */
export class DeadLetterFailedError extends TracehoundError {
  constructor(topic: string, cause: unknown) {
    super('a dead letter was not acknowledged by Kafka', {
      code: 'SEC_ALERTER_DEAD_LETTER',
      category: 'dependency',
      retriable: true,
      cause,
      fields: { topic },
    });
  }
}
