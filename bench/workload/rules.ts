/** The ten detections most correlations stand on: one event type each. */
const BASE: readonly string[] = [
  'login_failed',
  'login_success',
  'data_export',
  'mfa_disabled',
  'api_key_created',
  'permission_denied',
  'verification_failed',
  'config_changed',
  'role_granted',
];

/** The correlations of the performance study, by number. */
export type WorkloadCorrelation = {
  readonly name: string;
  readonly type: 'event_count' | 'value_count' | 'temporal' | 'temporal_ordered';
  readonly rules: readonly string[];
  readonly by: readonly string[];
  readonly span: '5m' | '10m' | '15m' | '30m' | '1h';
  /** Least count; for temporal types all rules. */
  readonly least?: number;
  readonly field?: string;
};

export const CORRELATIONS: readonly WorkloadCorrelation[] = [
  { name: 'c01', type: 'event_count', rules: ['login_failed'], by: ['src_ip'], span: '15m', least: 5 },
  {
    name: 'c02',
    type: 'value_count',
    rules: ['login_failed'],
    by: ['src_ip'],
    span: '10m',
    least: 10,
    field: 'user',
  },
  {
    name: 'c03',
    type: 'temporal_ordered',
    rules: ['login_failed', 'login_success', 'data_export'],
    by: ['trace_id'],
    span: '10m',
  },
  { name: 'c04', type: 'temporal', rules: ['mfa_disabled', 'api_key_created'], by: ['user'], span: '10m' },
  { name: 'c05', type: 'event_count', rules: ['permission_denied'], by: ['user'], span: '5m', least: 10 },
  {
    name: 'c06',
    type: 'value_count',
    rules: ['api_key_created'],
    by: ['src_ip'],
    span: '30m',
    least: 5,
    field: 'organization_id',
  },
  {
    name: 'c07',
    type: 'event_count',
    rules: ['verification_failed'],
    by: ['organization_id'],
    span: '5m',
    least: 50,
  },
  { name: 'c08', type: 'temporal', rules: ['config_changed', 'role_granted'], by: ['organization_id'], span: '5m' },
  {
    name: 'c09',
    type: 'value_count',
    rules: ['login_failed'],
    by: ['trace_id'],
    span: '10m',
    least: 3,
    field: 'platform',
  },
  {
    name: 'c10',
    type: 'event_count',
    rules: ['data_export'],
    by: ['user', 'organization_id'],
    span: '1h',
    least: 3,
  },
];

/** What the detections look at, of a line of `events.ts`. */
export type WorkloadEvent = Readonly<
  Record<'event_type' | 'resource' | 'user_agent' | 'src_ip' | 'user' | 'platform' | 'severity', string>
>;

type Shape = (n: number) => {
  readonly selections: string;
  readonly condition: string;
  /** The same by hand, as the check of the engine. Values of the workload are lower case where it matters. */
  readonly holds: (event: WorkloadEvent) => boolean;
};

/** Selections of the other detections, by turns: exact, prefix, suffix, substring, all of, network, regex, and not, one of. */
const SHAPES: readonly Shape[] = [
  (n) => ({
    selections: `s: { event_type: build_finished, resource: /api/v1/projects/${n}/artifacts/7 }`,
    condition: 's',
    holds: (event) => event.event_type === 'build_finished' && event.resource === `/api/v1/projects/${n}/artifacts/7`,
  }),
  (n) => ({
    selections: `s: { resource|startswith: /api/v1/projects/${n}9/ }`,
    condition: 's',
    holds: (event) => event.resource.startsWith(`/api/v1/projects/${n}9/`),
  }),
  (n) => ({
    selections: `s: { event_type: file_read, resource|endswith: /artifacts/${n} }`,
    condition: 's',
    holds: (event) => event.event_type === 'file_read' && event.resource.endsWith(`/artifacts/${n}`),
  }),
  (n) => ({
    selections: `s: { user_agent|contains: sqlmap/${n} }`,
    condition: 's',
    holds: (event) => event.user_agent.includes(`sqlmap/${n}`),
  }),
  (n) => ({
    selections: `s: { resource|contains|all: [projects/4${n}, artifacts/3] }`,
    condition: 's',
    holds: (event) => event.resource.includes(`projects/4${n}`) && event.resource.includes('artifacts/3'),
  }),
  (n) => {
    const third = 16 * Math.floor(n / 150);
    const network = `10.${100 + (n % 150)}.${third}.0/20`;
    return {
      selections: `s: { src_ip|cidr: ${network} }`,
      condition: 's',
      holds: ({ src_ip }) => {
        const octets = src_ip.split('.').map(Number);
        return octets[0] === 10 && octets[1] === 100 + (n % 150) && ((octets[2] ?? 0) & 0xf0) === third;
      },
    };
  },
  (n) => ({
    selections: `s: { user_agent|re: 'curl/${n}\\.[0-9]+' }`,
    condition: 's',
    holds: (event) => new RegExp(`curl/${n}\\.[0-9]`).test(event.user_agent),
  }),
  (n) => ({
    selections: `s: { event_type: role_granted, user|startswith: user-0${n} }\n    filter: { platform: web }`,
    condition: 's and not filter',
    holds: (event) =>
      event.event_type === 'role_granted' && event.user.startsWith(`user-0${n}`) && event.platform !== 'web',
  }),
  (n) => ({
    selections: `one_a: { event_type: config_changed, user: user-0${n}00 }\n    one_b: { severity: high, user: user-0${n}01 }`,
    condition: '1 of one_*',
    holds: (event) =>
      (event.event_type === 'config_changed' && event.user === `user-0${n}00`) ||
      (event.severity === 'high' && event.user === `user-0${n}01`),
  }),
];

/** Each detection by hand, in the order of `workloadRules`. */
export function detectionChecks(detections: number): readonly ((event: WorkloadEvent) => boolean)[] {
  const base = BASE.map((type) => (event: WorkloadEvent) => event.event_type === type);
  const others = Array.from({ length: Math.max(0, detections - BASE.length) }, (_, at) => shapeOf(at + BASE.length));
  return [...base, ...others.map(({ holds }) => holds)];
}

function shapeOf(index: number): ReturnType<Shape> {
  const shape = SHAPES[index % SHAPES.length] as Shape;
  return shape(Math.floor(index / SHAPES.length));
}

/**
 * One YAML text of so many detections (at least nine) and, if wanted, the ten correlations. `explicit`: for engines that need
 * a condition in temporal rules, and references by id to know which detections speak for themselves; the same meaning.
 */
export function workloadRules(detections: number, correlations: boolean, { explicit = false } = {}): string {
  const documents = BASE.map((type, index) =>
    detectionText({ id: index, name: type, selections: `s: { event_type: ${type} }`, condition: 's' }),
  );
  for (let index = BASE.length; index < detections; index++)
    documents.push(detectionText({ id: index, name: `d${index}`, ...shapeOf(index) }));
  if (correlations) {
    const forms = explicit ? CORRELATIONS.map(explicitly) : CORRELATIONS;
    documents.push(...forms.map((correlation, index) => correlationText(correlation, index)));
  }
  return documents.join('---\n');
}

function explicitly(correlation: WorkloadCorrelation): WorkloadCorrelation {
  const { rules, least } = correlation;
  return { ...correlation, least: least ?? rules.length, rules: rules.map((name) => uuid(1, BASE.indexOf(name))) };
}

function detectionText(rule: {
  readonly id: number;
  readonly name: string;
  readonly selections: string;
  readonly condition: string;
}): string {
  return `title: Workload ${rule.name}
id: ${uuid(1, rule.id)}
name: ${rule.name}
status: test
logsource: { category: workload }
detection:
    ${rule.selections}
    condition: ${rule.condition}
level: low
`;
}

function correlationText({ name, type, rules, by, span, least, field }: WorkloadCorrelation, index: number): string {
  const bounds = [
    ...(least === undefined ? [] : [`gte: ${least}`]),
    ...(field === undefined ? [] : [`field: ${field}`]),
  ];
  return `title: Workload ${name}
id: ${uuid(2, index)}
name: ${name}
status: test
correlation:
    type: ${type}
    rules: [${rules.join(', ')}]
    group-by: [${by.join(', ')}]
    timespan: ${span}
${bounds.length === 0 ? '' : `    condition: { ${bounds.join(', ')} }\n`}level: high
`;
}

function uuid(kind: number, index: number): string {
  return `be0c000${kind}-0000-4000-8000-${index.toString().padStart(12, '0')}`;
}
