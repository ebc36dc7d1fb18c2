import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CorrelationAlert, END_OF_INPUT_WATERMARK_MS, type Match, type MatchBatch } from '@tracehound/event-model';
import {
  createJsonFieldView,
  type FieldView,
  type LogSource,
  loadRuleSet,
  type RuleSetCompiled,
} from '@tracehound/sigma';
import { createPartitionEngine } from '../src/engine.ts';
import { finalAlerts } from './final-alerts.ts';
import type { FinalAlert, OracleEvent } from './model.ts';

/** An event of a scenario as rules see it. */
export type OfflineEvent = {
  readonly id: string;
  readonly timeMs: number;
  readonly organization: string;
  readonly view: FieldView;
  readonly logSource: LogSource;
};

const SCENARIOS = join(import.meta.dirname, '../../../e2e/scenarios');

/** Rule set of a folder of rules, below `e2e/scenarios/<name>` or elsewhere. */
export function readRuleSet(folder: string): RuleSetCompiled {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.yml'));
  return loadRuleSet(paths.map((path) => ({ path, content: readFileSync(join(folder, path), 'utf8') })));
}

export function scenarioFolder(name: string): string {
  return join(SCENARIOS, name);
}

/** The events of a scenario, in the order of the file. */
export function readScenarioEvents(name: string): OfflineEvent[] {
  const lines = readFileSync(join(SCENARIOS, name, 'events.ndjson'), 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => {
    const event: Record<string, unknown> = JSON.parse(line);
    const type = String(event['event_type'] ?? '');
    const trace = event['trace'] as { trace_id: string } | undefined;
    const network = event['network'] as { ip: string } | undefined;
    // What the gateway adds and rules look at: the short name of the trace, the hash in place of the address.
    const native = { ...event, trace_id: trace?.trace_id, network: { ip_hash: network && `hash of ${network.ip}` } };
    return {
      id: String(event['event_id']),
      timeMs: Date.parse(String(event['occurred_at'])),
      organization: String(event['organization_id']),
      view: createJsonFieldView(event['external'] === true ? (event['event'] as Record<string, unknown>) : native),
      logSource: {
        category: null,
        product: 'tracehound',
        service: type.split('.')[0] ?? null,
        ...(event['log_source'] as Partial<LogSource> | undefined),
      },
    };
  });
}

/** Matches of events, as stage A makes them; the offset is the event's place in the list. */
export function offlineMatches(ruleSet: RuleSetCompiled, events: readonly OfflineEvent[]): Match[] {
  return events.flatMap((event, offset) => {
    const detections = ruleSet.matchEvent(event.view, event.logSource);
    return ruleSet.matchesOf(event.view, detections).matches.map((match) => ({
      ...match,
      rule: ruleSet.inOrganization(match.rule, event.organization),
      organization_id: event.organization,
      event_id: event.id,
      event_time: event.timeMs,
      source_offset: offset,
      source_instance: null,
      source_seq: null,
      flags: 0,
    }));
  });
}

/** Alerts of a closed recording: all events on time, then the end of input. */
export function runOffline(ruleSet: RuleSetCompiled, events: readonly OfflineEvent[]): CorrelationAlert[] {
  const source = { topic: 'security.events', topic_id: 'offline', partition: 0 };
  const engine = createPartitionEngine({
    clusterId: 'offline',
    partition: 0,
    ruleSet: (id) => (id === ruleSet.rulesetId ? ruleSet : undefined),
    sources: () => [source],
  });
  const head = {
    schema_rev: 1,
    cluster_id: 'offline',
    src_topic: source.topic,
    src_topic_id: source.topic_id,
    src_partition: 0,
    sources_version: 1,
    activation_id: 'offline',
    ruleset_id: ruleSet.rulesetId,
    depth: 0,
  };
  const all = { from: 0, to: events.length, prev_to: 0, watermark: 0, end_of_input: false };
  const end = { from: events.length, to: events.length, prev_to: events.length, end_of_input: true };
  const batches: MatchBatch[] = [
    { ...head, ...all, matches: offlineMatches(ruleSet, events) },
    { ...head, ...end, watermark: END_OF_INPUT_WATERMARK_MS, matches: [] },
  ];
  return batches.flatMap((batch, offset) =>
    engine.apply(batch, offset).flatMap((effect) => (effect.kind === 'alert' ? [effect.alert] : [])),
  );
}

/** The oracle's answer for one correlation of the set. */
export function oracleOffline(ruleSet: RuleSetCompiled, index: number, events: readonly OfflineEvent[]): FinalAlert[] {
  const rule = ruleSet.correlations[index];
  if (!rule) return [];
  const matched: OracleEvent[] = offlineMatches(ruleSet, events)
    .filter((match) => match.rule === index)
    .map((match) => ({
      organization: match.organization_id,
      group: match.group_key,
      id: match.event_id,
      timeMs: match.event_time,
      step: match.step,
      value: match.value,
      number: match.number,
    }));
  return finalAlerts(rule.definition, matched);
}
