import { buildNotice, decideSuppression, type EvidenceEvent, type Notice, stableId } from '@tracehound/alerting';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deliveryFact, integrityFact } from '../src/domain/facts.ts';
import type {
  AlertStore,
  AuditedAlert,
  ClaimedDelivery,
  DeliveryOutcome,
  LogPosition,
  ParkedAlert,
} from '../src/ports.ts';
import { newDelivery } from '../src/stages/group.ts';
import { alertRecord, hexId } from './alert-record.fixture.ts';

/** A store under test and the hands to fill its audit side. */
export type StoreUnderTest = {
  readonly store: AlertStore;
  setSinkPosition(position: LogPosition): Promise<void>;
  setAuditedAlert(position: LogPosition, row: AuditedAlert): Promise<void>;
  addEvent(event: EvidenceEvent): Promise<void>;
  close(): Promise<void>;
};

const T0 = Date.UTC(2026, 0, 1);
const TOPIC_ID = '11111111-1111-4111-8111-111111111111';
const RECEIVERS = new Map([
  ['hook', { isIdempotent: true }],
  ['console', { isIdempotent: false }],
]);
export const SENT: DeliveryOutcome = {
  state: 'sent',
  httpStatus: 204,
  errorCode: null,
  responseSha256: null,
  retryAfterMs: null,
  endedAtMs: T0 + 10,
  nextAttemptAtMs: null,
  disablesReceiver: false,
};

function at(offset: bigint, partition = 0): LogPosition {
  return { topicId: TOPIC_ID, topic: 'security.alerts', partition, offset };
}

/** The tests both stores must pass: `memory` in the unit run, PostgreSQL in the integration run. */
export function alertStoreContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`alert store: ${name}`, () => {
    let under: StoreUnderTest;
    let store: AlertStore;

    beforeEach(async () => {
      under = await open();
      store = under.store;
    });
    afterEach(async () => {
      await under.close();
    });

    /** What `suppress` does, without the stages around it. */
    function saveRecord(record = alertRecord(), nowMs = T0) {
      return store.transaction(async (tx) => {
        const key = stableId(
          'alert',
          record.organization_id,
          record.rule.rule_id,
          JSON.stringify(record.group.map(({ field, value }) => [field, value])),
        );
        const holder = await tx.lockSlot({ organization: record.organization_id, key, nowMs });
        const known = await tx.alertsOf([record.alert_id, ...record.supersedes]);
        const owner = known.get(record.alert_id) ?? record.supersedes.map((id) => known.get(id)).find(Boolean) ?? null;
        const decision = decideSuppression({ record, owner, holder, ownedElsewhere: new Set() });
        if (decision.action === 'save') await tx.saveAlert({ ...decision, record, firedAtMs: T0, nowMs });
        return decision;
      });
    }

    async function saveNotice(
      receiver = 'hook',
      change: { level?: string; entity?: string; nowMs?: number } = {},
    ): Promise<Notice> {
      const record = alertRecord({ alert_id: hexId(), rule: { ...alertRecord().rule, level: change.level ?? 'high' } });
      const notice = buildNotice({
        record,
        reason: 'opened',
        alertId: record.alert_id,
        firedAtMs: T0,
        linkBase: 'https://a',
        evidence: null,
      });
      const delivery = newDelivery({
        notice,
        receiver,
        channel: 'webhook',
        suppressionKey: change.entity ?? record.alert_id,
      });
      await store.transaction((tx) => tx.saveNotice(notice, [delivery], change.nowMs ?? T0));
      return notice;
    }

    function claim(
      nowMs: number,
      options: { owner?: string; free?: number; underWay?: readonly string[] } = {},
    ): Promise<readonly ClaimedDelivery[]> {
      return store.claimDeliveries({
        owner: options.owner ?? 'one',
        nowMs,
        leaseMs: 1_000,
        underWay: new Set(options.underWay),
        capacity: new Map([...RECEIVERS.keys()].map((receiver) => [receiver, options.free ?? 10])),
        receivers: RECEIVERS,
        inDoubt: { resendFrom: 'high' },
      });
    }

    async function only(claimed: Promise<readonly ClaimedDelivery[]>): Promise<ClaimedDelivery> {
      const list = await claimed;
      expect(list).toHaveLength(1);
      return list[0] as ClaimedDelivery;
    }

    async function facts(): Promise<string[]> {
      const found: string[] = [];
      await store.publishFacts(100, async (all) => {
        for (const fact of all) found.push('status' in fact.value ? fact.value.status : fact.value.action);
      });
      return found;
    }

    describe('offsets', () => {
      test('move by compare-and-swap on position and fence', async () => {
        const first = await store.acquirePartition(at(0n), 'one');
        expect(first.nextOffset).toBeNull();
        const advance = (fence: bigint, from: bigint | null, to: bigint) =>
          store.transaction((tx) => tx.advance({ topicId: TOPIC_ID, partition: 0, fence, from, to }));
        expect(await advance(first.fence, null, 5n)).toBe(true);
        expect(await advance(first.fence, null, 6n)).toBe(false);
        const second = await store.acquirePartition(at(0n), 'two');
        expect(second).toEqual({ nextOffset: 5n, fence: first.fence + 1n });
        expect(await advance(first.fence, 5n, 6n)).toBe(false);
        expect(await advance(second.fence, 5n, 6n)).toBe(true);
        expect((await store.acquirePartition(at(0n, 1), 'one')).nextOffset).toBeNull();
      });

      test('a transaction that fails leaves nothing', async () => {
        const { fence } = await store.acquirePartition(at(0n), 'one');
        const failing = store.transaction(async (tx) => {
          await tx.advance({ topicId: TOPIC_ID, partition: 0, fence, from: null, to: 5n });
          await tx.saveFact(
            integrityFact({ record: alertRecord(), violation: 'content_differs', atMs: T0, principal: 'test' }),
          );
          throw new Error('stop');
        });
        await expect(failing).rejects.toThrow('stop');
        expect((await store.acquirePartition(at(0n), 'one')).nextOffset).toBeNull();
        expect(await facts()).toEqual([]);
      });
    });

    describe('audit side', () => {
      test('position, alert row and events of the organization', async () => {
        await store.transaction(async (tx) => {
          expect(await tx.sinkPosition(TOPIC_ID, 0)).toBeNull();
          expect(await tx.auditedAlert(at(3n))).toBeNull();
        });
        await under.setAuditedAlert(at(3n), { organizationId: 'acme', payload: Buffer.from([1, 2, 255]) });
        await under.setSinkPosition(at(4n));
        const event = {
          event_id: 'e1',
          at: T0,
          received_at: T0 + 7,
          platform: 'rust-cli',
          service: 'auth',
          event_type: 'auth.mfa.failed',
          outcome: 'FAILURE',
          actor: { type: 'user', id: 'u-1' },
          trace_id: 't1',
          span_id: 's1',
          organization_id: 'acme',
        };
        await under.addEvent(event);
        await store.transaction(async (tx) => {
          expect(await tx.sinkPosition(TOPIC_ID, 0)).toBe(4n);
          expect(await tx.auditedAlert(at(3n))).toEqual({ organizationId: 'acme', payload: Buffer.from([1, 2, 255]) });
          expect(await tx.auditedEvents('acme', ['e1', 'e2'])).toEqual([event]);
          expect(await tx.auditedEvents('globex', ['e1'])).toEqual([]);
        });
      });
    });

    describe('suppression', () => {
      test('two opens of one entity at the same moment: one opens, the other joins', async () => {
        const records = Array.from({ length: 6 }, () => alertRecord({ alert_id: hexId() }));
        const decisions = await Promise.all(records.map((record) => saveRecord(record)));
        const isNew = decisions.map((decision) => decision.action === 'save' && decision.isNew);
        expect(isNew.filter(Boolean)).toHaveLength(1);
        const alerts = await store.listAlerts({ organizations: null, limit: 10 });
        expect(alerts).toHaveLength(1);
        expect(alerts[0]?.count).toEqual({ value: 6 * 4, exact: true });
      });

      test('an alert is found by each of its ids, also by one that was only superseded', async () => {
        const record = alertRecord({ kind: 'FINAL', supersedes: [hexId('b')] });
        await saveRecord(record);
        await store.transaction(async (tx) => {
          const known = await tx.alertsOf([record.alert_id, hexId('b'), hexId('c')]);
          expect([...known.keys()].sort()).toEqual([record.alert_id, hexId('b')].sort());
          expect(known.get(hexId('b'))).toMatchObject({ alertId: record.alert_id });
        });
        expect((await store.getAlert(hexId('b'), null, 'https://a'))?.alert_id).toBe(record.alert_id);
      });

      test('a state reads back as it was written', async () => {
        const record = alertRecord({ kind: 'FINAL', count_exact: false, supersedes: [hexId('b')] });
        const decision = await saveRecord(record);
        if (decision.action !== 'save') throw new Error('the first record opens');
        await store.transaction(async (tx) => {
          const found = (await tx.alertsOf([record.alert_id])).get(record.alert_id);
          const byId = (left: { alertId: string }, right: { alertId: string }) =>
            left.alertId < right.alertId ? -1 : 1;
          expect({ ...found, members: [...(found?.members ?? [])].sort(byId) }).toEqual({
            ...decision.alert,
            members: [...decision.alert.members].sort(byId),
          });
        });
      });

      test('after the window a new alert takes the slot', async () => {
        await saveRecord(alertRecord());
        const later = alertRecord({ alert_id: hexId('b'), first_at: T0 + 3_600_000, last_at: T0 + 3_600_000 });
        expect(await saveRecord(later)).toMatchObject({ isNew: true, holdsSlot: true });
        const next = alertRecord({ alert_id: hexId('c'), first_at: T0 + 3_700_000, last_at: T0 + 3_700_000 });
        expect(await saveRecord(next)).toMatchObject({ isNew: false, alert: { alertId: later.alert_id } });
      });
    });

    describe('parked alerts', () => {
      const parked = (offset: bigint, change: Partial<ParkedAlert> = {}): ParkedAlert => ({
        position: at(offset),
        key: Buffer.from('acme|x'),
        value: Buffer.from([offset === 0n ? 0 : 1]),
        firedAtMs: T0,
        parked: null,
        state: 'waiting',
        deadlineMs: T0 + 2_000,
        nextCheckMs: T0 + 50,
        toldDirectly: false,
        ...change,
      });

      test('are claimed when due, in order of offset, with their state, until unparked', async () => {
        await store.transaction(async (tx) => {
          await tx.park(parked(2n));
          await tx.park(parked(1n));
          await tx.park(parked(3n, { nextCheckMs: T0 + 9_000 }));
        });
        await store.transaction(async (tx) => {
          expect(await tx.claimParked({ nowMs: T0 + 49, limit: 10 })).toEqual([]);
          const due = await tx.claimParked({ nowMs: T0 + 50, limit: 10 });
          expect(due.map((alert) => alert.position.offset)).toEqual([1n, 2n]);
          expect(due[0]).toMatchObject({
            parked: { state: 'waiting' },
            deadlineMs: T0 + 2_000,
            firedAtMs: T0,
            key: Buffer.from('acme|x'),
          });
          await tx.unpark(at(1n));
          await tx.park(parked(2n, { state: 'told', nextCheckMs: T0 + 60, deadlineMs: 0 }));
        });
        await store.transaction(async (tx) => {
          const due = await tx.claimParked({ nowMs: T0 + 60, limit: 10 });
          expect(due).toMatchObject([{ position: { offset: 2n }, parked: { state: 'told' }, deadlineMs: T0 + 2_000 }]);
        });
        expect((await store.counts(T0)).parked).toBe(2);
      });
    });

    describe('outbox', () => {
      test('a notice is delivered once, also when it is saved twice', async () => {
        const notice = await saveNotice();
        const delivery = newDelivery({
          notice,
          receiver: 'hook',
          channel: 'webhook',
          suppressionKey: notice.record_id,
        });
        await store.transaction((tx) => tx.saveNotice(notice, [delivery], T0));
        const claimed = await only(claim(T0));
        expect(claimed).toMatchObject({ deliveryId: delivery.deliveryId, attempt: 1, scheduleAttempt: 1, notice });
        expect(await claim(T0)).toEqual([]);
        expect(await store.recordDelivery(claimed, SENT, 'one')).toBe(true);
        expect(await claim(T0 + 100_000)).toEqual([]);
        expect(await facts()).toEqual(['SENT']);
        expect(
          await store.listDeliveries({ organizations: ['acme'], limit: 5, alertId: notice.alert_id }),
        ).toMatchObject([{ state: 'sent', attempts: 1, http_status: 204, delivered_at: T0 + 10 }]);
      });

      test('a group that the caller is still flushing is passed over, also when its lease is over', async () => {
        await saveNotice();
        const { groupId, deliveryId } = await only(claim(T0));
        expect(await claim(T0 + 1_000, { underWay: [groupId] })).toEqual([]);
        expect(await only(claim(T0 + 1_000))).toMatchObject({ deliveryId, attempt: 2 });
      });

      test('two processes never get the same delivery', async () => {
        for (let index = 0; index < 12; index++) await saveNotice();
        const claims = await Promise.all([claim(T0), claim(T0, { owner: 'two' }), claim(T0, { owner: 'three' })]);
        const ids = claims.flat().map((delivery) => delivery.deliveryId);
        expect(new Set(ids).size).toBe(ids.length);
        const rest = await claim(T0);
        expect(ids.length + rest.length).toBe(12);
      });

      test('no more than a receiver has room for', async () => {
        for (let index = 0; index < 5; index++) await saveNotice();
        expect(await claim(T0, { free: 2 })).toHaveLength(2);
        expect(await claim(T0, { free: 0 })).toEqual([]);
      });

      test('notices of one entity go one after the other, in order', async () => {
        const first = await saveNotice('hook', { entity: 'same' });
        const second = await saveNotice('hook', { entity: 'same' });
        const claimed = await only(claim(T0));
        expect(claimed.notice.notice_id).toBe(first.notice_id);
        expect(await claim(T0)).toEqual([]);
        await store.recordDelivery(claimed, SENT, 'one');
        expect((await only(claim(T0))).notice.notice_id).toBe(second.notice_id);
      });

      test('a failed attempt is due again at its time', async () => {
        await saveNotice();
        const claimed = await only(claim(T0));
        const failed: DeliveryOutcome = {
          ...SENT,
          state: 'failed',
          httpStatus: 500,
          errorCode: 'server_error',
          nextAttemptAtMs: T0 + 1_000,
        };
        await store.recordDelivery(claimed, failed, 'one');
        expect(await claim(T0 + 999)).toEqual([]);
        expect(await only(claim(T0 + 1_000))).toMatchObject({
          attempt: 2,
          scheduleAttempt: 2,
          deliveryId: claimed.deliveryId,
        });
        expect(await facts()).toEqual(['FAILED']);
      });

      test('after a crash an idempotent receiver gets it again under the same id; the late owner cannot record', async () => {
        await saveNotice();
        const lost = await only(claim(T0));
        expect(await claim(T0 + 999, { owner: 'two' })).toEqual([]);
        const again = await only(claim(T0 + 1_000, { owner: 'two' }));
        expect(again).toMatchObject({ deliveryId: lost.deliveryId, attempt: 2 });
        expect(await store.recordDelivery(lost, SENT, 'one')).toBe(false);
        expect(await store.recordDelivery(again, SENT, 'two')).toBe(true);
        expect(await facts()).toEqual(['IN_DOUBT', 'SENT']);
      });

      test.each([
        ['high', 'sending'],
        ['low', 'in_doubt'],
      ])('after a crash a receiver that cannot tell: %s is %s', async (level, state) => {
        const notice = await saveNotice('console', { level });
        await only(claim(T0));
        await claim(T0 + 1_000, { owner: 'two' });
        const [delivery] = await store.listDeliveries({ organizations: null, limit: 5, alertId: notice.alert_id });
        expect(delivery?.state).toBe(state);
        expect((await store.counts(T0)).outboxInDoubt).toBe(state === 'in_doubt' ? 1 : 0);
      });

      test('a dead delivery is redriven under its id with a fresh schedule', async () => {
        await saveNotice();
        const claimed = await only(claim(T0));
        await store.recordDelivery(claimed, { ...SENT, state: 'dead', httpStatus: 404, errorCode: 'refused' }, 'one');
        expect((await store.counts(T0)).outboxDead).toBe(1);
        expect(await store.redrive(claimed.deliveryId, T0 + 5)).toBe(true);
        expect(await store.redrive(claimed.deliveryId, T0 + 5)).toBe(false);
        expect(await only(claim(T0 + 5))).toMatchObject({
          deliveryId: claimed.deliveryId,
          attempt: 2,
          scheduleAttempt: 1,
        });
      });

      test('a receiver that is gone gets nothing more; one that is not configured kills the delivery', async () => {
        await saveNotice();
        const claimed = await only(claim(T0));
        await store.recordDelivery(
          claimed,
          { ...SENT, state: 'dead', httpStatus: 410, errorCode: 'gone', disablesReceiver: true },
          'one',
        );
        await saveNotice();
        await saveNotice('forgotten');
        expect(await claim(T0)).toEqual([]);
        const deliveries = await store.listDeliveries({ organizations: null, limit: 5, alertId: null });
        expect(deliveries.map((delivery) => delivery.error_code).sort()).toEqual([
          'gone',
          'receiver_disabled',
          'receiver_unknown',
        ]);
        expect(await facts()).toEqual(['DEAD', 'DEAD', 'DEAD']);
      });

      test('counts what is open and how old the oldest is', async () => {
        await saveNotice('hook', { nowMs: T0 + 100 });
        await saveNotice('hook', { nowMs: T0 + 200 });
        expect(await store.counts(T0 + 1_100)).toEqual({
          outboxPending: 2,
          outboxDead: 0,
          outboxInDoubt: 0,
          parked: 0,
          oldestPendingAgeMs: 1_000,
        });
      });
    });

    describe('notices sent from memory', () => {
      test('are recorded once as sent, whether the outbox knew them or not', async () => {
        const record = alertRecord();
        const notice = buildNotice({
          record,
          reason: 'opened',
          alertId: record.alert_id,
          firedAtMs: T0,
          linkBase: 'https://a',
          evidence: null,
        });
        const delivery = newDelivery({ notice, receiver: 'hook', channel: 'webhook', suppressionKey: 'k' });
        const direct = { notice, delivery, startedAtMs: T0, endedAtMs: T0 + 5, httpStatus: 204, responseSha256: null };
        const fact = deliveryFact({
          notice,
          delivery,
          attempt: 1,
          status: 'SENT',
          startedAtMs: T0,
          outcome: { ...direct, errorCode: null },
        });
        await store.transaction((tx) => tx.saveNotice(notice, [delivery], T0));
        for (let times = 0; times < 2; times++) await store.transaction((tx) => tx.saveDirectDelivery(direct, fact));
        expect(await claim(T0 + 10)).toEqual([]);
        expect(await facts()).toEqual(['SENT']);
        expect(await store.listDeliveries({ organizations: null, limit: 5, alertId: null })).toMatchObject([
          { state: 'sent', attempts: 1, thin: true },
        ]);
      });
    });

    describe('facts', () => {
      test('stay until they are published, in order', async () => {
        const fact = (violation: 'content_differs' | 'audit_row_absent') =>
          integrityFact({ record: alertRecord(), violation, atMs: T0, principal: 'test' });
        await store.transaction(async (tx) => {
          await tx.saveFact(fact('content_differs'));
          await tx.saveFact(fact('audit_row_absent'));
        });
        const refused = store.publishFacts(10, async () => {
          throw new Error('no broker');
        });
        await expect(refused).rejects.toThrow('no broker');
        const seen: unknown[] = [];
        expect(await store.publishFacts(1, async (all) => void seen.push(...all))).toBe(1);
        expect(await store.publishFacts(10, async (all) => void seen.push(...all))).toBe(1);
        expect(await store.publishFacts(10, async (all) => void seen.push(...all))).toBe(0);
        expect(seen).toEqual([fact('content_differs'), fact('audit_row_absent')]);
      });
    });

    describe('reading', () => {
      test('shows only the organizations of the scope', async () => {
        const other = alertRecord({ alert_id: hexId('b'), organization_id: 'globex' });
        await saveRecord(alertRecord(), T0);
        await saveRecord(other, T0 + 1);
        const list = async (organizations: readonly string[] | null) =>
          (await store.listAlerts({ organizations, limit: 10 })).map((alert) => alert.organization_id);
        expect(await list(null)).toEqual(['globex', 'acme']);
        expect(await list(['acme'])).toEqual(['acme']);
        expect(await list([])).toEqual([]);
        expect(await store.getAlert(other.alert_id, ['acme'], 'https://a')).toBeNull();
        expect(await store.getAlert('nonsense', null, 'https://a')).toBeNull();
        expect(await store.getAlert(other.alert_id, ['globex'], 'https://a')).toMatchObject({
          organization_id: 'globex',
          link: `https://a/v1/alerts/${other.alert_id}`,
          evidence_missing: 2,
          deliveries: [],
        });
      });
    });
  });
}
