import type { CorrelationAlert, LateEvent, MatchBatch } from '@tracehound/event-model';
import type { PartitionEngine, PartitionEngineConfig } from '../src/engine.ts';
import { finalsOfRuleSet } from './chains.ts';
import { type Arrival, oracleEvents, WORLD_TOPIC_ID, type World, watermarkBeforeEnd } from './world.ts';

export function configOf(world: World): PartitionEngineConfig {
  const sources = Array.from({ length: world.sources }, (_, partition) => ({
    topic: 'security.events',
    topic_id: WORLD_TOPIC_ID,
    partition,
  }));
  return {
    clusterId: 'test',
    partition: 0,
    ruleSet: (id) => (id === world.ruleSet.rulesetId ? world.ruleSet : undefined),
    sources: (version) => (version === 1 ? sources : undefined),
  };
}

export type RunResult = { readonly alerts: readonly CorrelationAlert[]; readonly late: readonly LateEvent[] };

/** Applies the whole log to one engine. */
export function runLog(engine: PartitionEngine, batches: readonly MatchBatch[]): RunResult {
  const alerts: CorrelationAlert[] = [];
  const late: LateEvent[] = [];
  for (const [offset, batch] of batches.entries()) {
    for (const effect of engine.apply(batch, offset)) {
      if (effect.kind === 'alert') alerts.push(effect.alert);
      else if (effect.kind === 'late') late.push(effect.late);
    }
  }
  return { alerts, late };
}

/** The projection of E2, as sorted lines. */
export function finalLines(alerts: readonly CorrelationAlert[]): string[] {
  return alerts
    .filter((alert) => alert.kind === 'FINAL')
    .map((alert) =>
      JSON.stringify([
        alert.rule.rule_id,
        alert.organization_id,
        JSON.stringify(alert.group.map(({ value }) => `s:${value}`)),
        alert.first_at,
        alert.last_at,
        alert.event_ids,
      ]),
    )
    .sort();
}

export function oracleLines(world: World, arrival: Arrival): string[] {
  const hits = world.rules.map((_, index) => oracleEvents(world, index, arrival.onTime));
  const watermarkMs = watermarkBeforeEnd(world, arrival.batches);
  return finalsOfRuleSet(world.ruleSet, hits, { watermarkMs })
    .flatMap((alerts, index) =>
      alerts.map((alert) => {
        const { organization, group, firstAtMs, lastAtMs, eventIds } = alert;
        return JSON.stringify([world.rules[index]?.uid, organization, group, firstAtMs, lastAtMs, eventIds]);
      }),
    )
    .sort();
}

/** What must hold of any run's records, whatever the world (X9, X10.8-13); a list of broken promises. */
export function brokenPromises(alerts: readonly CorrelationAlert[]): string[] {
  const broken: string[] = [];
  const bytes = new Map<string, string>();
  const latest = new Map<string, CorrelationAlert>();
  const opened = new Map<string, number>();
  const owners = new Map<string, number>();
  for (const alert of alerts) {
    if (alert.kind === 'DEGRADED') continue;
    const content = JSON.stringify(alert);
    const key = `${alert.alert_id}/${alert.revision}`;
    if (bytes.has(key) && bytes.get(key) !== content) broken.push('(alert_id, revision) does not determine the bytes');
    bytes.set(key, content);
    const before = latest.get(alert.alert_id);
    if (before && before.revision >= alert.revision) broken.push('a revision does not grow');
    latest.set(alert.alert_id, alert);
    if (alert.kind === 'OPEN') opened.set(alert.alert_id, (opened.get(alert.alert_id) ?? 0) + 1);
    if (alert.kind === 'FINAL') {
      for (const id of [alert.alert_id, ...alert.supersedes]) owners.set(id, (owners.get(id) ?? 0) + 1);
    }
  }
  for (const alert of latest.values()) if (alert.kind !== 'END') broken.push(`an alert is left at ${alert.kind}`);
  for (const [id, times] of opened) {
    if (times > 1) broken.push('an alert was opened twice');
    if (owners.get(id) !== 1) broken.push('an open lies in no final episode, or in several');
  }
  // Silence is its own evidence (expect): no event triggers such an alert.
  for (const alert of alerts)
    if (alert.kind !== 'DEGRADED' && alert.trigger_event_id !== null && alert.event_ids.length === 0)
      broken.push('an alert without evidence');
  return [...new Set(broken)];
}
