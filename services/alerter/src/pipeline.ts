import type { AlertRecord, RoutingTable } from '@tracehound/alerting';
import { Pipeline, type SettleEffects, settle } from '@tracehound/pipeline';
import type { IntegrityViolation } from './domain/facts.ts';
import type { Homes } from './domain/homes.ts';
import type {
  AlertDecoder,
  AlertStore,
  AlertTransaction,
  ClaimedDelivery,
  ConsumedAlert,
  ParkedAlert,
  Receiver,
} from './ports.ts';
import { createAuthorizeStage } from './stages/authorize.ts';
import { createConsumeStage } from './stages/consume.ts';
import { createDeliverStage, type DeliveredNotice } from './stages/deliver.ts';
import { createGroupStage, type GroupedNotice } from './stages/group.ts';
import { createRecordStage } from './stages/record.ts';
import { createRefetchStage, type RefetchedAlert } from './stages/refetch.ts';
import { createRouteStage } from './stages/route.ts';
import { createSuppressStage } from './stages/suppress.ts';

export type IntakeDeps = {
  readonly decode: AlertDecoder;
  readonly routing: RoutingTable;
  readonly homes: Homes;
  readonly channelOf: (receiver: string) => string;
  /** Read at each run: the address of our own interface is known only when it listens. */
  readonly linkBase: () => string;
  /** `DirectNotices.toldInstead`. */
  readonly toldInstead: (record: AlertRecord) => string | null;
  /** Written into lifecycle records. */
  readonly principal: string;
  readonly onViolation: (violation: IntegrityViolation, alert: RefetchedAlert) => void;
};

/**
 * The way of an alert record to the outbox, inside the transaction that moves the Kafka offset. `nowMs` is read once
 * per run and carried through. Records that must wait for their audit row go to the lane `parked`, one by one.
 */
export function createIntakePipeline(
  deps: IntakeDeps,
  run: { readonly tx: AlertTransaction; readonly nowMs: number },
): Pipeline<ConsumedAlert, GroupedNotice> {
  const all = { ...deps, ...run };
  return Pipeline.from<ConsumedAlert>('intake')
    .each(createConsumeStage(all))
    .batch(createRefetchStage(all))
    .each(createAuthorizeStage(all))
    .each(createSuppressStage(all))
    .each(createRouteStage(all))
    .each(createGroupStage(all));
}

/** Runs alert records to the end of the intake: exactly one verdict each, all effects inside `tx`. */
export async function runIntake(
  deps: IntakeDeps,
  run: { readonly tx: AlertTransaction; readonly nowMs: number },
  effects: Pick<SettleEffects<ConsumedAlert>, 'counter' | 'deadLetter'>,
  alerts: readonly ConsumedAlert[],
): Promise<readonly GroupedNotice[]> {
  const outcomes = await createIntakePipeline(deps, run).run(alerts);
  return settle(outcomes, {
    ...effects,
    lanes: {
      parked: async (entries) => {
        // The lane's value is made by `refetch`, the only stage that redirects.
        for (const { verdict } of entries) await run.tx.park(verdict.value as ParkedAlert);
      },
    },
  });
}

export type FlushDeps = {
  readonly recordDelivery: AlertStore['recordDelivery'];
  readonly receivers: ReadonlyMap<string, Receiver>;
  readonly owner: string;
  readonly now: () => number;
  readonly pace: () => number;
  readonly random: () => number;
  readonly scheduleMs: readonly number[];
};

/** The way of one notice to one receiver, at each flush of its group. */
export function createFlushPipeline(deps: FlushDeps): Pipeline<ClaimedDelivery, DeliveredNotice> {
  return Pipeline.from<ClaimedDelivery>('flush').each(createDeliverStage(deps)).each(createRecordStage(deps));
}
