import {
  type AlertRecord,
  buildNotice,
  isWithinWindow,
  type Notice,
  type RoutingTable,
  routeNotice,
  severityOf,
  suppressionKey,
} from '@tracehound/alerting';
import type { AlertDecoder, AlertTransaction, ConsumedAlert, DirectDelivery, Receiver } from '../ports.ts';
import { newDelivery } from '../stages/group.ts';
import { deliveryFact } from './facts.ts';
import type { Homes } from './homes.ts';

export type DirectNotices = {
  /**
   * Sends a thin notice to every receiver that has not taken it yet. `sent` once any receiver has it, `failed` when
   * none took it (worth another try), `silent` when it is no news by itself or goes to nobody.
   */
  tell(alert: ConsumedAlert): Promise<'sent' | 'failed' | 'silent'>;
  /** Writes what was sent since the last successful save; call it in the transaction that stores the alerts. */
  save(tx: AlertTransaction): Promise<() => void>;
  readonly unsaved: number;
  /**
   * Id of another alert of the same entity that was told directly and is close enough to be one with this record; null
   * when none was. As long as the store has not seen that one, this record needs no notice of its own: whichever comes
   * first opens the alert that both belong to.
   */
  toldInstead(record: AlertRecord): string | null;
  /** The store has a notice of this record: its entity is not told again while the store is away. */
  remember(record: AlertRecord): void;
};

/** Entities remembered at most; at about 200 bytes each this is 2 MB. Beyond it the oldest is forgotten. */
const ENTITIES_MAX = 10_000;

/** How long a notice waits for the alert it belongs to before it is written without one. */
const UNOWNED_MS = 60_000;

type Owners = Awaited<ReturnType<AlertTransaction['alertsOf']>>;

/** Deliveries remembered as made, so that a retry reaches only receivers that have not taken the notice. */
const DELIVERIES_MAX = 50_000;

/**
 * Thin notices straight from memory, for the time the store is away (X16). Ids are those the outbox will use, so a
 * receiver that gets one again, after a crash or from another alerter, can tell. Suppression by what this process
 * remembers only; the store decides properly when it is back.
 */
export function createDirectNotices(deps: {
  readonly decode: AlertDecoder;
  readonly routing: RoutingTable;
  readonly homes: Homes;
  readonly receivers: ReadonlyMap<string, Receiver>;
  readonly linkBase: () => string;
  /** For the signature and what the notice says of its age. */
  readonly now: () => number;
  /** For when it was sent, and how long it has waited for its alert since; never goes back. */
  readonly pace: () => number;
  readonly onSent: (direct: DirectDelivery) => void;
}): DirectNotices {
  const sent = new Map<string, DirectDelivery>();
  const told = new Set<string>();
  const entities = new Map<string, ToldEntity>();

  /** Null when the entity is told already: by the store, by another alert, or being told now. */
  function claimEntity(record: AlertRecord): ToldEntity | null {
    const key = suppressionKey(record);
    const known = entities.get(key);
    // The same alert again, for the receivers that have not taken it yet.
    const isAgain = known?.alertId === record.alert_id && known.isToldDirectly;
    if (known && !isAgain && isWithinWindow(known, record)) return null;
    const claimed = known && isAgain ? known : entityOf(record);
    put(record, claimed);
    return claimed;
  }

  function put(record: AlertRecord, entity: ToldEntity): void {
    const key = suppressionKey(record);
    entities.delete(key);
    entities.set(key, entity);
    const oldest = entities.keys().next();
    if (entities.size > ENTITIES_MAX && !oldest.done) entities.delete(oldest.value);
  }

  async function send(notice: Notice, receiver: Receiver, key: string): Promise<boolean> {
    const delivery = newDelivery({ notice, receiver: receiver.name, channel: receiver.channel, suppressionKey: key });
    if (told.has(delivery.deliveryId)) return true;
    const startedAtMs = deps.pace();
    const { response, responseSha256 } = await receiver.send({
      deliveryId: delivery.deliveryId,
      notice,
      nowMs: deps.now(),
    });
    if (response.kind !== 'status' || response.status < 200 || response.status >= 300) return false;
    const direct = {
      notice,
      delivery,
      startedAtMs,
      endedAtMs: deps.pace(),
      httpStatus: response.status,
      responseSha256,
    };
    told.add(delivery.deliveryId);
    const oldest = told.values().next();
    if (told.size > DELIVERIES_MAX && !oldest.done) told.delete(oldest.value);
    sent.set(delivery.deliveryId, direct);
    deps.onSent(direct);
    return true;
  }

  /**
   * The alert the store has put the record into; null while it has not: the record, or one it silenced, may lie in another
   * partition whose turn is to come, and only then is it known whose notice this was. A record that no alert takes in for
   * a minute (an integrity violation, say) is written under the id the receiver was given.
   */
  function alertIdOf(owners: Owners, { notice, endedAtMs }: DirectDelivery): string | null {
    const own = owners.get(notice.record_id);
    if (own) return own.alertId;
    return deps.pace() - endedAtMs >= UNOWNED_MS ? notice.alert_id : null;
  }

  return {
    get unsaved() {
      return sent.size;
    },

    toldInstead(record) {
      const known = entities.get(suppressionKey(record));
      if (!known?.isToldDirectly || known.alertId === record.alert_id || !isWithinWindow(known, record)) return null;
      return known.alertId;
    },

    remember(record) {
      if (entities.get(suppressionKey(record))?.isToldDirectly !== true) put(record, entityOf(record));
    },

    async tell(alert) {
      const record = await deps.decode(alert.position.topic, alert.value);
      if (record === null || !opensByItself(record) || !deps.homes.isHere(record.organization_id)) return 'silent';
      const entity = claimEntity(record);
      if (!entity) return 'silent';
      const reason = record.kind === 'DEGRADED' ? 'degraded' : 'opened';
      const notice = buildNotice({
        record,
        reason,
        alertId: record.alert_id,
        firedAtMs: alert.firedAtMs,
        linkBase: deps.linkBase(),
        evidence: null,
      });
      const names = routeNotice(deps.routing, {
        organization: record.organization_id,
        severity: severityOf(record.rule.level),
        reason,
      });
      const known = names.flatMap((name) => deps.receivers.get(name) ?? []);
      const results = await Promise.all(known.map((receiver) => send(notice, receiver, suppressionKey(record))));
      if (results.length === 0) return 'silent';
      entity.isToldDirectly ||= results.includes(true);
      // A failed claim is given up, so that another alert of the entity may be told instead.
      if (!entity.isToldDirectly && entities.get(suppressionKey(record)) === entity)
        entities.delete(suppressionKey(record));
      return entity.isToldDirectly ? 'sent' : 'failed';
    },

    async save(tx) {
      const saved: DirectDelivery[] = [];
      if (sent.size === 0) return () => {};
      const owners = await tx.alertsOf([...new Set([...sent.values()].map(({ notice }) => notice.record_id))]);
      for (const direct of sent.values()) {
        const alertId = alertIdOf(owners, direct);
        if (alertId === null) continue;
        saved.push(direct);
        const notice = { ...direct.notice, alert_id: alertId };
        const fact = deliveryFact({
          notice,
          delivery: direct.delivery,
          attempt: 1,
          status: 'SENT',
          startedAtMs: direct.startedAtMs,
          outcome: { ...direct, errorCode: null },
        });
        await tx.saveDirectDelivery({ ...direct, notice }, fact);
      }
      // Forgotten only when the transaction is durable.
      return () => {
        for (const { delivery } of saved) sent.delete(delivery.deliveryId);
      };
    },
  };
}

/**
 * Without the store nobody knows what was told before. An open, and a final that a timer decided (such rules never
 * open: X10.14), are news by themselves; updates, ends and other finals follow an open.
 */
function opensByItself(record: AlertRecord): boolean {
  return record.kind === 'OPEN' || record.kind === 'DEGRADED' || (record.kind === 'FINAL' && record.timer_due !== null);
}

type ToldEntity = {
  readonly alertId: string;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  isToldDirectly: boolean;
};

function entityOf(record: AlertRecord): ToldEntity {
  return { alertId: record.alert_id, firstAtMs: record.first_at, lastAtMs: record.last_at, isToldDirectly: false };
}
