import { type DefinedMetrics, defineMetrics, type Metrics } from '@tracehound/telemetry';

const SPECS = {
  events: {
    type: 'counter',
    name: 'gateway_events_total',
    help: 'Events by what their sender was told.',
    labels: ['result'],
  },
  requests: {
    type: 'counter',
    name: 'gateway_requests_total',
    help: 'Requests to POST /v1/events by HTTP status.',
    labels: ['status'],
  },
  refusals: {
    type: 'counter',
    name: 'gateway_refusals_total',
    help: 'Requests refused as a whole, by reason.',
    labels: ['reason'],
  },
  requestSeconds: {
    type: 'histogram',
    name: 'gateway_request_duration_seconds',
    help: 'From the first header byte to the answer.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30],
  },
  produceSeconds: {
    type: 'histogram',
    name: 'gateway_produce_duration_seconds',
    help: 'One send to one topic until all in-sync replicas have it.',
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 30],
  },
  receivedBytes: {
    type: 'counter',
    name: 'gateway_received_bytes_total',
    help: 'Bytes of bodies, as sent (wire) and after decompression (plain).',
    labels: ['form'],
  },
  producedBytes: {
    type: 'counter',
    name: 'gateway_produced_bytes_total',
    help: 'Bytes of values acknowledged by Kafka.',
    labels: ['topic'],
  },
  inFlight: { type: 'gauge', name: 'gateway_requests_in_flight', help: 'Requests being worked on.' },
  enrichUnknown: {
    type: 'counter',
    name: 'gateway_enrich_unknown_total',
    help: 'Batches of which the past of some event could not be told; those went on without, flagged.',
  },
  enrichForgotten: {
    type: 'counter',
    name: 'gateway_enrich_forgotten_total',
    help: 'Batches that may be missing in the past of their accounts.',
  },
  dedupUnknown: {
    type: 'counter',
    name: 'gateway_dedup_unknown_total',
    help: 'Batches whose duplicate check failed and that went on without.',
  },
  senderSkewSeconds: {
    type: 'histogram',
    name: 'gateway_sender_clock_skew_seconds',
    help: 'Distance between X-Sent-At and the clock here, absolute; it never changes an event.',
    buckets: [1, 5, 30, 60, 300, 3_600, 86_400],
  },
  keyReloads: {
    type: 'counter',
    name: 'gateway_api_key_reloads_total',
    help: 'Changes of the API key file by outcome.',
    labels: ['outcome'],
  },
} as const;

export type GatewayMetrics = DefinedMetrics<typeof SPECS>;

/** Every metric of the gateway beside those of the process and `gateway_records_consumed_total`, `gateway_verdicts_total`. */
export function createGatewayMetrics(metrics: Metrics): GatewayMetrics {
  return defineMetrics(metrics, SPECS);
}
