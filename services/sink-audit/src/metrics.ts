import { type DefinedMetrics, defineMetrics, type MetricSpec, type Metrics } from '@tracehound/telemetry';

/** Every metric of the sink but the verdicts (`sink_records_consumed_total`, `sink_verdicts_total`). */
const SPECS = {
  rows: {
    type: 'counter',
    name: 'sink_rows_total',
    help: 'Committed audit rows by kind of record.',
    labels: ['kind'],
  },
  duplicates: {
    type: 'counter',
    name: 'sink_duplicates_total',
    help: 'Committed rows that are copies of an earlier record of their partition.',
    labels: ['kind'],
  },
  failures: {
    type: 'counter',
    name: 'sink_failures_total',
    help: 'Records that became a dead letter and a row of audit.delivery_failure.',
  },
  missing: {
    type: 'counter',
    name: 'sink_missing_records_total',
    help: 'Offsets the topic no longer held when they were due. Any increase is a hole in the audit log.',
  },
  gaps: {
    type: 'counter',
    name: 'sink_gaps_total',
    help: 'Runs of such offsets. Any increase is a hole in the audit log.',
    labels: ['topic'],
  },
  topicsReplaced: {
    type: 'counter',
    name: 'sink_topics_replaced_total',
    help: 'Partitions whose topic was deleted and made again.',
    labels: ['topic'],
  },
  fenced: {
    type: 'counter',
    name: 'sink_fenced_total',
    help: 'Writes refused because another sink had taken the partition.',
    labels: ['topic'],
  },
  published: {
    type: 'counter',
    name: 'sink_event_detected_total',
    help: 'Records acknowledged on security.event-detected.',
  },
  transaction: {
    type: 'histogram',
    name: 'sink_transaction_seconds',
    help: 'Duration of a committed transaction of rows and offsets.',
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  },
  transactionRows: {
    type: 'histogram',
    name: 'sink_transaction_rows',
    help: 'Rows per committed transaction.',
    buckets: [1, 10, 100, 500, 1_000, 2_500, 5_000, 10_000],
  },
  lagRecords: {
    type: 'gauge',
    name: 'sink_lag_records',
    help: 'Records of a held partition that are not stored yet.',
    labels: ['topic', 'partition'],
  },
  lagSeconds: {
    type: 'gauge',
    name: 'sink_lag_seconds',
    help: 'Age of the newest stored record while more wait; 0 when nothing waits.',
    labels: ['topic', 'partition'],
  },
  held: { type: 'gauge', name: 'sink_partitions_held', help: 'Partitions this process holds the fence of.' },
  troubled: {
    type: 'gauge',
    name: 'sink_partitions_troubled',
    help: 'Held partitions that cannot go on at the moment.',
  },
  tablesMade: {
    type: 'counter',
    name: 'sink_table_partitions_made_total',
    help: 'Monthly table partitions made by this process.',
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;

export type SinkMetrics = DefinedMetrics<typeof SPECS>;

export function sinkMetrics(metrics: Metrics): SinkMetrics {
  return defineMetrics(metrics, SPECS);
}
