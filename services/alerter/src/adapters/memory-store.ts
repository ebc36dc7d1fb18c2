import { type AlertState, decideInDoubt, type EvidenceEvent, evidenceIds, type Notice } from '@tracehound/alerting';
import { InvariantError } from '@tracehound/event-model';
import { alertSummary, alertView, type StoredAlert } from '../domain/alert-view.ts';
import { type AttemptStatus, deliveryFact } from '../domain/facts.ts';
import type {
  AlertStore,
  AlertTransaction,
  AuditedAlert,
  ClaimedDelivery,
  DeliveryOutcome,
  LogPosition,
  NewDelivery,
  OrganizationScope,
  OutgoingFact,
  ParkedAlert,
} from '../ports.ts';

/** What the sink would have stored; a test fills it. */
export type MemoryAudit = {
  /** `<topicId>/<partition>` to the next offset. */
  readonly positions: Map<string, bigint>;
  /** `<topicId>/<partition>/<offset>` to the row. */
  readonly alerts: Map<string, AuditedAlert>;
  readonly events: EvidenceEvent[];
};

type StoredDelivery = NewDelivery & {
  readonly notice: Notice;
  readonly alertId: string;
  readonly sequence: number;
  readonly createdAtMs: number;
  state: 'pending' | 'sending' | 'sent' | 'in_doubt' | 'failed' | 'dead';
  attempts: number;
  attemptsBase: number;
  nextAttemptAtMs: number;
  owner: string | null;
  epoch: bigint;
  startedAtMs: number;
  httpStatus: number | null;
  errorCode: string | null;
  settledAtMs: number | null;
};

type Group = { epoch: bigint; leasedUntilMs: number };

type State = {
  offsets: Map<string, { nextOffset: bigint | null; fence: bigint }>;
  alerts: Map<string, StoredAlert & { readonly openedAtMs: number }>;
  slots: Map<string, string>;
  parked: Map<string, ParkedAlert>;
  notices: Map<string, Notice>;
  deliveries: Map<string, StoredDelivery>;
  groups: Map<string, Group>;
  disabled: Set<string>;
  facts: OutgoingFact[];
};

export type MemoryStore = AlertStore & {
  readonly audit: MemoryAudit;
  /** While set, every call rejects with it: a store that is away. */
  fail(error: Error | null): void;
  close(alertId: string): void;
};

/**
 * `AlertStore` in memory with the semantics of the PostgreSQL one: transactions one after the other and all or nothing,
 * the same fences and leases. For unit tests of the pipeline; it forgets everything with the process.
 */
export function createMemoryStore(): MemoryStore {
  let state: State = {
    offsets: new Map(),
    alerts: new Map(),
    slots: new Map(),
    parked: new Map(),
    notices: new Map(),
    deliveries: new Map(),
    groups: new Map(),
    disabled: new Set(),
    facts: [],
  };
  const audit: MemoryAudit = { positions: new Map(), alerts: new Map(), events: [] };
  let failure: Error | null = null;

  /** A function, because the failure may be set while work is under way. */
  function assertThere(): void {
    if (failure instanceof Error) throw failure;
  }

  let tail: Promise<unknown> = Promise.resolve();

  /** One after the other; a rejected one leaves no trace. */
  function atomically<T>(work: () => Promise<T> | T): Promise<T> {
    const run = async (): Promise<T> => {
      assertThere();
      const before = structuredClone(state);
      try {
        const result = await work();
        assertThere();
        return result;
      } catch (error) {
        state = before;
        throw error;
      }
    };
    const result = tail.then(run, run);
    tail = result.catch(() => undefined);
    return result;
  }

  const tx: AlertTransaction = {
    async advance({ topicId, partition, fence, from, to }) {
      const offset = state.offsets.get(`${topicId}/${partition}`);
      if (offset?.fence !== fence || offset.nextOffset !== from) return false;
      offset.nextOffset = to;
      return true;
    },
    sinkPosition: async (topicId, partition) => audit.positions.get(`${topicId}/${partition}`) ?? null,
    auditedAlert: async (position) => audit.alerts.get(positionKey(position)) ?? null,
    async auditedEvents(organization, ids) {
      const wanted = new Set(ids);
      return audit.events.filter((event) => event.organization_id === organization && wanted.has(event.event_id));
    },
    async park(alert) {
      const known = state.parked.get(positionKey(alert.position));
      state.parked.set(positionKey(alert.position), {
        ...(known ?? alert),
        parked: { state: alert.state },
        state: alert.state,
        nextCheckMs: alert.nextCheckMs,
        toldDirectly: false,
      });
    },
    async unpark(position) {
      state.parked.delete(positionKey(position));
    },
    async claimParked({ nowMs, limit }) {
      return [...state.parked.values()]
        .filter((alert) => alert.nextCheckMs <= nowMs)
        .sort((a, b) => comparePositions(a.position, b.position))
        .slice(0, limit);
    },
    async lockSlot({ organization, key }) {
      const alertId = state.slots.get(`${organization}/${key}`);
      return alertId === undefined ? null : (state.alerts.get(alertId)?.state ?? null);
    },
    async alertsOf(ids) {
      const found = new Map<string, AlertState>();
      for (const { state: alert } of state.alerts.values()) {
        for (const member of alert.members) if (ids.includes(member.alertId)) found.set(member.alertId, alert);
      }
      return found;
    },
    async saveAlert({ alert, holdsSlot, record, firedAtMs, nowMs }) {
      // As in PostgreSQL, where the member's id is the key: one statement cannot write a row twice.
      if (new Set(alert.members.map((member) => member.alertId)).size !== alert.members.length)
        throw new Error('an alert names a member twice');
      const known = state.alerts.get(alert.alertId);
      state.alerts.set(alert.alertId, {
        state: alert,
        record,
        firedAtMs: known?.firedAtMs ?? firedAtMs,
        openedAtMs: known?.openedAtMs ?? nowMs,
      });
      if (holdsSlot) state.slots.set(`${alert.organization}/${alert.suppressionKey}`, alert.alertId);
    },
    async saveNotice(notice, deliveries, nowMs) {
      saveNotice(notice, deliveries, nowMs);
    },
    async saveDirectDelivery(direct, fact) {
      saveNotice(direct.notice, [direct.delivery], direct.startedAtMs);
      const stored = state.deliveries.get(direct.delivery.deliveryId);
      if (!stored || stored.attempts > 0) return;
      Object.assign(stored, {
        state: 'sent',
        attempts: 1,
        httpStatus: direct.httpStatus,
        settledAtMs: direct.endedAtMs,
      } satisfies Partial<StoredDelivery>);
      state.facts.push(fact);
    },
    async saveFact(fact) {
      state.facts.push(fact);
    },
  };

  function saveNotice(notice: Notice, deliveries: readonly NewDelivery[], nowMs: number): void {
    if (!state.notices.has(notice.notice_id)) state.notices.set(notice.notice_id, notice);
    for (const delivery of deliveries) {
      if (state.deliveries.has(delivery.deliveryId)) continue;
      if (!state.groups.has(delivery.groupId)) state.groups.set(delivery.groupId, { epoch: 0n, leasedUntilMs: 0 });
      state.deliveries.set(delivery.deliveryId, {
        ...delivery,
        notice,
        alertId: notice.alert_id,
        sequence: state.deliveries.size,
        createdAtMs: nowMs,
        state: 'pending',
        attempts: 0,
        attemptsBase: 0,
        nextAttemptAtMs: nowMs,
        owner: null,
        epoch: 0n,
        startedAtMs: 0,
        httpStatus: null,
        errorCode: null,
        settledAtMs: null,
      });
    }
  }

  function factOf(
    delivery: StoredDelivery,
    event: { status: AttemptStatus; endedAtMs: number; errorCode: 'receiver_disabled' | 'receiver_unknown' | null },
  ): void {
    state.facts.push(
      deliveryFact({
        notice: delivery.notice,
        delivery,
        attempt: delivery.attempts,
        status: event.status,
        startedAtMs: delivery.startedAtMs,
        outcome: { httpStatus: null, responseSha256: null, endedAtMs: event.endedAtMs, errorCode: event.errorCode },
      }),
    );
  }

  function claim(options: Parameters<AlertStore['claimDeliveries']>[0]): readonly ClaimedDelivery[] {
    const { nowMs, owner } = options;
    const free = new Map(options.capacity);
    const claimed: ClaimedDelivery[] = [];
    for (const [groupId, group] of state.groups) {
      const due = [...state.deliveries.values()]
        .filter((it) => it.groupId === groupId && isOpen(it) && it.nextAttemptAtMs <= nowMs)
        .sort((a, b) => a.sequence - b.sequence)[0];
      if (!due || group.leasedUntilMs > nowMs || options.underWay.has(groupId)) continue;
      const receiver = options.receivers.get(due.receiver);
      if (receiver && (free.get(due.receiver) ?? 0) <= 0) continue;
      group.epoch += 1n;
      const wasSending = due.state === 'sending';
      if (wasSending) factOf(due, { status: 'IN_DOUBT', endedAtMs: nowMs, errorCode: null });
      if (!receiver || state.disabled.has(due.receiver)) {
        const errorCode = receiver ? 'receiver_disabled' : 'receiver_unknown';
        Object.assign(due, { state: 'dead', errorCode, settledAtMs: nowMs } satisfies Partial<StoredDelivery>);
        factOf({ ...due, startedAtMs: nowMs }, { status: 'DEAD', endedAtMs: nowMs, errorCode });
        continue;
      }
      if (wasSending && decideInDoubt(receiver, due.notice.severity, options.inDoubt) === 'hold') {
        Object.assign(due, {
          state: 'in_doubt',
          errorCode: 'in_doubt_held',
          settledAtMs: nowMs,
        } satisfies Partial<StoredDelivery>);
        continue;
      }
      free.set(due.receiver, (free.get(due.receiver) ?? 0) - 1);
      group.leasedUntilMs = nowMs + options.leaseMs;
      Object.assign(due, {
        state: 'sending',
        attempts: due.attempts + 1,
        owner,
        epoch: group.epoch,
        startedAtMs: nowMs,
      } satisfies Partial<StoredDelivery>);
      claimed.push({
        deliveryId: due.deliveryId,
        groupId,
        receiver: due.receiver,
        channel: due.channel,
        notice: due.notice,
        attempt: due.attempts,
        scheduleAttempt: due.attempts - due.attemptsBase,
        epoch: group.epoch,
        startedAtMs: nowMs,
      });
    }
    return claimed;
  }

  function record(delivery: ClaimedDelivery, outcome: DeliveryOutcome, owner: string): boolean {
    const stored = state.deliveries.get(delivery.deliveryId);
    if (stored?.state !== 'sending' || stored.owner !== owner || stored.epoch !== delivery.epoch) return false;
    Object.assign(stored, {
      state: outcome.state,
      httpStatus: outcome.httpStatus,
      errorCode: outcome.errorCode,
      owner: null,
      nextAttemptAtMs: outcome.nextAttemptAtMs ?? stored.nextAttemptAtMs,
      settledAtMs: outcome.state === 'failed' ? null : outcome.endedAtMs,
    } satisfies Partial<StoredDelivery>);
    const status = ({ sent: 'SENT', failed: 'FAILED', dead: 'DEAD' } as const)[outcome.state];
    state.facts.push(deliveryFact({ ...delivery, delivery, status, outcome }));
    if (outcome.disablesReceiver) state.disabled.add(delivery.receiver);
    const group = state.groups.get(delivery.groupId);
    if (group?.epoch === delivery.epoch) group.leasedUntilMs = 0;
    return true;
  }

  function deliveryViews(organizations: OrganizationScope, alertId: string | null) {
    return [...state.deliveries.values()]
      .filter(
        (it) => isVisible(it.notice.organization_id, organizations) && (alertId === null || it.alertId === alertId),
      )
      .sort((a, b) => b.sequence - a.sequence)
      .map((it) => {
        const deliveredAt = it.state === 'sent' ? it.settledAtMs : null;
        const acknowledgedAt = it.notice.details?.acknowledged_at ?? null;
        return {
          delivery_id: it.deliveryId,
          alert_id: it.alertId,
          organization_id: it.notice.organization_id,
          receiver: it.receiver,
          channel: it.channel,
          reason: it.notice.reason,
          thin: it.notice.thin,
          state: it.state,
          attempts: it.attempts,
          http_status: it.httpStatus,
          error_code: it.errorCode,
          created_at: it.createdAtMs,
          delivered_at: deliveredAt,
          after_ack_ms: deliveredAt === null || acknowledgedAt === null ? null : deliveredAt - acknowledgedAt,
        };
      });
  }

  return {
    audit,
    fail(error) {
      failure = error;
    },
    close(alertId) {
      const stored = state.alerts.get(alertId);
      if (!stored) throw new InvariantError('there is no such alert', { alertId });
      state.alerts.set(alertId, { ...stored, state: { ...stored.state, status: 'closed' } });
    },

    transaction: (work) => atomically(() => work(tx)),
    acquirePartition: ({ topicId, partition }) =>
      atomically(() => {
        const key = `${topicId}/${partition}`;
        const before = state.offsets.get(key);
        const after = { nextOffset: before?.nextOffset ?? null, fence: (before?.fence ?? 0n) + 1n };
        state.offsets.set(key, after);
        return { ...after };
      }),
    claimDeliveries: (options) => atomically(() => claim(options)),
    recordDelivery: (delivery, outcome, owner) => atomically(() => record(delivery, outcome, owner)),
    publishFacts: (limit, publish) =>
      atomically(async () => {
        const facts = state.facts.slice(0, limit);
        if (facts.length > 0) await publish(facts);
        state.facts = state.facts.slice(facts.length);
        return facts.length;
      }),
    redrive: (deliveryId, nowMs) =>
      atomically(() => {
        const stored = state.deliveries.get(deliveryId);
        if (stored?.state !== 'dead' && stored?.state !== 'in_doubt') return false;
        Object.assign(stored, {
          state: 'pending',
          attemptsBase: stored.attempts,
          nextAttemptAtMs: nowMs,
          settledAtMs: null,
        } satisfies Partial<StoredDelivery>);
        return true;
      }),

    listAlerts: ({ organizations, limit }) =>
      atomically(() =>
        [...state.alerts.values()]
          .filter((stored) => isVisible(stored.state.organization, organizations))
          .sort((a, b) => b.openedAtMs - a.openedAtMs || (a.state.alertId < b.state.alertId ? -1 : 1))
          .slice(0, limit)
          .map(alertSummary),
      ),
    getAlert: (id, organizations, linkBase) =>
      atomically(() => {
        const stored = [...state.alerts.values()].find((it) =>
          it.state.members.some((member) => member.alertId === id),
        );
        if (!stored || !isVisible(stored.state.organization, organizations)) return null;
        const ids = new Set(evidenceIds(stored.record));
        const evidence = audit.events.filter(
          (event) => event.organization_id === stored.state.organization && ids.has(event.event_id),
        );
        const deliveries = deliveryViews(organizations, stored.state.alertId).toReversed();
        return alertView(sorted(stored), { evidence, deliveries, linkBase });
      }),
    listDeliveries: ({ organizations, limit, alertId }) =>
      atomically(() => deliveryViews(organizations, alertId).slice(0, limit)),
    clockMs: () => atomically(() => Date.now()),
    counts: (nowMs) =>
      atomically(() => {
        const all = [...state.deliveries.values()];
        const open = all.filter(isOpen);
        return {
          outboxPending: open.length,
          outboxDead: all.filter((it) => it.state === 'dead').length,
          outboxInDoubt: all.filter((it) => it.state === 'in_doubt').length,
          parked: state.parked.size,
          oldestPendingAgeMs:
            open.length === 0 ? 0 : Math.max(0, nowMs - Math.min(...open.map((it) => it.createdAtMs))),
        };
      }),
  };
}

function isOpen(delivery: StoredDelivery): boolean {
  return delivery.state === 'pending' || delivery.state === 'sending' || delivery.state === 'failed';
}

function isVisible(organization: string, scope: OrganizationScope): boolean {
  return scope === null || scope.includes(organization);
}

/** Members in the order in which the database returns them. */
function sorted(stored: StoredAlert): StoredAlert {
  const members = [...stored.state.members].sort(
    (a, b) => a.firstAtMs - b.firstAtMs || (a.alertId < b.alertId ? -1 : 1),
  );
  return { ...stored, state: { ...stored.state, members } };
}

export function positionKey({ topicId, partition, offset }: LogPosition): string {
  return `${topicId}/${partition}/${offset}`;
}

function comparePositions(a: LogPosition, b: LogPosition): number {
  if (a.topicId !== b.topicId) return a.topicId < b.topicId ? -1 : 1;
  return a.partition - b.partition || (a.offset < b.offset ? -1 : 1);
}
