import type { AlertRecord } from '@tracehound/alerting';
import { TracehoundError } from '@tracehound/event-model';
import { manualClock, sfc32 } from '@tracehound/testkit';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alertRecord, hexId, T0 } from '../test/alert-record.fixture.ts';
import { createMemoryStore, positionKey } from './adapters/memory-store.ts';
import { createDirectNotices } from './domain/direct-notices.ts';
import { createHomes } from './domain/homes.ts';
import { type DeadAlert, type IntakeRunDeps, storeAlerts } from './domain/intake-run.ts';
import { createPartitionIntake, type PartitionIntake } from './domain/partition-intake.ts';
import { createFlushPipeline, createIntakePipeline } from './pipeline.ts';
import type { AlertDecoder, AlertTransaction, ConsumedAlert, LogPosition, Receiver } from './ports.ts';

const TOPIC_ID = '11111111-1111-4111-8111-111111111111';
const DISK_FULL = new TracehoundError('full', { code: 'SEC_PG_DISK_FULL', category: 'dependency', retriable: true });
const AWAY = new TracehoundError('away', { code: 'SEC_PG_UNAVAILABLE', category: 'dependency', retriable: true });
const ROUTES = [{ receivers: ['hook'], severityMin: 'informational', audience: 'alert' }] as const;

const decode: AlertDecoder = async (_topic, value) => {
  const text = Buffer.from(value).toString('utf8');
  if (text.startsWith('!registry'))
    throw new TracehoundError('away', { code: 'SEC_AVRO_X', category: 'network', retriable: true });
  if (text.startsWith('!'))
    throw new TracehoundError('bad', { code: 'SEC_AVRO_X', category: 'invalid_input', retriable: false });
  return text === 'null' ? null : (JSON.parse(text) as AlertRecord);
};

/** The alerter without a broker: one log per partition, a memory store, a receiver that notes, a clock that stands still. */
function world() {
  const clock = manualClock(T0);
  const store = createMemoryStore();
  const taken: { id: string; type: string; alertId: string; recordId: string; thin: boolean }[] = [];
  const replies: number[] = [];
  const receiver: Receiver = {
    name: 'hook',
    channel: 'webhook',
    isIdempotent: true,
    concurrencyMax: 4,
    async send({ deliveryId, notice }) {
      const status = replies.shift() ?? 204;
      if (status < 300) {
        taken.push({
          id: deliveryId,
          type: notice.reason,
          alertId: notice.alert_id,
          recordId: notice.record_id,
          thin: notice.thin,
        });
      }
      return { response: { kind: 'status', status, retryAfterMs: null }, responseSha256: null };
    },
  };
  const receivers = new Map([['hook', receiver]]);
  const counted = { consumed: 0, verdicts: 0, byReason: new Map<string, number>() };
  const dead: DeadAlert[] = [];
  const violations: string[] = [];
  const routing = { defaults: ROUTES, organizations: { silent: [] } };
  const homes = createHomes(['abroad=us'], 'eu');
  const shared = { decode, routing, homes, receivers, linkBase: () => 'https://a', now: clock.now, pace: clock.now };
  const direct = createDirectNotices({ ...shared, onSent: () => undefined });
  const intake = {
    ...shared,
    channelOf: () => 'webhook',
    principal: 'test',
    toldInstead: direct.toldInstead,
    onViolation: (violation: string) => void violations.push(violation),
  };
  /** Run inside a transaction: before its work, and after it but before the commit. */
  const slow: { begin?: () => Promise<void>; commit?: () => Promise<void> } = {};
  const run: IntakeRunDeps = {
    store: {
      ...store,
      transaction: (work) =>
        store.transaction(async (tx) => {
          await slow.begin?.();
          const result = await work(tx);
          await slow.commit?.();
          return result;
        }),
    },
    intake,
    now: clock.now,
    counter: {
      consumed: (count) => void (counted.consumed += count),
      verdict(stage, kind, reason, count) {
        if (kind === 'retry') return;
        counted.verdicts += count;
        const key = `${stage}/${kind}/${reason}`;
        counted.byReason.set(key, (counted.byReason.get(key) ?? 0) + count);
      },
    },
    deadLetter: async (entries) => void dead.push(...entries),
    onStored: (notices) => {
      for (const { record } of notices) direct.remember(record);
    },
  };
  const flush = createFlushPipeline({
    recordDelivery: store.recordDelivery,
    receivers,
    owner: 'one',
    now: clock.now,
    pace: clock.now,
    random: () => 0,
    scheduleMs: [1_000, 5_000],
  });
  const offsets = new Map<number, bigint>();
  const intakes = new Map<number, PartitionIntake>();

  function alertAt(partition: number, value: Buffer): ConsumedAlert {
    const offset = offsets.get(partition) ?? 0n;
    offsets.set(partition, offset + 1n);
    const position = { topicId: TOPIC_ID, topic: 'security.alerts', partition, offset };
    return {
      position,
      key: null,
      value,
      firedAtMs: clock.now(),
      parked: null,
      deadlineMs: clock.now() + 2_000,
      toldDirectly: false,
    };
  }

  async function partitionIntake(partition: number): Promise<PartitionIntake> {
    const known = intakes.get(partition);
    if (known) return known;
    const made = createPartitionIntake(
      { topicId: TOPIC_ID, topic: 'security.alerts', partition },
      { ...run, owner: 'one', direct },
    );
    await made.acquire();
    intakes.set(partition, made);
    return made;
  }

  function audit(
    position: LogPosition,
    record: AlertRecord,
    value: Buffer,
    organization = record.organization_id,
  ): void {
    store.audit.alerts.set(positionKey(position), { organizationId: organization, payload: value });
    store.audit.positions.set(`${position.topicId}/${position.partition}`, position.offset + 1n);
    for (const id of record.event_ids) {
      store.audit.events.push({
        event_id: id,
        at: record.first_at,
        received_at: record.first_at,
        platform: 'rust-cli',
        service: null,
        event_type: 'x',
        outcome: 'FAILURE',
        actor: null,
        trace_id: null,
        span_id: null,
        organization_id: record.organization_id,
      });
    }
  }

  return {
    clock,
    store,
    taken,
    replies,
    slow,
    counted,
    dead,
    violations,
    intake,
    alertAt,
    audit,
    intakes,
    direct,
    partitionIntake,
    /** A record at the end of a partition's log, audited unless told otherwise. */
    make(
      record: AlertRecord,
      options: { partition?: number; audited?: boolean; organization?: string } = {},
    ): ConsumedAlert {
      const value = Buffer.from(JSON.stringify(record));
      const alert = alertAt(options.partition ?? 0, value);
      if (options.audited !== false) audit(alert.position, record, value, options.organization);
      return alert;
    },
    async consume(...alerts: readonly ConsumedAlert[]): Promise<void> {
      for (const alert of alerts) await (await partitionIntake(alert.position.partition)).take([alert]);
    },
    async parked(): Promise<number> {
      return storeAlerts(run, {
        before: (tx: AlertTransaction, nowMs: number) => tx.claimParked({ nowMs, limit: 100 }),
      });
    },
    /** Flushes until nothing is due. */
    async deliver(owner = 'one'): Promise<number> {
      let flushes = 0;
      for (;;) {
        const claimed = await store.claimDeliveries({
          owner,
          nowMs: clock.now(),
          leaseMs: 1_000,
          underWay: new Set(),
          capacity: new Map([['hook', 4]]),
          receivers,
          inDoubt: { resendFrom: 'high' },
        });
        if (claimed.length === 0) return flushes;
        for (const delivery of claimed) await flush.run([delivery]);
        flushes += claimed.length;
      }
    },
  };
}

const one = (changes: Partial<AlertRecord> = {}): AlertRecord =>
  alertRecord({ alert_id: hexId(), group: [{ field: 'e', value: hexId() }], ...changes });

test('the stops are those of STYLE 3', () => {
  const { intake, store } = world();
  return store.transaction(async (tx) => {
    expect(createIntakePipeline(intake, { tx, nowMs: T0 }).stops).toEqual([
      'consume',
      'refetch',
      'authorize',
      'suppress',
      'route',
      'group',
    ]);
    expect(
      createFlushPipeline({
        recordDelivery: store.recordDelivery,
        receivers: new Map(),
        owner: 'x',
        now: () => 0,
        pace: () => 0,
        random: () => 0,
        scheduleMs: [],
      }).stops,
    ).toEqual(['deliver', 'record']);
  });
});

describe('the way of one alert', () => {
  test('open, delivered, recorded', async () => {
    const it = world();
    await it.consume(it.make(one()));
    expect(await it.deliver()).toBe(1);
    expect(it.taken).toMatchObject([{ type: 'opened', thin: false }]);
    expect(it.counted.byReason).toEqual(new Map([['group/ok/', 1]]));
  });

  test('what it drops, and where', async () => {
    const it = world();
    const alert = one();
    await it.consume(
      it.make(alert),
      it.make(alert),
      it.make(one({ kind: 'END' })),
      it.make(one({ organization_id: 'silent' })),
      it.make(one({ organization_id: 'abroad' })),
      it.make(one(), { organization: 'globex' }),
      it.alertAt(0, Buffer.alloc(0)),
      it.alertAt(0, Buffer.from('!bad')),
      it.alertAt(0, Buffer.from('null')),
      it.make(one({ kind: 'UNKNOWN' })),
    );
    expect([...it.counted.byReason].sort()).toEqual([
      ['authorize/drop/integrity_violation', 1],
      ['consume/deadLetter/undecodable', 2],
      ['consume/deadLetter/unknown_kind', 1],
      ['consume/drop/empty', 1],
      ['group/ok/', 1],
      ['route/drop/elsewhere', 1],
      ['route/drop/unrouted', 1],
      ['suppress/drop/end_without_alert', 1],
      ['suppress/drop/stale_revision', 1],
    ]);
    expect(it.dead.map((entry) => entry.verdict.reason)).toEqual(['undecodable', 'undecodable', 'unknown_kind']);
    expect(it.violations).toEqual(['organization_differs']);
  });

  test('a registry that is away stores nothing, and the same alert passes afterwards', async () => {
    const it = world();
    const poison = it.alertAt(0, Buffer.from('!registry'));
    const intake = await it.partitionIntake(0);
    await expect(intake.take([poison])).rejects.toMatchObject({ reason: 'registry_unavailable' });
    expect(it.counted).toMatchObject({ consumed: 0, verdicts: 0 });
    expect((await it.store.acquirePartition(poison.position, 'x')).nextOffset).toBeNull();
  });
});

describe('X16', () => {
  test('parked one by one: the next alert of the partition is told at once, the late one when its row is there', async () => {
    const it = world();
    const late = one();
    const alert = it.make(late, { audited: false });
    await it.consume(alert);
    expect(it.counted.byReason).toEqual(new Map([['refetch/redirect/not_yet', 1]]));
    it.clock.advance(50);
    expect(await it.parked()).toBe(1);
    it.audit(alert.position, late, alert.value);
    it.clock.advance(50);
    await it.parked();
    await it.deliver();
    expect(it.taken).toMatchObject([{ type: 'opened', thin: false }]);
    expect((await it.store.counts(T0)).parked).toBe(0);
  });

  test('thin after 2 s, once, then completed', async () => {
    const it = world();
    const late = one();
    const alert = it.make(late, { audited: false });
    await it.consume(alert);
    it.clock.advance(2_000);
    await it.parked();
    await it.deliver();
    expect(it.taken).toMatchObject([{ type: 'opened', thin: true }]);
    for (let times = 0; times < 3; times++) {
      it.clock.advance(1_000);
      await it.parked();
    }
    it.audit(alert.position, late, alert.value);
    it.clock.advance(1_000);
    await it.parked();
    await it.deliver();
    expect(it.taken.slice(1)).toMatchObject([{ type: 'completed', thin: false }]);
  });

  test('a late row of a suppressed alert tells nobody, and is still verified', async () => {
    const it = world();
    const first = one();
    await it.consume(it.make(first));
    const joined = one({ group: first.group });
    const alert = it.make(joined, { audited: false });
    await it.consume(alert);
    it.clock.advance(2_000);
    await it.parked();
    it.audit(alert.position, joined, alert.value, 'globex');
    it.clock.advance(1_000);
    await it.parked();
    await it.deliver();
    expect(it.taken).toHaveLength(1);
    expect(it.violations).toEqual(['organization_differs']);
  });

  test('evidence that stays away does not hold the notice up for longer than the wait', async () => {
    const it = world();
    const record = one({ event_ids: ['e-never'] });
    const alert = it.make(record);
    it.store.audit.events.length = 0;
    await it.consume(alert);
    it.clock.advance(2_000);
    await it.parked();
    await it.deliver();
    expect(it.taken).toMatchObject([{ type: 'opened', thin: false }]);
    const view = await it.store.getAlert(record.alert_id, null, '');
    expect(view).toMatchObject({ timeline: [], evidence_missing: 2 });
  });

  test('store away: thin from memory after 2 s, then recorded as sent and completed, whichever alert of the entity comes first', async () => {
    const it = world();
    const told = one();
    const other = one({ group: told.group });
    await it.partitionIntake(0);
    await it.partitionIntake(1);
    it.store.fail(AWAY);
    await it.consume(it.make(told, { partition: 0 }), it.make(other, { partition: 1 }));
    await it.intakes.get(0)?.tellOverdue();
    expect(it.taken).toEqual([]);
    it.clock.advance(2_000);
    for (const partition of [0, 1, 0, 1]) await it.intakes.get(partition)?.tellOverdue();
    expect(it.taken).toMatchObject([{ thin: true, recordId: told.alert_id }]);

    it.store.fail(null);
    for (const partition of [1, 0]) expect(await it.intakes.get(partition)?.retry()).toBe(1n);
    await it.deliver();
    expect(it.taken.map(({ type, recordId }) => [type, recordId])).toEqual([
      ['opened', told.alert_id],
      ['completed', told.alert_id],
    ]);
    expect(await it.store.listAlerts({ organizations: null, limit: 9 })).toHaveLength(1);
    const deliveries = await it.store.listDeliveries({ organizations: null, limit: 9, alertId: null });
    expect(deliveries.map(({ thin, state }) => [thin, state])).toEqual([
      [false, 'sent'],
      [true, 'sent'],
    ]);
    expect(new Set(deliveries.map((delivery) => delivery.alert_id))).toEqual(new Set([other.alert_id]));
    expect(it.direct.unsaved).toBe(0);
  });

  test('disk-full: a partition says why it waits until the store takes its alerts, or another assignment reads them again', async () => {
    const it = world();
    const intake = await it.partitionIntake(0);
    expect(intake.trouble).toBeNull();
    it.store.fail(DISK_FULL);
    await it.consume(it.make(one()));
    expect(intake).toMatchObject({ trouble: { code: 'SEC_PG_DISK_FULL' }, waiting: 1 });
    it.store.fail(null);
    expect(await intake.retry()).toBe(1n);
    expect(intake).toMatchObject({ trouble: null, waiting: 0 });

    it.store.fail(DISK_FULL);
    await it.consume(it.make(one()));
    expect(intake.trouble).toBe(DISK_FULL);
    it.store.fail(null);
    expect(await intake.acquire()).toBe(1n);
    expect(intake).toMatchObject({ trouble: null, waiting: 0 });
  });

  test('R-208 an alert whose home is elsewhere is kept and told by nobody here, also with the store away', async () => {
    const it = world();
    const abroad = one({ organization_id: 'abroad' });
    const ours = one();
    await it.partitionIntake(1);
    await it.consume(it.make(abroad));
    it.store.fail(AWAY);
    await it.consume(it.make(one({ organization_id: 'abroad' })), it.make(ours, { partition: 1 }));
    it.clock.advance(2_000);
    for (const intake of it.intakes.values()) await intake.tellOverdue();
    it.store.fail(null);
    for (const intake of it.intakes.values()) await intake.retry();
    await it.deliver();
    expect(it.taken.map(({ recordId }) => recordId)).toEqual([ours.alert_id, ours.alert_id]);
    await it.store.transaction(async (tx) => {
      expect((await tx.alertsOf([abroad.alert_id])).has(abroad.alert_id)).toBe(true);
    });
  });

  test.each(['begin', 'commit'] as const)(
    'store slow: an alert whose thin notice falls due while its transaction is at its %s is told once, in full at last',
    async (place) => {
      const it = world();
      const intake = await it.partitionIntake(0);
      let delays = 0;
      it.slow[place] = async () => {
        if (delays++ > 0) return;
        it.clock.advance(2_000);
        await intake.tellOverdue();
      };
      const alert = one();
      await it.consume(it.make(alert));
      await it.deliver();
      expect(new Set(it.taken.map(({ id }) => id)).size).toBe(it.taken.length);
      expect(it.taken.filter(({ type }) => type === 'opened').map(({ recordId }) => recordId)).toEqual([
        alert.alert_id,
      ]);
      expect(it.taken.at(-1)).toMatchObject({ thin: false, recordId: alert.alert_id });
      expect(await it.store.counts(it.clock.now())).toMatchObject({ outboxPending: 0 });
      expect(it.direct.unsaved).toBe(0);
    },
  );

  test('store away: an entity that the store has told before is not told again', async () => {
    const it = world();
    const before = one();
    await it.consume(it.make(before));
    await it.deliver();
    it.store.fail(AWAY);
    const joined = one({ group: before.group });
    await it.consume(it.make(joined));
    it.clock.advance(2_000);
    await it.intakes.get(0)?.tellOverdue();
    expect(it.taken).toHaveLength(1);
  });

  test('store away: updates, ends and finals that follow an open are not told, a final decided by a timer is', async () => {
    const it = world();
    await it.partitionIntake(0);
    it.store.fail(AWAY);
    const timer = one({ kind: 'FINAL', timer_due: T0, trigger_event_id: null });
    await it.consume(
      it.make(one({ kind: 'UPDATE' })),
      it.make(one({ kind: 'END' })),
      it.make(one({ kind: 'FINAL' })),
      it.make(timer),
    );
    it.clock.advance(2_000);
    await it.intakes.get(0)?.tellOverdue();
    expect(it.taken.map((notice) => notice.recordId)).toEqual([timer.alert_id]);
  });

  test('store away: a receiver that refuses is asked again after a second, not at every look', async () => {
    const it = world();
    await it.partitionIntake(0);
    it.store.fail(AWAY);
    it.replies.push(500, 500);
    await it.consume(it.make(one()));
    it.clock.advance(2_000);
    for (let looks = 0; looks < 5; looks++) await it.intakes.get(0)?.tellOverdue();
    expect(it.replies).toHaveLength(1);
    it.clock.advance(1_000);
    await it.intakes.get(0)?.tellOverdue();
    it.clock.advance(1_000);
    await it.intakes.get(0)?.tellOverdue();
    expect(it.taken).toHaveLength(1);
  });

  test('store away: what was told of one alert does not silence another one that begins after it', async () => {
    const it = world();
    const group = [{ field: 'e', value: hexId() }];
    const DAY_MS = 24 * 3_600_000;
    const long = one({ group, first_at: T0, last_at: T0 });
    await it.consume(it.make(long));
    // The attack goes on for nearly a day, so the next hit still joins the first alert and the one after does not.
    await it.consume(it.make({ ...long, kind: 'UPDATE', revision: long.revision + 1, last_at: T0 + DAY_MS - 60_000 }));
    await it.deliver();
    expect(it.taken).toHaveLength(1);

    it.store.fail(AWAY);
    const joins = it.make(one({ group, first_at: T0 + DAY_MS - 30_000, last_at: T0 + DAY_MS - 30_000 }));
    await it.consume(joins);
    it.clock.advance(2_000);
    await it.intakes.get(0)?.tellOverdue();
    expect(it.taken).toHaveLength(2);

    it.store.fail(null);
    it.clock.advance(1_000);
    await it.intakes.get(0)?.retry();
    const begins = one({ group, first_at: T0 + DAY_MS + 60_000, last_at: T0 + DAY_MS + 60_000 });
    await it.consume(it.make(begins));
    await it.deliver();
    expect(it.taken.map((notice) => notice.alertId)).toContain(begins.alert_id);
  });

  test('store away: an alert silenced by a told one gets its notice with it, also when a later alert holds the slot', async () => {
    const it = world();
    const group = [{ field: 'e', value: hexId() }];
    const HOURS_MS = 10 * 3_600_000;
    // Alerts of one entity lie in several partitions, so a later one may be stored first.
    await it.consume(it.make(one({ group, first_at: T0 + HOURS_MS, last_at: T0 + HOURS_MS })));
    await it.deliver();
    await it.partitionIntake(1);
    await it.partitionIntake(2);

    it.store.fail(AWAY);
    const told = one({ group, first_at: T0, last_at: T0 });
    await it.consume(it.make(told, { partition: 1 }));
    it.clock.advance(2_000);
    await it.intakes.get(1)?.tellOverdue();
    expect(it.taken).toHaveLength(2);
    const silenced = one({ group, first_at: T0 + 60_000, last_at: T0 + 60_000 });
    await it.consume(it.make(silenced, { partition: 2 }));

    it.store.fail(null);
    it.clock.advance(1_000);
    await it.intakes.get(2)?.retry();
    await it.intakes.get(1)?.retry();
    await it.deliver();
    const stored = await it.store.transaction((tx) => tx.alertsOf([told.alert_id, silenced.alert_id]));
    expect(stored.get(told.alert_id)?.alertId).toBe(silenced.alert_id);
    expect(stored.get(silenced.alert_id)?.alertId).toBe(silenced.alert_id);
    expect(it.taken.slice(1).map((notice) => notice.recordId)).toEqual([told.alert_id, told.alert_id]);
    expect(it.taken.at(-1)).toMatchObject({ type: 'completed', alertId: silenced.alert_id });
  });

  test('store away: a told notice waits for its alert, whichever partition is stored first', async () => {
    const it = world();
    for (const partition of [0, 1, 2]) await it.partitionIntake(partition);
    const group = [{ field: 'e', value: hexId() }];
    it.store.fail(AWAY);
    const told = one({ group });
    await it.consume(it.make(told, { partition: 1 }));
    await it.consume(it.make(one(), { partition: 2 }));
    it.clock.advance(2_000);
    await it.intakes.get(1)?.tellOverdue();
    const canonical = one({ kind: 'FINAL', revision: 9, group, supersedes: [told.alert_id] });
    await it.consume(it.make(canonical, { partition: 0 }));

    it.store.fail(null);
    it.clock.advance(1_000);
    // First a partition that has nothing to do with it, then the final, then the record that was told.
    for (const partition of [2, 0, 1]) await it.intakes.get(partition)?.retry();
    await it.deliver();
    const view = await it.store.getAlert(canonical.alert_id, [canonical.organization_id], 'https://a');
    expect(view?.deliveries.map(({ state }) => state)).toEqual(['sent', 'sent']);
    expect(it.direct.unsaved).toBe(0);
  });

  test('store away: the backlog is bounded, and what did not fit is taken when it comes again', async () => {
    const it = world();
    const intake = await it.partitionIntake(0);
    it.store.fail(AWAY);
    const alerts = Array.from({ length: 5_000 }, () => it.make(one()));
    expect(await intake.take(alerts)).toBeNull();
    const extra = it.make(one());
    await expect(intake.take([extra])).rejects.toMatchObject({ code: 'SEC_ALERTER_BACKLOG_FULL' });
    it.store.fail(null);
    expect(intake.waiting).toBe(5_000);
  });
});

describe('fences', () => {
  test('a partition taken over by another process: nothing is stored twice', async () => {
    const it = world();
    const intake = await it.partitionIntake(0);
    const [first, second] = [it.make(one()), it.make(one())];
    await intake.take([first]);
    const thief = createPartitionIntake(
      { topicId: TOPIC_ID, topic: 'security.alerts', partition: 0 },
      {
        store: it.store,
        intake: it.intake,
        now: it.clock.now,
        counter: { consumed: () => undefined, verdict: () => undefined },
        deadLetter: async () => undefined,
        onStored: () => undefined,
        owner: 'two',
        direct: it.direct,
      },
    );
    expect(await thief.acquire()).toBe(1n);
    expect(await thief.take([second])).toBe(2n);
    expect(await intake.take([second])).toBe(2n);
    expect(await it.deliver()).toBe(2);
    expect(it.counted.consumed).toBe(1);
  });

  test('the same batch again, as after a rebalance, is not stored again', async () => {
    const it = world();
    const alerts = [it.make(one()), it.make(one())];
    const intake = await it.partitionIntake(0);
    await intake.take(alerts);
    expect(await intake.acquire()).toBe(2n);
    expect(await intake.take(alerts)).toBe(2n);
    expect(it.counted.consumed).toBe(2);
  });
});

test('property: whatever comes in whatever order, consumed = sum of verdicts, ids are delivered once, and a second run tells nobody', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const random = sfc32(seed);
      const it = world();
      const entities = Array.from({ length: 3 }, () => [{ field: 'e', value: hexId() }]);
      const known: AlertRecord[] = [];
      const unaudited: { alert: ConsumedAlert; record: AlertRecord }[] = [];
      let consumed = 0;
      for (let step = 0; step < 40; step++) {
        const dice = random.below(10);
        it.clock.advance(random.below(1_500));
        if (dice < 5) {
          const base =
            random.below(3) === 0 && known.length > 0 ? random.pick(known) : one({ group: random.pick(entities) });
          const record = {
            ...base,
            kind: random.pick(['OPEN', 'OPEN', 'UPDATE', 'FINAL', 'END'] as const),
            revision: base.revision + random.below(3),
            count: 1 + random.below(30),
          };
          known.push(record);
          const partition = random.below(2);
          // A partition is audited in order: behind a late one everything is late.
          const audited = random.below(3) > 0 && !unaudited.some((late) => late.alert.position.partition === partition);
          const alert = it.make(record, { partition, audited });
          if (!audited) unaudited.push({ alert, record });
          await it.consume(alert);
          consumed += 1;
        } else if (dice < 7) {
          const next = unaudited.shift();
          if (next) it.audit(next.alert.position, next.record, next.alert.value);
        } else {
          consumed += await it.parked();
          if (dice === 9) it.replies.push(random.pick([500, 429, 204]));
          await it.deliver();
        }
      }
      for (const { alert, record } of unaudited) it.audit(alert.position, record, alert.value);
      for (let times = 0; times < 4; times++) {
        it.clock.advance(6_000);
        consumed += await it.parked();
        await it.deliver();
      }
      expect(it.counted.consumed).toBe(consumed);
      expect(it.counted.verdicts).toBe(consumed);
      expect(new Set(it.taken.map((notice) => notice.id)).size).toBe(it.taken.length);
      expect(await it.store.counts(it.clock.now())).toMatchObject({ parked: 0, outboxPending: 0 });
      const told = it.taken.length;
      for (const record of known.filter((entry) => entry.kind !== 'END'))
        await it.consume(it.make(record, { partition: 2 }));
      await it.deliver();
      expect(it.taken.length).toBe(told);
    }),
    { numRuns: 60 },
  );
});
