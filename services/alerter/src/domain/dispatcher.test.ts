import { buildNotice } from '@tracehound/alerting';
import { TracehoundError } from '@tracehound/event-model';
import { manualClock } from '@tracehound/testkit';
import { expect, test, vi } from 'vitest';
import { alertRecord, hexId, T0 } from '../../test/alert-record.fixture.ts';
import { createMemoryStore } from '../adapters/memory-store.ts';
import { createFlushPipeline } from '../pipeline.ts';
import type { Receiver } from '../ports.ts';
import { newDelivery } from '../stages/group.ts';
import { createDispatcher } from './dispatcher.ts';
import { repeatWhileAway } from './repeat-while-away.ts';

const FULL = new TracehoundError('full', { code: 'SEC_PG_DISK_FULL', category: 'dependency', retriable: true });
const LEASE_MS = 1_000;

test('a notice whose outcome the store does not take is not sent again by this process when its lease is over', async () => {
  const clock = manualClock(T0);
  const store = createMemoryStore();
  const sent: string[] = [];
  const hook: Receiver = {
    name: 'hook',
    channel: 'webhook',
    isIdempotent: true,
    concurrencyMax: 4,
    async send({ deliveryId }) {
      sent.push(deliveryId);
      return { response: { kind: 'status', status: 204, retryAfterMs: null }, responseSha256: null };
    },
  };
  const receivers = new Map([[hook.name, hook]]);
  let isFull = true;
  let refused = 0;
  let claims = 0;
  const dispatcher = createDispatcher({
    store: {
      ...store,
      claimDeliveries(options) {
        claims += 1;
        return store.claimDeliveries(options);
      },
    },
    flush: createFlushPipeline({
      recordDelivery: (...recorded) =>
        repeatWhileAway(
          async () => {
            if (isFull) throw FULL;
            return store.recordDelivery(...recorded);
          },
          { signal: new AbortController().signal, onError: () => void (refused += 1) },
        ),
      receivers,
      owner: 'one',
      now: clock.now,
      pace: clock.now,
      random: () => 0,
      scheduleMs: [1_000],
    }),
    receivers,
    owner: 'one',
    leaseMs: LEASE_MS,
    inDoubt: { resendFrom: 'high' },
    now: clock.now,
    onOutcome: () => undefined,
    onError: () => undefined,
  });
  const record = alertRecord({ alert_id: hexId() });
  const notice = buildNotice({
    record,
    reason: 'opened',
    alertId: record.alert_id,
    firedAtMs: T0,
    linkBase: 'http://t',
    evidence: null,
  });
  const delivery = newDelivery({ notice, receiver: 'hook', channel: 'webhook', suppressionKey: 'e' });
  await store.transaction((tx) => tx.saveNotice(notice, [delivery], T0));
  dispatcher.start();
  try {
    await vi.waitFor(() => expect(refused).toBeGreaterThan(0));
    clock.advance(LEASE_MS);
    const looked = claims;
    await vi.waitFor(() => expect(claims).toBeGreaterThan(looked + 1), { timeout: 5_000 });
    expect(sent).toEqual([delivery.deliveryId]);
    isFull = false;
    const state = () => store.listDeliveries({ organizations: null, limit: 1, alertId: record.alert_id });
    await vi.waitFor(async () => expect(await state()).toMatchObject([{ state: 'sent', attempts: 1 }]));
    expect(sent).toEqual([delivery.deliveryId]);
  } finally {
    isFull = false;
    await dispatcher.stop();
  }
});
