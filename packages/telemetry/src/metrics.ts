import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of one process in a registry of their own, so that several apps can live in one test process. */
export type Metrics = {
  /** Metric prefix, without the underscore: `gateway`, `correlator`, `sink`, `alerter`. */
  readonly service: string;
  readonly registry: Registry;
  readonly contentType: string;
  /** Prometheus text. */
  text(): Promise<string>;
  /** The same for another process of the service; `processLabel` becomes the label `process` of every sample. */
  snapshot(processLabel: string): Promise<MetricsSnapshot>;
};

/** All metrics of a process, as JSON. */
export type MetricsSnapshot = readonly object[];

/** Prometheus text of several processes of one service; samples stay apart by their label `process`. */
export async function textOf(snapshots: readonly MetricsSnapshot[]): Promise<string> {
  return AggregatorRegistry.aggregate([...snapshots]).metrics();
}

/**
 * One metric. `name` is `<service>_<noun>_<unit or total>`; `labels` come from closed lists only. Buckets are in the
 * unit of the name.
 */
export type MetricSpec =
  | { readonly type: 'counter'; readonly name: string; readonly help: string; readonly labels?: readonly string[] }
  | {
      readonly type: 'gauge';
      readonly name: string;
      readonly help: string;
      readonly labels?: readonly string[];
      /** Called at each scrape; for values that are read, not counted. */
      readonly collect?: () => number | Promise<number>;
    }
  | {
      readonly type: 'histogram';
      readonly name: string;
      readonly help: string;
      readonly labels?: readonly string[];
      readonly buckets: readonly number[];
    };

type LabelsOf<S> = S extends { readonly labels: readonly (infer L extends string)[] } ? L : never;

export type DefinedMetrics<S extends Readonly<Record<string, MetricSpec>>> = {
  readonly [K in keyof S]: S[K]['type'] extends 'counter'
    ? Counter<LabelsOf<S[K]>>
    : S[K]['type'] extends 'gauge'
      ? Gauge<LabelsOf<S[K]>>
      : Histogram<LabelsOf<S[K]>>;
};

/** `processMetrics` adds CPU, memory, event loop and garbage collection; off in unit tests. */
export function createMetrics(service: string, options: { processMetrics?: boolean } = {}): Metrics {
  const registry = new Registry();
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: registry });
  return {
    service,
    registry,
    contentType: registry.contentType,
    text: () => registry.metrics(),
    async snapshot(processLabel) {
      const metrics = await registry.getMetricsAsJSON();
      return metrics.map((metric) => ({
        ...metric,
        values: metric.values.map((sample) => ({ ...sample, labels: { ...sample.labels, process: processLabel } })),
      }));
    },
  };
}

/** Declares all metrics of a service in one list; label names are checked by the compiler at each use. */
export function defineMetrics<const S extends Readonly<Record<string, MetricSpec>>>(
  metrics: Metrics,
  specs: S,
): DefinedMetrics<S> {
  const made: Record<string, Counter | Gauge | Histogram> = {};
  for (const [key, spec] of Object.entries(specs)) made[key] = make(metrics.registry, spec);
  // Built key by key from `specs`, which the compiler cannot follow.
  return made as unknown as DefinedMetrics<S>;
}

function make(registry: Registry, spec: MetricSpec): Counter | Gauge | Histogram {
  const shared = { name: spec.name, help: spec.help, labelNames: [...(spec.labels ?? [])], registers: [registry] };
  switch (spec.type) {
    case 'counter':
      return new Counter(shared);
    case 'gauge': {
      const read = spec.collect;
      if (!read) return new Gauge(shared);
      return new Gauge({
        ...shared,
        async collect() {
          this.set(await read());
        },
      });
    }
    case 'histogram':
      return new Histogram({ ...shared, buckets: [...spec.buckets] });
  }
}

/**
 * `VerdictCounter` of `@tracehound/pipeline`: `<service>_records_consumed_total` and
 * `<service>_verdicts_total{stage,verdict,reason}`. The sum of the second without `retry` equals the first.
 */
export function verdictCounter(metrics: Metrics): {
  consumed(count: number): void;
  verdict(stage: string, kind: string, reason: string, count: number): void;
} {
  const counters = defineMetrics(metrics, {
    consumed: {
      type: 'counter',
      name: `${metrics.service}_records_consumed_total`,
      help: 'Records taken in and settled.',
    },
    verdicts: {
      type: 'counter',
      name: `${metrics.service}_verdicts_total`,
      help: 'Verdicts by the stage that decided and its reason (empty for ok).',
      labels: ['stage', 'verdict', 'reason'],
    },
  });
  return {
    consumed: (count) => counters.consumed.inc(count),
    verdict: (stage, kind, reason, count) => counters.verdicts.inc({ stage, verdict: kind, reason }, count),
  };
}
