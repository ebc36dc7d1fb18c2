import { createRandom, createZipf } from './random.ts';

/**
 * Made-up traffic in the shapes of the performance study: `real` (steady, 10 ms apart, addresses Zipf 0.6, traces that
 * live minutes, planted attacks), `hot` (1 ms apart, addresses and traces Zipf 1.0), `late` (as real, one platform 30 s
 * behind), and two attacks on the engine itself: `spray` (one address, ever new users) and `chain` (one trace that
 * never completes). Deterministic: one seed, the same bytes everywhere.
 */
export type Preset = 'real' | 'hot' | 'late' | 'spray' | 'chain';
export const PRESETS: readonly Preset[] = ['real', 'hot', 'late', 'spray', 'chain'];

/** Types that the correlations of `rules.ts` stand on, with their share in `real` and `hot`. */
const WATCHED: readonly (readonly [type: string, real: number, hot: number])[] = [
  ['login_failed', 0.05, 0.14],
  ['login_success', 0.06, 0.1],
  ['data_export', 0.02, 0.05],
  ['mfa_disabled', 0.002, 0.01],
  ['api_key_created', 0.01, 0.03],
  ['permission_denied', 0.02, 0.05],
  ['verification_failed', 0.02, 0.05],
  ['config_changed', 0.015, 0.03],
  ['role_granted', 0.005, 0.015],
];
const OTHERS: readonly string[] = [
  'page_view',
  'file_read',
  'file_written',
  'search',
  'heartbeat',
  'token_refreshed',
  'project_opened',
  'comment_added',
  'build_started',
  'build_finished',
  'report_viewed',
];
const PLATFORMS = ['rust-cli', 'py-sdk', 'web'] as const;
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) Gecko/2010',
  'tracehound-cli/11.2.0 (linux; x86_64) reqwest/0.12',
  'python-requests/2.32.3 CPython/3.12.4 Linux/6.8.0',
] as const;
const SEVERITIES = ['low', 'info', 'medium', 'high'] as const;

/** 2026-01-05T00:00:00Z */
const BEGIN_MS = 1_767_571_200_000;
const LATE_MS = 30_000;

/** Lines of NDJSON, without line feeds. */
export function* workload(preset: Preset, events: number, seed = 42): Generator<string> {
  if (preset === 'spray' || preset === 'chain') {
    yield* attack(preset, events, seed);
    return;
  }
  const hot = preset === 'hot';
  const random = createRandom(seed);
  const ipOf = createZipf(20_000, hot ? 1 : 0.6);
  const userOf = createZipf(8_000, hot ? 0.9 : 0.5);
  const traceOf = createZipf(50_000, 1);
  const spacingMs = hot ? 1 : 10;
  let timeMs = BEGIN_MS;
  const planted: { type: string; ip: number; trace: number; left: number }[] = [];
  for (let index = 0; index < events; index++) {
    timeMs += random() * 2 * spacingMs;
    let type = typeOf(random(), hot);
    let ip = ipOf(random());
    let trace = hot ? traceOf(random()) : Math.floor(index / 20) + Math.floor(random() * 500);
    let user = userOf(random());
    if (index % 1_500 === 700) planted.push({ type: 'login_failed', ip: 20_000 + index, trace: index, left: 12 });
    const step = planted[0];
    if (step && random() < 0.02) {
      ({ type, ip } = step);
      trace = 60_000 + step.trace;
      user = Math.floor(random() * 8_000);
      step.left--;
      if (step.left === 2) step.type = 'login_success';
      if (step.left === 1) step.type = 'data_export';
      if (step.left === 0) planted.shift();
    }
    const platform = PLATFORMS[Math.floor(random() * 3)] as string;
    const atMs = preset === 'late' && platform === 'py-sdk' ? timeMs - LATE_MS + random() * 4_000 - 2_000 : timeMs;
    yield line({ index, type, ip, trace, user, organization: (user * 7) % 200, platform, timeMs: atMs, random });
  }
}

function typeOf(draw: number, hot: boolean): string {
  let rest = draw;
  for (const [type, real, busy] of WATCHED) {
    const share = hot ? busy : real;
    if (rest < share) return type;
    rest -= share;
  }
  return OTHERS[Math.floor((rest * 7_919) % OTHERS.length)] as string;
}

function* attack(preset: 'spray' | 'chain', events: number, seed: number): Generator<string> {
  const random = createRandom(seed);
  for (let index = 0; index < events; index++) {
    const type =
      preset === 'spray'
        ? 'login_failed'
        : index === 0
          ? 'data_export'
          : index % 2 === 1
            ? 'login_failed'
            : 'login_success';
    const user = preset === 'spray' ? index : 1;
    const timeMs = BEGIN_MS + index;
    yield line({ index, type, ip: 1, trace: 1, user, organization: 1, platform: 'web', timeMs, random });
  }
}

function line(of: {
  readonly index: number;
  readonly type: string;
  readonly ip: number;
  readonly trace: number;
  readonly user: number;
  readonly organization: number;
  readonly platform: string;
  readonly timeMs: number;
  readonly random: () => number;
}): string {
  const { index, type, ip, trace, user, organization, platform, timeMs, random } = of;
  return JSON.stringify({
    event_id: `01J${index.toString(36).toUpperCase().padStart(8, '0')}${hex(random(), 8)}${hex(random(), 4)}`,
    trace_id: trace.toString(16).padStart(32, 'a'),
    organization_id: `org-${organization.toString().padStart(4, '0')}`,
    platform,
    event_type: type,
    user: `user-${user.toString().padStart(5, '0')}`,
    src_ip: `10.${(ip >>> 16) & 255}.${(ip >>> 8) & 255}.${ip & 255}`,
    resource: `/api/v1/projects/${Math.floor(random() * 5_000)}/artifacts/${Math.floor(random() * 100)}`,
    user_agent: AGENTS[Math.floor(random() * AGENTS.length)],
    timestamp: new Date(timeMs).toISOString(),
    severity: SEVERITIES[Math.floor(random() ** 3 * SEVERITIES.length)],
  });
}

function hex(draw: number, digits: number): string {
  return Math.floor(draw * 16 ** digits)
    .toString(16)
    .padStart(digits, '0');
}
