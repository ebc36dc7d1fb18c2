import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { AlertSummary, AlertView, DeliveryView } from '@tracehound/alerting';
import { type CorrelationAlert, INTAKE_TOPICS, markerHeaders } from '@tracehound/event-model';
import type { Deployment } from '../deployment/deployment.ts';
import type { ReceivedNotice, WebhookReceiver } from '../receiver/webhook-receiver.ts';
import { type AlertProjection, latestRevisions, readAlertLog } from './alert-log.ts';
import { patiently } from './patiently.ts';
import { rebase } from './rebase.ts';
import type { Scenario, ScenarioEvent } from './scenario.ts';
import { type SendReport, sendEvents } from './send.ts';
import { waitSettled } from './settled.ts';

export type AuditCounts = {
  /** Rows of intake events, copies of an event id counted once. */
  readonly events: number;
  readonly alertRevisions: number;
  readonly findings: number;
  readonly deliveries: number;
  readonly late: number;
};

/** What came of one play, gathered from the alert log, the audit store, the alerter and the receiver. */
export type PlayResult = {
  readonly scenario: Scenario;
  readonly events: readonly ScenarioEvent[];
  readonly distinctEvents: number;
  readonly sent: SendReport;
  /** Highest revision of each alert that is not superseded, in order of time. */
  readonly alerts: readonly CorrelationAlert[];
  readonly log: readonly CorrelationAlert[];
  readonly alertRevisions: number;
  readonly audit: AuditCounts;
  readonly views: readonly AlertView[];
  readonly deliveries: readonly DeliveryView[];
  readonly webhookDeliveries: number;
  readonly notices: readonly ReceivedNotice[];
  /** Alert ids some delivered notice speaks of. */
  readonly noticedAlerts: ReadonlySet<string>;
  /** Records this play added to dead-letter topics; what lay there before is not its own. */
  readonly deadLetters: number;
  /** Final alerts as SQL computes them from the audit rows; null when the scenario has no such oracle. */
  readonly oracle: readonly AlertProjection[] | null;
  readonly tookMs: number;
  /** The id an event had in the recording. */
  originalId(eventId: string): string;
};

export type PlayOptions = {
  readonly receiver: WebhookReceiver;
  readonly timeoutMs: number;
  readonly onProgress?: (line: string) => void;
};

const WEBHOOK = 'webhook';

/** Sends a scenario through the gateway, waits until all of it has gone the whole way, and gathers what happened. */
export async function play(deployment: Deployment, scenario: Scenario, options: PlayOptions): Promise<PlayResult> {
  const began = Date.now();
  const until = began + options.timeoutMs;
  const progress = options.onProgress ?? (() => undefined);
  const events =
    scenario.rebase === 'now'
      ? rebase(scenario.events, { lastAtMs: began, compress: scenario.compress, runId: randomUUID() })
      : scenario.events;
  const deadBefore = await patiently(until, () => deadLetters(deployment));
  const sent = await sendEvents(
    events,
    { url: deployment.gatewayUrl, apiKey: readFileSync(deployment.secrets.platformKeyFile, 'utf8').trim() },
    (done, all) => progress(`sent ${done} of ${all} events`),
  );
  if (scenario.closed) await endInput(deployment);
  await waitSettled({
    admin: deployment.admin,
    topic: deployment.topic,
    group: deployment.group,
    mirrored: deployment.mirrored,
    timeoutMs: until - Date.now(),
    onProgress: (waitingFor) => progress(`waiting for ${waitingFor}`),
    hopeless: deployment.hopeless,
  });
  const api = alerterApi(deployment);
  const all = await delivered(deployment, api, until, progress);

  const ids = new Set(sent.acknowledged.map((entry) => entry.eventId));
  // A closed play has its topics to itself; a live one picks what speaks of its events.
  const ours = (alert: CorrelationAlert): boolean => scenario.closed || alert.event_ids.some((id) => ids.has(id));
  const log = (await readAlertLog(deployment, until)).filter(ours);
  const organizations = [...new Set(log.map((alert) => alert.organization_id))];
  const known = new Set(log.map((alert) => alert.alert_id));
  const views = (await Promise.all(organizations.map((organization) => api.alerts(organization))))
    .flat()
    .filter((view) => known.has(view.alert_id) || view.members.some((member) => known.has(member.alert_id)));
  const shown = new Set(views.map((view) => view.alert_id));
  // A closed play has the alerter to itself; there a thin notice may also speak of an alert id that was superseded (X16).
  const deliveries = all.filter(
    (delivery) => scenario.closed || (shown.has(delivery.alert_id) && delivery.created_at >= began),
  );
  const original = new Map(events.map((event, i) => [event.event_id ?? '', scenario.events[i]?.event_id ?? '']));
  return {
    scenario,
    events,
    distinctEvents: ids.size,
    sent,
    alerts: latestRevisions(log).filter((alert) => alert.superseded_by === null && alert.kind !== 'DEGRADED'),
    log,
    alertRevisions: new Set(log.map((alert) => `${alert.alert_id}/${alert.revision}`)).size,
    audit: await auditCounts(deployment, ids, log, until),
    views,
    deliveries,
    webhookDeliveries: deliveries.filter((delivery) => delivery.channel === WEBHOOK && delivery.state === 'sent')
      .length,
    notices: options.receiver.notices(),
    noticedAlerts: noticed(views),
    deadLetters: (await deadLetters(deployment)) - deadBefore,
    oracle: scenario.oracle === null ? null : await oracleAlerts(deployment, scenario),
    tookMs: Date.now() - began,
    originalId: (eventId) => original.get(eventId) || eventId,
  };
}

/** Every alert id that belongs to an alert of which a notice was sent. */
function noticed(views: readonly AlertView[]): ReadonlySet<string> {
  const told = views.filter((view) => view.deliveries.some((delivery) => delivery.state === 'sent'));
  return new Set(told.flatMap((view) => [view.alert_id, ...view.members.map((member) => member.alert_id)]));
}

/** Writes the `end_of_input` marker into every intake partition: the recording is over, nothing may follow (X4). */
async function endInput(deployment: Deployment): Promise<void> {
  const producer = await deployment.kafka.producer();
  try {
    for (const topic of [...INTAKE_TOPICS.map(deployment.topic), ...deployment.mirrored]) {
      for (const { partition } of await deployment.admin.offsets(topic)) {
        await producer.sendTo({ topic, partition }, [
          { key: null, value: null, headers: markerHeaders('end_of_input', topic) },
        ]);
      }
    }
  } finally {
    await producer.close();
  }
}

type AlerterApi = {
  alerts(organization: string): Promise<AlertView[]>;
  deliveries(): Promise<DeliveryView[]>;
};

function alerterApi(deployment: Deployment): AlerterApi {
  const token = readFileSync(deployment.secrets.alerterTokenFile, 'utf8').trim();
  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${deployment.alerterUrl}${path}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) throw new Error(`the alerter answered ${response.status} to GET ${path}`);
    return (await response.json()) as T;
  };
  return {
    alerts: async (organization) => {
      const { alerts } = await get<{ alerts: AlertSummary[] }>(
        `/v1/alerts?organization=${encodeURIComponent(organization)}&limit=500`,
      );
      return Promise.all(
        alerts.map((alert) =>
          get<AlertView>(`/v1/alerts/${alert.alert_id}?organization=${encodeURIComponent(organization)}`),
        ),
      );
    },
    deliveries: async () => (await get<{ deliveries: DeliveryView[] }>('/v1/deliveries?limit=500')).deliveries,
  };
}

/** Waits until no delivery is on its way and the sink has audited all of them. A dead delivery is an answer too. */
async function delivered(
  deployment: Deployment,
  api: AlerterApi,
  until: number,
  progress: (line: string) => void,
): Promise<DeliveryView[]> {
  for (;;) {
    let open = 'the alerter';
    try {
      const [moving, parked, facts] = await Promise.all(
        [movingDeliveries, parkedAlerts, unpublished].map((ask) => ask(deployment)),
      );
      if (moving === 0 && parked === 0 && facts === 0) return await api.deliveries();
      open = `${moving} deliveries, ${parked} parked alerts, ${facts} facts`;
    } catch (error) {
      open = error instanceof Error ? error.message : 'the alerter';
    }
    progress(`waiting for ${open}`);
    const reason = deployment.hopeless();
    if (reason !== null) throw new Error(reason);
    if (Date.now() > until) throw new Error(`notices were not delivered in time: waiting for ${open}`);
    await delay(100);
  }
}

async function count(deployment: Deployment, sql: string, values: readonly unknown[] = []): Promise<number> {
  const { rows } = await deployment.pool.query<{ n: string }>(sql, [...values]);
  return Number(rows[0]?.n ?? 0);
}

/** Deliveries that are neither made nor given up. */
const movingDeliveries = (deployment: Deployment): Promise<number> =>
  count(
    deployment,
    `select (select count(*) from alerting.outbox where state in ('pending', 'sending', 'failed'))
          + (select count(*) from alerting.notice_group where next_flush_at_ms is not null) as n`,
  );

const parkedAlerts = (deployment: Deployment): Promise<number> =>
  count(deployment, 'select count(*) as n from alerting.parked');

/** Facts of the alerter that are not yet in Kafka. */
const unpublished = (deployment: Deployment): Promise<number> =>
  count(deployment, 'select count(*) as n from alerting.record_outbox');

/** Rows of this play. The alert log may be read a moment before the sink has its newest revision: that is awaited. */
async function auditCounts(
  deployment: Deployment,
  ids: ReadonlySet<string>,
  log: readonly CorrelationAlert[],
  until: number,
): Promise<AuditCounts> {
  const events = await count(
    deployment,
    `select count(*) as n from audit.event where kind = 'event' and not is_duplicate and event_id = any($1)`,
    [[...ids]],
  );
  const revisions = new Set(log.map((alert) => `${alert.alert_id}/${alert.revision}`));
  let alertRevisions = 0;
  for (;;) {
    alertRevisions = await count(
      deployment,
      `select count(distinct (alert_id, revision)) as n from audit.event
       where kind = 'alert' and replace(alert_id::text, '-', '') || '/' || revision = any($1)`,
      [[...revisions]],
    );
    if (alertRevisions === revisions.size || Date.now() > until) break;
    await delay(100);
  }
  const { rows } = await deployment.pool.query<{ kind: string; n: bigint }>(
    `select kind, count(*) as n from audit.event where not is_duplicate group by kind`,
  );
  const of = (kind: string): number => Number(rows.find((row) => row.kind === kind)?.n ?? 0);
  return { events, alertRevisions, findings: of('finding'), deliveries: of('delivery'), late: of('late') };
}

type OracleRow = { rule: string; group: string; first_at: bigint; last_at: bigint; event_ids: string[] };

/** Runs the scenario's SQL in a session of its own: it makes temporary tables. */
async function oracleAlerts(deployment: Deployment, scenario: Scenario): Promise<AlertProjection[]> {
  const client = await deployment.pool.connect();
  try {
    const results = (await client.query(scenario.oracle ?? '')) as unknown as { rows: OracleRow[] }[];
    const organization = String(scenario.events[0]?.organization_id ?? 'platform');
    return (results.at(-1)?.rows ?? []).map((row) => ({
      organization,
      rule: row.rule,
      group: row.group,
      first_at: Number(row.first_at),
      last_at: Number(row.last_at),
      event_ids: [...row.event_ids].sort(),
    }));
  } finally {
    await client.query('discard temp');
    client.release();
  }
}

async function deadLetters(deployment: Deployment): Promise<number> {
  const topics = (await deployment.admin.listTopics()).filter(
    (topic) => topic.startsWith(deployment.topic('')) && topic.endsWith('.dlq'),
  );
  let total = 0n;
  for (const topic of topics) {
    for (const { low, high } of await deployment.admin.offsets(topic)) total += high - low;
  }
  return Number(total);
}
