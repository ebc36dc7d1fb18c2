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

const CORRELATIONS: readonly {
  readonly name: string;
  readonly type: string;
  readonly rules: readonly string[];
  readonly by: readonly string[];
  readonly span: string;
  readonly condition?: string;
}[] = [
  { name: 'c01', type: 'event_count', rules: ['login_failed'], by: ['src_ip'], span: '15m', condition: 'gte: 5' },
  {
    name: 'c02',
    type: 'value_count',
    rules: ['login_failed'],
    by: ['src_ip'],
    span: '10m',
    condition: 'gte: 10, field: user',
  },
  {
    name: 'c03',
    type: 'temporal_ordered',
    rules: ['login_failed', 'login_success', 'data_export'],
    by: ['trace_id'],
    span: '10m',
  },
  { name: 'c04', type: 'temporal', rules: ['mfa_disabled', 'api_key_created'], by: ['user'], span: '10m' },
  { name: 'c05', type: 'event_count', rules: ['permission_denied'], by: ['user'], span: '5m', condition: 'gte: 10' },
  {
    name: 'c06',
    type: 'value_count',
    rules: ['api_key_created'],
    by: ['src_ip'],
    span: '30m',
    condition: 'gte: 5, field: organization_id',
  },
  {
    name: 'c07',
    type: 'event_count',
    rules: ['verification_failed'],
    by: ['organization_id'],
    span: '5m',
    condition: 'gte: 50',
  },
  { name: 'c08', type: 'temporal', rules: ['config_changed', 'role_granted'], by: ['organization_id'], span: '5m' },
  {
    name: 'c09',
    type: 'value_count',
    rules: ['login_failed'],
    by: ['trace_id'],
    span: '10m',
    condition: 'gte: 3, field: platform',
  },
  {
    name: 'c10',
    type: 'event_count',
    rules: ['data_export'],
    by: ['user', 'organization_id'],
    span: '1h',
    condition: 'gte: 3',
  },
];

/** Selections of the other detections, by turns: exact, prefix, suffix, substring, all of, network, regex, and not, one of. */
const SHAPES: readonly ((n: number) => { readonly selections: string; readonly condition: string })[] = [
  (n) => ({
    selections: `s: { event_type: build_finished, resource: /api/v1/projects/${n}/artifacts/7 }`,
    condition: 's',
  }),
  (n) => ({ selections: `s: { resource|startswith: /api/v1/projects/${n}9/ }`, condition: 's' }),
  (n) => ({ selections: `s: { event_type: file_read, resource|endswith: /artifacts/${n} }`, condition: 's' }),
  (n) => ({ selections: `s: { user_agent|contains: sqlmap/${n} }`, condition: 's' }),
  (n) => ({ selections: `s: { resource|contains|all: [projects/4${n}, artifacts/3] }`, condition: 's' }),
  (n) => ({ selections: `s: { src_ip|cidr: 10.${n + 100}.0.0/16 }`, condition: 's' }),
  (n) => ({ selections: `s: { user_agent|re: 'curl/${n}\\.[0-9]+' }`, condition: 's' }),
  (n) => ({
    selections: `s: { event_type: role_granted, user|startswith: user-0${n} }\n    filter: { platform: web }`,
    condition: 's and not filter',
  }),
  (n) => ({
    selections: `one_a: { event_type: config_changed, user: user-0${n}00 }\n    one_b: { severity: high, user: user-0${n}01 }`,
    condition: '1 of one_*',
  }),
];

/** One YAML text of so many detections (at least nine) and, if wanted, the ten correlations. */
export function workloadRules(detections: number, correlations: boolean): string {
  const documents = BASE.map((type, index) =>
    detectionText({ id: index, name: type, selections: `s: { event_type: ${type} }`, condition: 's' }),
  );
  for (let index = BASE.length; index < detections; index++) {
    const shape = SHAPES[index % SHAPES.length] as (typeof SHAPES)[number];
    documents.push(detectionText({ id: index, name: `d${index}`, ...shape(Math.floor(index / SHAPES.length)) }));
  }
  if (correlations) documents.push(...CORRELATIONS.map(correlationText));
  return documents.join('---\n');
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

function correlationText(rule: (typeof CORRELATIONS)[number], index: number): string {
  return `title: Workload ${rule.name}
id: ${uuid(2, index)}
name: ${rule.name}
status: test
correlation:
    type: ${rule.type}
    rules: [${rule.rules.join(', ')}]
    group-by: [${rule.by.join(', ')}]
    timespan: ${rule.span}
${rule.condition === undefined ? '' : `    condition: { ${rule.condition} }\n`}level: high
`;
}

function uuid(kind: number, index: number): string {
  return `be0c000${kind}-0000-4000-8000-${index.toString().padStart(12, '0')}`;
}
