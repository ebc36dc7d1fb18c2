import type {
  AlertRecord,
  AlertState,
  AlertSummary,
  AlertView,
  DeliveryErrorCode,
  DeliveryResponse,
  DeliveryView,
  EvidenceEvent,
  InDoubtPolicy,
  Notice,
} from '@tracehound/alerting';
import type { AlertDelivery, AlertLifecycle } from '@tracehound/event-model';

/** Where a record lies in the log. `topic` is the name without the namespace. */
export type LogPosition = {
  readonly topicId: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
};

/** An alert record as consumed, before anything was made of it. */
export type ConsumedAlert = {
  readonly position: LogPosition;
  readonly key: Buffer | null;
  readonly value: Buffer;
  /** LogAppendTime of the record: when the alert fired. */
  readonly firedAtMs: number;
  /** Null when it comes from the log for the first time. */
  readonly parked: { readonly state: ParkedState } | null;
  /** Until then the audit row may be missing; after it a thin notice goes out (X16: 2 s after arrival). */
  readonly deadlineMs: number;
  /** A thin notice of it has been sent from memory while the store was away. */
  readonly toldDirectly: boolean;
};

/** `waiting`: nothing happened; `told`: a thin notice went out; `applied`: counted, nobody had to be told. */
export type ParkedState = 'waiting' | 'told' | 'applied';

export type ParkedAlert = ConsumedAlert & { readonly state: ParkedState; readonly nextCheckMs: number };

/** The audited copy of an alert record. */
export type AuditedAlert = { readonly organizationId: string; readonly payload: Buffer };

/** One notice to one receiver, ready for the outbox. */
export type NewDelivery = {
  readonly deliveryId: string;
  readonly groupId: string;
  readonly receiver: string;
  readonly channel: string;
};

/** A notice that went out from memory while the store was away (X16), with what came of it. */
export type DirectDelivery = {
  readonly notice: Notice;
  readonly delivery: NewDelivery;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly httpStatus: number | null;
  readonly responseSha256: string | null;
};

export type OutgoingFact =
  | { readonly topic: 'security.deliveries'; readonly value: AlertDelivery }
  | { readonly topic: 'security.alert-lifecycle'; readonly value: AlertLifecycle };

/**
 * What one transaction of the store can do. All of it is durable when the transaction's promise resolves, and nothing
 * of it otherwise.
 */
export type AlertTransaction = {
  /** Compare-and-swap on (from, fence): false = another owner has the partition, or this batch was stored before. */
  advance(change: {
    readonly topicId: string;
    readonly partition: number;
    readonly fence: bigint;
    readonly from: bigint | null;
    readonly to: bigint;
  }): Promise<boolean>;

  /** Next offset the sink will commit; null = it has not seen the partition. Ask before `auditedAlert`. */
  sinkPosition(topicId: string, partition: number): Promise<bigint | null>;
  auditedAlert(position: LogPosition): Promise<AuditedAlert | null>;
  /** Those of the ids that the audit store holds for this organization, in any order. */
  auditedEvents(organization: string, ids: readonly string[]): Promise<readonly EvidenceEvent[]>;

  park(alert: ParkedAlert): Promise<void>;
  unpark(position: LogPosition): Promise<void>;
  /** Due ones, oldest offset first, locked until the end of the transaction; those of others are skipped. */
  claimParked(options: { readonly nowMs: number; readonly limit: number }): Promise<readonly ParkedAlert[]>;

  /** Locks (organization, key) until the end of the transaction and returns the alert that holds its slot. */
  lockSlot(slot: {
    readonly organization: string;
    readonly key: string;
    readonly nowMs: number;
  }): Promise<AlertState | null>;
  /** By correlator id: the alert each known id belongs to. */
  alertsOf(ids: readonly string[]): Promise<ReadonlyMap<string, AlertState>>;
  saveAlert(change: {
    readonly alert: AlertState;
    readonly isNew: boolean;
    readonly holdsSlot: boolean;
    readonly record: AlertRecord;
    readonly firedAtMs: number;
    readonly nowMs: number;
  }): Promise<void>;
  /** The notice and its deliveries, due at once; ids that exist are left as they are. */
  saveNotice(notice: Notice, deliveries: readonly NewDelivery[], nowMs: number): Promise<void>;
  /** A notice that was already delivered from memory: outbox row `sent`, attempt, and the fact for the log. */
  saveDirectDelivery(direct: DirectDelivery, fact: OutgoingFact): Promise<void>;
  saveFact(fact: OutgoingFact): Promise<void>;
};

/** A delivery this process owns until its lease ends. */
export type ClaimedDelivery = {
  readonly deliveryId: string;
  readonly groupId: string;
  readonly receiver: string;
  readonly channel: string;
  readonly notice: Notice;
  /** Counts from 1 over the life of the delivery; `scheduleAttempt` since the last redrive. */
  readonly attempt: number;
  readonly scheduleAttempt: number;
  readonly epoch: bigint;
  readonly startedAtMs: number;
};

export type DeliveryOutcome = {
  readonly state: 'sent' | 'failed' | 'dead';
  readonly httpStatus: number | null;
  readonly errorCode: DeliveryErrorCode | null;
  readonly responseSha256: string | null;
  readonly retryAfterMs: number | null;
  readonly endedAtMs: number;
  /** When state is `failed`. */
  readonly nextAttemptAtMs: number | null;
  readonly disablesReceiver: boolean;
};

export type ReceiverTraits = { readonly isIdempotent: boolean };

export type AlertStore = {
  transaction<T>(work: (tx: AlertTransaction) => Promise<T>): Promise<T>;
  /** Takes a new fence of the partition and says where to go on; null = from the beginning of the log. */
  acquirePartition(
    partition: Omit<LogPosition, 'offset'>,
    owner: string,
  ): Promise<{ readonly nextOffset: bigint | null; readonly fence: bigint }>;

  /**
   * Leases due groups (skipping those of others) and starts an attempt of one due delivery of each. Deliveries that an
   * owner left `sending` are resent or held by `inDoubt`; those of disabled or unknown receivers die here.
   */
  claimDeliveries(options: {
    readonly owner: string;
    readonly nowMs: number;
    readonly leaseMs: number;
    /** Free places per receiver; receivers that are not named are not claimed unless they are unknown. */
    readonly capacity: ReadonlyMap<string, number>;
    /**
     * Groups that the caller is still flushing: passed over also when their lease is over, as after a delivery whose outcome the
     * store did not take. Only the caller knows that it is out, and would send it again.
     */
    readonly underWay: ReadonlySet<string>;
    readonly receivers: ReadonlyMap<string, ReceiverTraits>;
    readonly inDoubt: InDoubtPolicy;
  }): Promise<readonly ClaimedDelivery[]>;
  /** False = the lease went to another owner meanwhile; nothing was changed. */
  recordDelivery(delivery: ClaimedDelivery, outcome: DeliveryOutcome, owner: string): Promise<boolean>;
  /** Hands the oldest facts to `publish` and forgets them when it resolves: at least once, in order. */
  publishFacts(limit: number, publish: (facts: readonly OutgoingFact[]) => Promise<void>): Promise<number>;
  redrive(deliveryId: string, nowMs: number): Promise<boolean>;

  listAlerts(query: AlertQuery): Promise<readonly AlertSummary[]>;
  /** By the alert's id or that of any member; null also when it belongs to an organization outside `organizations`. */
  getAlert(id: string, organizations: OrganizationScope, linkBase: string): Promise<StoredAlertView | null>;
  listDeliveries(query: DeliveryQuery): Promise<readonly DeliveryView[]>;
  counts(nowMs: number): Promise<StoreCounts>;
  /** Milliseconds UTC as the store's own clock shows them, the same for all who ask. */
  clockMs(): Promise<number>;
};

/** What the store knows of an alert; the rules it was made by are elsewhere. */
export type StoredAlertView = Omit<AlertView, 'exceptions'>;

/** `null` = all organizations. */
export type OrganizationScope = readonly string[] | null;
export type AlertQuery = { readonly organizations: OrganizationScope; readonly limit: number };
export type DeliveryQuery = AlertQuery & { readonly alertId: string | null };

export type StoreCounts = {
  readonly outboxPending: number;
  readonly outboxDead: number;
  readonly outboxInDoubt: number;
  readonly parked: number;
  readonly oldestPendingAgeMs: number;
};

/** Where notices go. Names come from the receivers file. */
export type Receiver = ReceiverTraits & {
  readonly name: string;
  readonly channel: 'webhook' | 'console';
  /** Deliveries under way at once. */
  readonly concurrencyMax: number;
  /** Sends once; resolves with what came back, also for time-outs and network trouble. */
  send(message: {
    readonly deliveryId: string;
    readonly notice: Notice;
    readonly nowMs: number;
  }): Promise<{ readonly response: DeliveryResponse; readonly responseSha256: string | null }>;
};

/** Bytes of a record value to an alert record; rejects with a retriable error while the registry is away. */
export type AlertDecoder = (topic: string, value: Buffer) => Promise<AlertRecord | null>;
