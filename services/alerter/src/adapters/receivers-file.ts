import { readFileSync } from 'node:fs';
import {
  decodeWebhookSecret,
  IN_DOUBT_POLICY,
  type InDoubtPolicy,
  type Route,
  type RoutingTable,
  SEVERITIES,
  type Severity,
} from '@tracehound/alerting';
import { parse } from 'yaml';
import { AlerterFileError } from '../errors.ts';

/** One receiver as the file describes it; secrets are read from their own files. */
export type ReceiverSpec =
  | {
      readonly channel: 'webhook';
      readonly name: string;
      readonly url: string;
      readonly keys: readonly Buffer[];
      readonly timeoutMs: number;
      readonly concurrencyMax: number;
    }
  | { readonly channel: 'console'; readonly name: string };

export type ReceiversConfig = {
  readonly receivers: readonly ReceiverSpec[];
  readonly routing: RoutingTable;
  readonly inDoubt: InDoubtPolicy;
};

const KEY = 'TRACEHOUND_ALERTER_RECEIVERS_FILE';
const TIMEOUT_MS = { default: 10_000, min: 100, max: 30_000 } as const;
const CONCURRENCY = { default: 4, min: 1, max: 64 } as const;

/** Everything to the console: what the alerter does without a file. */
export const CONSOLE_ONLY: ReceiversConfig = {
  receivers: [{ channel: 'console', name: 'console' }],
  routing: {
    defaults: [
      { receivers: ['console'], severityMin: 'informational', audience: 'alert' },
      { receivers: ['console'], severityMin: 'informational', audience: 'operator' },
    ],
    organizations: {},
  },
  inDoubt: IN_DOUBT_POLICY,
};

/**
 * Parses the receivers file (YAML, of which JSON is a part):
 *
 *     receivers:
 *       soc: { webhook: https://soc.example/hook, secret_files: [/run/secrets/soc], timeout_ms: 10000, concurrency: 4 }
 *       terminal: { console: true }
 *     routes:
 *       default: [{ receivers: [soc, terminal], severity_min: low }, { receivers: [soc], audience: operator }]
 *       organizations: { acme: [{ receivers: [soc] }] }
 *     in_doubt: { resend_from: high }
 *
 * Throws `AlerterFileError` with all problems at once; unknown members are problems, because a misspelt route is silence.
 */
export function parseReceivers(
  text: string,
  options: { readonly leaseMs?: number; readonly readFile?: (path: string) => string } = {},
): ReceiversConfig {
  const readFile = options.readFile ?? ((path: string) => readFileSync(path, 'utf8'));
  const problems: string[] = [];
  const root = parsed(text, problems);
  refuseUnknown(root, ['receivers', 'routes', 'in_doubt'], 'file', problems);
  const receivers = Object.entries(objectAt(root, 'receivers', problems)).flatMap(([name, value]) => {
    const spec = receiver(name, value, { problems, readFile });
    return spec ? [spec] : [];
  });
  for (const spec of receivers) {
    // An attempt that outlives its lease would be made twice at once.
    if (spec.channel === 'webhook' && spec.timeoutMs >= (options.leaseMs ?? Number.POSITIVE_INFINITY)) {
      problems.push(`receivers.${spec.name}.timeout_ms: must be below TRACEHOUND_ALERTER_LEASE`);
    }
  }
  const names = new Set(receivers.map((spec) => spec.name));
  const routes = objectAt(root, 'routes', problems);
  refuseUnknown(routes, ['default', 'organizations'], 'routes', problems);
  const organizations = Object.entries(isObject(routes['organizations']) ? routes['organizations'] : {});
  const config: ReceiversConfig = {
    receivers,
    routing: {
      defaults: routeList(routes['default'], 'routes.default', { names, problems }),
      organizations: Object.fromEntries(
        organizations.map(([name, list]) => [
          name,
          routeList(list, `routes.organizations.${name}`, { names, problems }),
        ]),
      ),
    },
    inDoubt: {
      resendFrom:
        severity(isObject(root['in_doubt']) ? root['in_doubt']['resend_from'] : undefined, 'in_doubt', problems) ??
        IN_DOUBT_POLICY.resendFrom,
    },
  };
  if (problems.length > 0) throw new AlerterFileError(KEY, problems);
  return config;
}

type Json = Readonly<Record<string, unknown>>;

function parsed(text: string, problems: string[]): Json {
  try {
    const value: unknown = parse(text, { maxAliasCount: 0 });
    if (isObject(value)) return value;
  } catch {
    // The parser's message quotes the file, which may hold a secret by mistake.
  }
  problems.push('is not a YAML or JSON object');
  return {};
}

function receiver(
  name: string,
  value: unknown,
  context: { readonly problems: string[]; readonly readFile: (path: string) => string },
): ReceiverSpec | null {
  const { problems } = context;
  const place = `receivers.${name}`;
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name))
    problems.push(`${place}: the name must be lower-case letters, digits, - and _`);
  if (!isObject(value)) {
    problems.push(`${place}: must be an object`);
    return null;
  }
  if (value['console'] === true) {
    refuseUnknown(value, ['console'], place, problems);
    return { channel: 'console', name };
  }
  refuseUnknown(value, ['webhook', 'secret_files', 'timeout_ms', 'concurrency'], place, problems);
  const url = value['webhook'];
  if (typeof url !== 'string' || !URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    problems.push(`${place}: needs console: true, or webhook with an http or https address`);
    return null;
  }
  return {
    channel: 'webhook',
    name,
    url,
    keys: keys(value['secret_files'], place, context),
    timeoutMs: bounded(value['timeout_ms'], TIMEOUT_MS, `${place}.timeout_ms`, problems),
    concurrencyMax: bounded(value['concurrency'], CONCURRENCY, `${place}.concurrency`, problems),
  };
}

function keys(
  files: unknown,
  place: string,
  context: { readonly problems: string[]; readonly readFile: (path: string) => string },
): readonly Buffer[] {
  if (!Array.isArray(files) || files.length === 0) {
    context.problems.push(`${place}.secret_files: needs one file, or two while a secret is replaced`);
    return [];
  }
  return files.flatMap((path, index) => {
    const key = typeof path === 'string' ? readKey(path, context.readFile) : null;
    if (!key)
      context.problems.push(
        `${place}.secret_files[${index}]: must name a file with whsec_ and 24 to 64 bytes in base64`,
      );
    return key ? [key] : [];
  });
}

function readKey(path: string, readFile: (path: string) => string): Buffer | null {
  try {
    return decodeWebhookSecret(readFile(path).trim());
  } catch {
    return null;
  }
}

function routeList(
  value: unknown,
  place: string,
  context: { readonly names: ReadonlySet<string>; readonly problems: string[] },
): readonly Route[] {
  if (!Array.isArray(value)) {
    context.problems.push(`${place}: must be a list of routes`);
    return [];
  }
  return value.map((entry: unknown, index): Route => {
    const route = isObject(entry) ? entry : {};
    const at = `${place}[${index}]`;
    refuseUnknown(route, ['receivers', 'severity_min', 'audience'], at, context.problems);
    const names: unknown = route['receivers'];
    const listed = Array.isArray(names) ? names.filter((name): name is string => typeof name === 'string') : [];
    if (listed.length === 0) context.problems.push(`${at}: needs receivers`);
    for (const name of listed)
      if (!context.names.has(name)) context.problems.push(`${at}: receiver ${name} is not declared`);
    const audience = route['audience'] ?? 'alert';
    if (audience !== 'alert' && audience !== 'operator')
      context.problems.push(`${at}: audience must be alert or operator`);
    return {
      receivers: listed,
      severityMin: severity(route['severity_min'], at, context.problems) ?? 'informational',
      audience: audience === 'operator' ? 'operator' : 'alert',
    };
  });
}

function severity(value: unknown, place: string, problems: string[]): Severity | null {
  if (value === undefined) return null;
  const known = SEVERITIES.find((entry) => entry === value);
  if (!known) problems.push(`${place}: severity must be one of ${SEVERITIES.join(', ')}`);
  return known ?? null;
}

function bounded(
  value: unknown,
  bounds: { readonly default: number; readonly min: number; readonly max: number },
  place: string,
  problems: string[],
): number {
  if (value === undefined) return bounds.default;
  if (typeof value === 'number' && Number.isInteger(value) && value >= bounds.min && value <= bounds.max) return value;
  problems.push(`${place}: must be a whole number from ${bounds.min} to ${bounds.max}`);
  return bounds.default;
}

function objectAt(root: Json, name: string, problems: string[]): Json {
  const value = root[name];
  if (isObject(value)) return value;
  problems.push(`${name}: must be an object`);
  return {};
}

function refuseUnknown(value: Json, known: readonly string[], place: string, problems: string[]): void {
  for (const name of Object.keys(value))
    if (!known.includes(name)) problems.push(`${place}: ${name} is not known here`);
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
