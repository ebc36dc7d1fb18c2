import { type DefinedMetrics, defineMetrics, type MetricSpec, type Metrics } from '@tracehound/telemetry';

/** Every metric of the correlator besides `correlator_records_consumed_total` and `correlator_verdicts_total`. */
const SPECS = {
  matchesWritten: {
    type: 'counter',
    name: 'correlator_matches_written_total',
    help: 'Matches acknowledged on security.matches by stage A.',
  },
  matchRecordsWritten: {
    type: 'counter',
    name: 'correlator_match_targets_written_total',
    help: 'Records and ticks acknowledged on security.matches, per target partition and batch.',
  },
  matchRetries: {
    type: 'counter',
    name: 'correlator_match_write_retries_total',
    help: 'Requests to security.matches sent again because their outcome was not known.',
  },
  findings: {
    type: 'counter',
    name: 'correlator_findings_total',
    help: 'Findings acknowledged on security.findings.',
  },
  groupMissing: {
    type: 'counter',
    name: 'correlator_group_missing_total',
    help: 'Matches that took no part in a correlation because a group or value field was missing.',
  },
  matchesWithheld: {
    type: 'counter',
    name: 'correlator_matches_withheld_total',
    help: 'Matches left out because a breaker of the activation in force says so; stage B tells the degraded range.',
  },
  detectionsSkipped: {
    type: 'counter',
    name: 'correlator_detections_skipped_total',
    help: 'Detections that were not asked about an event because a breaker of the activation in force says so; stage B tells the degraded ranges of the correlations on them.',
  },
  breakersProposed: {
    type: 'counter',
    name: 'correlator_breakers_proposed_total',
    help: 'Activations with a breaker published by stage A because a rule flooded with matches or took too much time.',
  },
  ruleSeconds: {
    type: 'counter',
    name: 'correlator_rule_seconds_total',
    help: 'Time of single detections in stage A, estimated from one event in 64; the 50 rules that got dear first, and other.',
    labels: ['rule'],
  },
  ruleFailures: {
    type: 'counter',
    name: 'correlator_rule_failures_total',
    help: 'Events on which a single rule threw; they went on with the other rules, a copy is in the dead letters.',
    labels: ['rule'],
  },
  rulesOverBudget: {
    type: 'counter',
    name: 'correlator_rules_over_budget_total',
    help: 'Rules found to take more than their share of a core; the log names them.',
  },
  deadLetterLimit: {
    type: 'counter',
    name: 'correlator_dead_letter_limit_total',
    help: 'Batches held back because too many of a partition would be dead letters.',
    labels: ['stage'],
  },
  markers: {
    type: 'counter',
    name: 'correlator_markers_total',
    help: 'Idle markers acknowledged on source partitions.',
  },
  mirrorSilence: {
    type: 'gauge',
    name: 'correlator_mirror_silence_seconds',
    help: 'Longest time a partition of a mirrored topic has been brought nothing; the markers of the other side keep it small.',
    labels: ['source'],
  },
  rulesIgnored: {
    type: 'counter',
    name: 'correlator_rule_records_ignored_total',
    help: 'Records of the rule topics passed over.',
    labels: ['reason'],
  },
  matches: {
    type: 'gauge',
    name: 'correlator_matches',
    help: 'Matches seen by stage B by what became of them; from partition state, so it survives restarts.',
    labels: ['partition', 'outcome'],
  },
  groups: {
    type: 'gauge',
    name: 'correlator_groups',
    help: 'Live window groups.',
    labels: ['partition'],
  },
  coldGroups: {
    type: 'gauge',
    name: 'correlator_cold_groups',
    help: 'Live window groups whose state only Redis has.',
    labels: ['partition'],
  },
  otherVersionGroups: {
    type: 'gauge',
    name: 'correlator_groups_to_rewrite',
    help: 'Live window groups that Redis still has in another format than TRACEHOUND_CORRELATOR_STATE_FORMAT asks for; every flush rewrites some. A downgrade may begin once it is 0 everywhere.',
    labels: ['partition'],
  },
  broughtGroups: {
    type: 'counter',
    name: 'correlator_groups_read_total',
    help: 'Cold groups read from Redis because matches came for them; many per match mean that the bound on packed groups is too low.',
  },
  ruleGroups: {
    type: 'gauge',
    name: 'correlator_rule_groups',
    help: 'Live window groups per correlation and organization, over the held partitions; the largest 20, and other.',
    labels: ['organization', 'rule'],
  },
  ruleBytes: {
    type: 'gauge',
    name: 'correlator_rule_bytes',
    help: 'State per correlation and organization, estimated as the limits count it; the largest 20, and other.',
    labels: ['organization', 'rule'],
  },
  ruleDegraded: {
    type: 'gauge',
    name: 'correlator_rule_degraded',
    help: '1 while a correlation has let go of state in an organization and may still speak about that time; 50 at most.',
    labels: ['organization', 'rule'],
  },
  degradedRules: {
    type: 'gauge',
    name: 'correlator_degraded_rules',
    help: 'Correlations, counted in each organization, that are degraded.',
  },
  dirtyGroups: {
    type: 'gauge',
    name: 'correlator_dirty_groups',
    help: 'Groups changed since the last flush.',
    labels: ['partition'],
  },
  outbox: {
    type: 'gauge',
    name: 'correlator_outbox_records',
    help: 'Alerts in the outbox that are not acknowledged.',
    labels: ['partition'],
  },
  lagRecords: {
    type: 'gauge',
    name: 'correlator_lag_records',
    help: 'Records of a held partition that the stage has not done yet.',
    labels: ['stage', 'topic', 'partition'],
  },
  lagSeconds: {
    type: 'gauge',
    name: 'correlator_lag_seconds',
    help: 'Age of the newest record that is done while more wait; 0 when nothing waits.',
    labels: ['stage', 'topic', 'partition'],
  },
  watermarkAge: {
    type: 'gauge',
    name: 'correlator_watermark_age_seconds',
    help: 'Seconds since the append time a source has claimed to have covered; a missing tick lets it grow.',
    labels: ['partition', 'source'],
  },
  tickAlarm: {
    type: 'gauge',
    name: 'correlator_tick_missing',
    help: '1 while a source has been silent for longer than the alarm bound.',
    labels: ['source'],
  },
  acquired: {
    type: 'counter',
    name: 'correlator_partitions_acquired_total',
    help: 'Matches partitions taken, by what the store held.',
    labels: ['status'],
  },
  lost: {
    type: 'counter',
    name: 'correlator_ownership_lost_total',
    help: 'Flushes that were refused or whose outcome was not known.',
    labels: ['outcome'],
  },
  flushes: {
    type: 'counter',
    name: 'correlator_flushes_total',
    help: 'Flushes applied by the state store.',
  },
  flushedGroups: {
    type: 'counter',
    name: 'correlator_flushed_groups_total',
    help: 'Groups written or deleted by flushes.',
  },
  flushSeconds: {
    type: 'histogram',
    name: 'correlator_flush_seconds',
    help: 'Time of one flush until the state store answered.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
  },
  emitted: {
    type: 'counter',
    name: 'correlator_alert_records_total',
    help: 'Alert and late records acknowledged from the outbox.',
  },
  rebuildRemaining: {
    type: 'gauge',
    name: 'correlator_rebuild_remaining_records',
    help: 'Records of security.matches still to re-read; 0 when no rebuild runs.',
    labels: ['partition'],
  },
  batchSeconds: {
    type: 'histogram',
    name: 'correlator_batch_seconds',
    help: 'Time of one consumed batch.',
    labels: ['stage'],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;

export type CorrelatorMetrics = DefinedMetrics<typeof SPECS>;

export function createCorrelatorMetrics(metrics: Metrics): CorrelatorMetrics {
  return defineMetrics(metrics, SPECS);
}

/** Of the process that keeps workers alive: how many have reported, and one count per replacement. */
export function createWorkersMetrics(metrics: Metrics, reporting: () => number): { replaced(): void } {
  const { workerRestarts } = defineMetrics(metrics, {
    workers: {
      type: 'gauge',
      name: 'correlator_workers',
      help: 'Worker processes that live and have said so.',
      collect: reporting,
    },
    workerRestarts: {
      type: 'counter',
      name: 'correlator_worker_restarts_total',
      help: 'Worker processes started in place of dead ones.',
    },
  });
  return { replaced: () => workerRestarts.inc() };
}
