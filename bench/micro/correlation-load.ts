import { loadRuleSet, type RuleMatch, type RuleSetCompiled } from '@tracehound/sigma';

/**
 * Ready matches of ten correlations, shaped like the two loads of the peer study: `real` (10 ms between events, wide keys, one
 * match in four events) and `hot` (1 ms, Zipf keys, nearly one match per event). Seeded: the same on every machine.
 */
export type LoadedMatch = {
  readonly match: RuleMatch;
  readonly event: { readonly id: string; readonly timeMs: number; readonly organization: string };
};

type Shape = { readonly stepMs: number; readonly skew: number; readonly share: number };
const SHAPES: Readonly<Record<'real' | 'hot', Shape>> = {
  real: { stepMs: 10, skew: 0.6, share: 0.25 },
  hot: { stepMs: 1, skew: 1, share: 0.88 },
};

const ORDERED = ['login_failed', 'login_success', 'data_export'];
const RULES: readonly [
  id: string,
  type: string,
  rules: readonly string[],
  by: string,
  span: string,
  condition: string,
][] = [
  ['c01', 'event_count', ['login_failed'], 'src_ip', '15m', '{gte: 5}'],
  ['c02', 'value_count', ['login_failed'], 'src_ip', '10m', '{gte: 10, field: user}'],
  ['c03', 'temporal_ordered', ORDERED, 'trace_id', '10m', ''],
  ['c04', 'temporal', ['mfa_disabled', 'api_key_created'], 'user', '10m', ''],
  ['c05', 'event_count', ['permission_denied'], 'user', '5m', '{gte: 10}'],
  ['c06', 'value_count', ['api_key_created'], 'src_ip', '30m', '{gte: 5, field: organization}'],
  ['c07', 'event_count', ['verification_failed'], 'organization', '5m', '{gte: 50}'],
  ['c08', 'temporal', ['config_changed', 'role_granted'], 'organization', '5m', ''],
  ['c09', 'value_count', ['login_failed'], 'trace_id', '10m', '{gte: 3, field: platform}'],
  ['c10', 'event_count', ['data_export'], 'user', '1h', '{gte: 3}'],
];
const DETECTIONS = [
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

export function loadRules(): RuleSetCompiled {
  const detections = DETECTIONS.map(
    (name) =>
      `title: ${name}\nname: ${name}\nlogsource: {product: bench}\ndetection: {s: {type: ${name}}, condition: s}\n`,
  );
  const correlations = RULES.map(
    ([id, type, rules, by, span, condition]) =>
      `title: ${id}\nname: ${id}\ncorrelation:\n  type: ${type}\n  rules: [${rules.join(', ')}]\n  group-by: [${by}]\n  timespan: ${span}\n${condition ? `  condition: ${condition}\n` : ''}`,
  );
  return loadRuleSet([{ path: 'bench.yml', content: [...detections, ...correlations].join('---\n') }]);
}

/** `count` events; how many matches they give is up to the shape. */
export function createLoad(name: 'real' | 'hot', count: number): LoadedMatch[] {
  const shape = SHAPES[name];
  const random = mulberry32(42);
  const zipf = (size: number): number => Math.floor(size * random() ** (1 / (1 - Math.min(shape.skew, 0.9)))) % size;
  const load: LoadedMatch[] = [];
  let timeMs = Date.UTC(2026, 0, 1);
  for (let index = 0; index < count; index++) {
    timeMs += Math.floor(random() * 2 * shape.stepMs);
    if (random() > shape.share) continue;
    const rule = Math.floor(random() * RULES.length);
    const [, type, rules, by] = RULES[rule] as (typeof RULES)[number];
    const keys = { src_ip: 20_000, trace_id: 50_000, user: 8_000, organization: 200 }[by] ?? 1;
    const key = by === 'trace_id' && name === 'real' ? Math.floor(index / 40) : zipf(keys);
    const isSteps = type === 'temporal' || type === 'temporal_ordered';
    load.push({
      match: {
        rule,
        step: isSteps ? Math.floor(random() * rules.length) : 0,
        group_key: `["s:${by}-${key}"]`,
        value: type === 'value_count' ? `["s:v${Math.floor(random() * 8000)}"]` : null,
        number: null,
      },
      event: { id: uuid(random), timeMs, organization: 'acme' },
    });
  }
  // As a reader gives them: flat strings, not pieces put together.
  return JSON.parse(JSON.stringify(load));
}

export function uuid(random: () => number): string {
  const part = (digits: number): string =>
    Math.floor(random() * 16 ** digits)
      .toString(16)
      .padStart(digits, '0');
  return `${part(8)}-${part(4)}-7${part(3)}-8${part(3)}-${part(6)}${part(6)}`;
}

export function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
