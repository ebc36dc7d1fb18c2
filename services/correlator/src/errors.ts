import { TracehoundError } from '@tracehound/event-model';

/** Reasons of verdicts: closed lists, metric labels of `correlator_verdicts_total`. */
export type DetectReason = 'marker' | 'undecodable' | 'no_value' | 'looped' | 'late' | 'match_failed';
export type CorrelateReason = 'undecodable' | 'no_value' | 'already_applied';

/** The breaker key cannot sign a breaker that readers accept; ends the start. */
export class BreakerKeyError extends TracehoundError {
  constructor(problem: string) {
    super(`the breaker key ${problem}`, {
      code: 'SEC_CORRELATOR_BREAKER_KEY',
      category: 'invalid_input',
      retriable: false,
    });
  }
}

/** Stage A has no rule set for what it should process; it waits, readiness says so. */
export class NoActivationError extends TracehoundError {
  constructor() {
    super('no rule activation is published yet', {
      code: 'SEC_CORRELATOR_NO_ACTIVATION',
      category: 'dependency',
      retriable: true,
    });
  }
}

/** A rule set or activation that a record names cannot be found; the record waits for it. */
export class UnknownRulesError extends TracehoundError {
  constructor(fields: { readonly activationId?: string; readonly rulesetId?: string }) {
    super('a record names rules that are not published', {
      code: 'SEC_CORRELATOR_UNKNOWN_RULES',
      category: 'not_found',
      retriable: true,
      fields,
    });
  }
}

/** The source partition is in no activation: its time would be ignored, so it is not read (X4). */
export class UnknownSourceError extends TracehoundError {
  constructor(topic: string, partition: number) {
    super('the source partition is not in the source list of the latest activation', {
      code: 'SEC_CORRELATOR_UNKNOWN_SOURCE',
      category: 'not_found',
      retriable: true,
      fields: { topic, partition },
    });
  }
}

/** The ownership of a matches partition is gone: memory is dropped, the next batch takes it anew (X8). */
export class OwnershipLostError extends TracehoundError {
  constructor(partition: number, outcome: string, cause?: unknown) {
    super('a flush was refused or its outcome is not known', {
      code: 'SEC_CORRELATOR_OWNERSHIP_LOST',
      category: 'conflict',
      retriable: true,
      cause,
      fields: { partition, outcome },
    });
  }
}

/** The process is draining. */
export class StoppingError extends TracehoundError {
  constructor() {
    super('the correlator is stopping', { code: 'SEC_CORRELATOR_STOPPING', category: 'overload', retriable: true });
  }
}

/** Records on their way to a log were not acknowledged; the same ones are sent again. */
export class NotAcknowledgedError extends TracehoundError {
  constructor(topic: string, cause: unknown) {
    super('records were not acknowledged', {
      code: 'SEC_CORRELATOR_NOT_ACKNOWLEDGED',
      category: 'dependency',
      retriable: true,
      cause,
      fields: { topic },
    });
  }
}

/**
 * The number of partitions of `security.matches` is another than windows were spread over: events of one window would go to two
 * owners (X3). Partitions cannot be taken away again, so the way back is a new topic, which begins with empty windows.
 */
export class MatchesGrownError extends TracehoundError {
  constructor(topic: string, partitions: { readonly before: number; readonly now: number }) {
    super(
      `${topic} has ${partitions.now} partitions and windows are spread over ${partitions.before}: stop all correlators, delete the topic, run \`tracehound topics apply\`, and start them again; open windows begin anew`,
      {
        code: 'SEC_CORRELATOR_MATCHES_GROWN',
        category: 'permanent',
        retriable: false,
        fields: { topic, ...partitions },
      },
    );
  }
}

/** The state Redis is a cluster: a partition's keys share a slot, but nothing here follows a slot that moves (MOVED, ASK). */
export class ClusterStoreError extends TracehoundError {
  constructor() {
    super('the state Redis runs in cluster mode; give it a single primary (with replicas and Sentinel, if wanted)', {
      code: 'SEC_CORRELATOR_STATE_CLUSTER',
      category: 'permanent',
      retriable: false,
    });
  }
}

/** The state Redis may evict keys: windows would vanish silently (X8). */
export class EvictingStoreError extends TracehoundError {
  constructor(policy: string) {
    super('the state Redis may evict keys; set maxmemory-policy noeviction', {
      code: 'SEC_CORRELATOR_STATE_EVICTION',
      category: 'permanent',
      retriable: false,
      fields: { policy },
    });
  }
}
