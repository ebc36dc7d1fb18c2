import type { EventEnvelopeInput, RecordInputByName } from '@tracehound/event-model';
import type { RuleFile } from '@tracehound/sigma';
import { finalAlerts, type OracleEvent, type OracleRule } from '../../../packages/correlation/oracle/index.ts';

/** A login, a logout of a secret or an export, as few words as the tests need. */
export type TestEvent = {
  readonly id: string;
  readonly kind: 'login_failed' | 'login_ok' | 'export' | 'break_glass';
  readonly organization: string;
  readonly actor: string;
  readonly address: string;
  readonly trace: string;
  readonly timeMs: number;
};

const EVENT_TYPES: Readonly<Record<TestEvent['kind'], string>> = {
  login_failed: 'auth.login.failure',
  login_ok: 'auth.login.success',
  export: 'data.export',
  break_glass: 'admin.break_glass',
};

/** Rules over `TestEvent`s: one of each correlation type, and a detection that stands alone. */
export const TEST_RULES: readonly RuleFile[] = [
  {
    path: 'test.yml',
    content: [
      ...Object.entries(EVENT_TYPES).map(
        ([name, type]) => `title: ${name}
id: ${name}
name: ${name}
level: low
logsource: {product: tracehound}
detection: {s: {event_type: ${type}}, condition: s}
`,
      ),
      `title: Many failed logins
id: many_failures
name: many_failures
level: high
correlation: {type: event_count, rules: [login_failed], group-by: [actor.id], timespan: 10s, condition: {gte: 3}}
`,
      `title: One address tries many accounts
id: many_actors
level: high
correlation:
  type: value_count
  rules: [login_failed]
  group-by: [network.ip_hash]
  timespan: 10s
  condition: {gte: 3, field: actor.id}
`,
      `title: Takeover then export
id: takeover
level: critical
correlation: {type: temporal_ordered, rules: [login_failed, login_ok, export], group-by: [trace_id], timespan: 30s}
`,
    ].join('---\n'),
  },
];

/** Two organizations of one set: `umbrella` needs five failures where others need three. */
export const OVERRIDE_RULES: readonly RuleFile[] = [
  ...TEST_RULES,
  {
    path: 'overrides.yml',
    content: `title: Umbrella is clumsy
override: {rule: many_failures, organization: umbrella, condition: {gte: 5}}
custom: {owner: ada, reason: a test, expires: 2099-01-01}
---
title: Hooli is as clumsy
override: {rule: many_failures, organization: hooli, condition: {gte: 5}}
custom: {owner: ada, reason: a test, expires: 2099-01-01}
`,
  },
];

/** Rules over rules, whose windows lie in other partitions than those they stand on, and a group that must be heard from. */
export const CHAIN_RULES: readonly RuleFile[] = [
  ...TEST_RULES,
  {
    path: 'chains.yml',
    content: [
      `title: Guessed, then exported
id: guessed_export
name: guessed_export
level: critical
correlation: {type: temporal_ordered, rules: [many_failures, export], group-by: [actor.id], timespan: 1m, generate: true}
`,
      `title: Guessed and exported, twice
id: twice
level: critical
correlation: {type: event_count, rules: [guessed_export], timespan: 1h, condition: {gte: 2}, generate: true}
`,
      `title: No logins any more
id: silent
level: high
correlation:
  type: event_count
  rules: [login_ok]
  group-by: [actor.id]
  timespan: 20s
  condition: {lt: 1}
  x-corr: {expect: [quiet-actor]}
`,
    ].join('---\n'),
  },
];

/** Rules of the chaos soak: the oracle knows the first three, E1 judges the chains too. */
export const CHAOS_RULES: readonly RuleFile[] = CHAIN_RULES.map(({ path, content }) => ({
  path,
  content: content
    .split('---\n')
    .filter((rule) => !rule.includes('id: silent'))
    .join('---\n'),
}));

const ORACLE_RULES: readonly {
  readonly id: string;
  readonly rule: OracleRule;
  readonly group: (event: TestEvent) => string;
  readonly value: (event: TestEvent) => string | null;
  readonly steps: readonly TestEvent['kind'][];
}[] = [
  {
    id: 'many_failures',
    rule: { type: 'event_count', spanMs: 10_000, threshold: 3 },
    group: (event) => event.actor,
    value: () => null,
    steps: ['login_failed'],
  },
  {
    id: 'many_actors',
    rule: { type: 'value_count', spanMs: 10_000, threshold: 3 },
    group: (event) => event.address,
    value: (event) => event.actor,
    steps: ['login_failed'],
  },
  {
    id: 'takeover',
    rule: { type: 'temporal_ordered', spanMs: 30_000, threshold: 3 },
    group: (event) => event.trace,
    value: () => null,
    steps: ['login_failed', 'login_ok', 'export'],
  },
];

/** The projection of E2: rule, organization, group value, first, last, event ids. */
export type FinalLine = string;

export function finalLine(parts: {
  readonly rule: string;
  readonly organization: string;
  readonly group: string | null | undefined;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly eventIds: readonly string[];
}): FinalLine {
  return JSON.stringify([
    parts.rule,
    parts.organization,
    parts.group,
    parts.firstAt,
    parts.lastAt,
    [...parts.eventIds].sort(),
  ]);
}

/** What the oracle says of events that came in time, sorted. */
/** `thresholds`: another number than the rule's, by `rule|organization`. */
export function oracleLines(
  events: readonly TestEvent[],
  thresholds: Readonly<Record<string, number>> = {},
): readonly FinalLine[] {
  return ORACLE_RULES.flatMap(({ id, rule, group, value, steps }) => {
    const asked = events.flatMap((event): OracleEvent[] => {
      const step = steps.indexOf(event.kind);
      if (step < 0) return [];
      const { organization, timeMs } = event;
      return [{ organization, group: group(event), id: event.id, timeMs, step, value: value(event) }];
    });
    const organizations = [...Map.groupBy(asked, ({ organization }) => organization)];
    const finals = organizations.flatMap(([organization, own]) =>
      finalAlerts({ ...rule, threshold: thresholds[`${id}|${organization}`] ?? rule.threshold }, own),
    );
    return finals.map((alert) =>
      finalLine({
        rule: id,
        organization: alert.organization,
        group: alert.group,
        firstAt: alert.firstAtMs,
        lastAt: alert.lastAtMs,
        eventIds: alert.eventIds,
      }),
    );
  }).sort();
}

type EventInput = RecordInputByName['tracehound.events.v1.AuthenticationEvent'];

/** As the gateway writes it. */
export function eventRecord(event: TestEvent, clusterId = 'test'): EventInput {
  const envelope: EventEnvelopeInput = {
    event_id: event.id,
    event_type: EVENT_TYPES[event.kind],
    family: 'auth',
    category: 'authentication',
    severity: 'MEDIUM',
    outcome: event.kind === 'login_failed' ? 'FAILURE' : 'SUCCESS',
    occurred_at: event.timeMs,
    event_time: event.timeMs,
    event_time_source: 'OCCURRED',
    received_at: event.timeMs,
    organization_id: event.organization,
    intake_org: event.organization,
    cluster_id: clusterId,
    trace: { trace_id: event.trace, span_id: null, trust: 'GATEWAY' },
    actor: { type: 'user', id: event.actor, name: null },
    source: { platform: 'python', service: 'api' },
    network: { ip_hash: event.address, ip_hash_kid: 'k1' },
  };
  return { envelope, payload: {} };
}

/** An attack of `size` failed logins, a success and an export, one second apart, ending at `endMs`. */
export function attack(options: {
  readonly name: string;
  readonly endMs: number;
  readonly size?: number;
  readonly organization?: string;
}): readonly TestEvent[] {
  const size = options.size ?? 4;
  const kinds: TestEvent['kind'][] = [
    ...Array.from({ length: size }, () => 'login_failed' as const),
    'login_ok',
    'export',
  ];
  return kinds.map((kind, index) => ({
    id: `${options.name}-${index}`,
    kind,
    organization: options.organization ?? 'acme',
    actor: `${options.name}-actor`,
    address: `${options.name}-address`,
    trace: traceOf(options.name),
    timeMs: options.endMs - (kinds.length - 1 - index) * 1_000,
  }));
}

/** Background noise and several attacks over `spreadMs` before `endMs`, from one seed; alerts of all kinds among it. */
export function mixedEvents(options: {
  readonly random: { below(bound: number): number; pick<T>(items: readonly T[]): T };
  readonly count: number;
  readonly endMs: number;
  readonly spreadMs: number;
}): readonly TestEvent[] {
  const { random, count, endMs, spreadMs } = options;
  return Array.from({ length: count }, (_, index) => ({
    id: `e${index}-${random.below(1_000_000)}`,
    kind: random.pick(['login_failed', 'login_failed', 'login_failed', 'login_ok', 'export'] as const),
    organization: random.pick(['acme', 'umbrella']),
    actor: `actor-${random.below(5)}`,
    address: `address-${random.below(4)}`,
    trace: traceOf(`trace-${random.below(6)}`),
    timeMs: endMs - random.below(spreadMs),
  }));
}

function traceOf(name: string): string {
  return Buffer.from(name).toString('hex').padEnd(32, '0').slice(0, 32);
}
