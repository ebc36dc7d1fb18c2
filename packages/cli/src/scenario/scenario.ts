import { existsSync, globSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import type { SigmaProblem } from '@tracehound/sigma';
import { parse } from 'yaml';
import { liveFiles } from '../deployment/live-rules.ts';
import { isPipelineFile } from '../events/load-pipelines.ts';
import { UsageError } from '../usage-error.ts';

/** An event in the form `POST /v1/events` takes; only what a scenario needs to touch is named here. */
export type ScenarioEvent = {
  event_id?: string;
  occurred_at?: string;
  event_type?: string;
  organization_id?: string | null;
  trace?: { trace_id: string; span_id?: string; parent_span_id?: string };
  tags?: Record<string, string>;
  [field: string]: unknown;
};

export type RuleFile = { readonly path: string; readonly content: string };

/** One alert a play must lead to, or must not. Only the fields given are compared. */
export type ExpectedAlert = {
  readonly rule: string;
  readonly organization?: string;
  readonly group?: Readonly<Record<string, string>>;
  /** Original ids (before a rebase) of the evidence. */
  readonly event_ids?: readonly string[];
  readonly why?: string;
};

export type Scenario = {
  readonly name: string;
  readonly title: string;
  readonly story: string;
  /** Ends with an `end_of_input` tick: nothing may follow on the same topics (X4). */
  readonly closed: boolean;
  readonly rebase: 'now' | 'none';
  readonly compress: number;
  /** Allowed lateness L of the activation; `cover` = as large as the oldest event asks for (X3). */
  readonly lateness: string;
  readonly events: readonly ScenarioEvent[];
  readonly rules: readonly RuleFile[];
  /** Why shipped rules are not among them: several partitions cannot run them. */
  readonly rulesLeftOut: readonly SigmaProblem[];
  /** SQL over the audit rows that computes the final alerts apart from the engine; null when there is none. */
  readonly oracle: string | null;
  readonly expected: { readonly alerts: readonly ExpectedAlert[]; readonly none: readonly ExpectedAlert[] };
};

type ScenarioFile = Partial<{
  name: string;
  title: string;
  story: string;
  mode: string;
  closed: boolean;
  rebase: 'now' | 'none';
  compress: number;
  lateness: string;
  events: string;
  rules: string | string[];
  oracle: string;
  expected: { alerts?: ExpectedAlert[]; none?: ExpectedAlert[] };
}>;

/** Reads NDJSON; a bad line is named by file and line. */
export function readEvents(file: string): ScenarioEvent[] {
  const events: ScenarioEvent[] = [];
  for (const [index, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (line.trim() === '') continue;
    try {
      events.push(JSON.parse(line) as ScenarioEvent);
    } catch {
      throw new UsageError(`${file}:${index + 1} is not JSON; each line must hold one event object`);
    }
  }
  if (events.length === 0) throw new UsageError(`${file} holds no events`);
  return events;
}

/** All Sigma files below the given files and folders, without their tests and pipelines, in a stable order. */
export function readRules(base: string, paths: readonly string[]): RuleFile[] {
  const files = paths.flatMap((path) => {
    const full = resolve(base, path);
    if (!existsSync(full)) throw new UsageError(`rules not found: ${full}`);
    if (statSync(full).isFile()) return [full];
    return globSync('**/*.{yml,yaml}', { cwd: full }).map((file) => join(full, file));
  });
  return [...new Set(files)]
    .filter((file) => !/\.test\.ya?ml$/.test(file) && basename(file) !== 'scenario.yaml' && !isPipelineFile(file))
    .sort()
    .map((file) => ({ path: relative(base, file), content: readFileSync(file, 'utf8') }));
}

export function scenarioNames(root: string): string[] {
  const folder = join(root, 'e2e', 'scenarios');
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'scenario.yaml')))
    .sort();
}

/**
 * A scenario by name (a folder of `e2e/scenarios`), by folder, or an NDJSON file of the same event form, which is
 * played live, rebased to now, under the shipped rules.
 */
export function loadScenario(root: string, nameOrPath: string): Scenario {
  const named = join(root, 'e2e', 'scenarios', nameOrPath);
  const folder = existsSync(join(named, 'scenario.yaml')) ? named : resolve(nameOrPath);
  if (existsSync(join(folder, 'scenario.yaml'))) return fromFolder(folder);
  if (existsSync(folder) && statSync(folder).isFile()) return fromFile(root, folder);
  throw new UsageError(
    `no scenario '${nameOrPath}': give one of ${scenarioNames(root).join(', ')}, or the path of an NDJSON file of events`,
  );
}

function fromFolder(folder: string): Scenario {
  const file = join(folder, 'scenario.yaml');
  const raw = parse(readFileSync(file, 'utf8')) as ScenarioFile;
  const compress = raw.compress ?? 1;
  if (!(compress >= 1)) throw new UsageError(`${file}: compress must be a number >= 1`);
  const rules = raw.rules === undefined ? ['rules'] : Array.isArray(raw.rules) ? raw.rules : [raw.rules];
  return {
    name: raw.name ?? basename(folder),
    title: raw.title ?? basename(folder),
    story: (raw.story ?? '').trim(),
    closed: raw.closed ?? raw.mode === 'recorded',
    rebase: raw.rebase ?? 'none',
    compress,
    lateness: raw.lateness ?? '2m',
    events: readEvents(join(folder, raw.events ?? 'events.ndjson')),
    rules: readRules(folder, rules),
    rulesLeftOut: [],
    oracle: raw.oracle === undefined ? null : readFileSync(join(folder, raw.oracle), 'utf8'),
    expected: { alerts: raw.expected?.alerts ?? [], none: raw.expected?.none ?? [] },
  };
}

function fromFile(root: string, file: string): Scenario {
  const { files, leftOut } = liveFiles(readRules(join(root, 'rules'), ['.']));
  return {
    name: basename(file)
      .replace(/\.[^.]*$/, '')
      .replace(/[^a-z0-9-]/gi, '-')
      .toLowerCase(),
    title: basename(file),
    story: `Events of ${basename(file)}, moved to now, under the shipped rules.`,
    closed: false,
    rebase: 'now',
    compress: 1,
    lateness: '2m',
    events: readEvents(file),
    rules: files,
    rulesLeftOut: leftOut,
    oracle: null,
    expected: { alerts: [], none: [] },
  };
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * The allowed lateness in ms. `cover` is the age of the oldest event in whole days and one more, so that a recording
 * that keeps its own times is on time (X3 judges append time minus event time).
 */
export function latenessMs(scenario: Pick<Scenario, 'lateness' | 'events'>, nowMs: number): number {
  if (scenario.lateness === 'cover') {
    const times = scenario.events
      .map((event) => Date.parse(event.occurred_at ?? ''))
      .filter((time) => !Number.isNaN(time));
    const oldest = times.reduce((a, b) => Math.min(a, b), nowMs);
    return (Math.ceil((nowMs - oldest) / 86_400_000) + 1) * 86_400_000;
  }
  const match = /^(\d+)(s|m|h|d)$/.exec(scenario.lateness);
  if (!match) throw new UsageError(`lateness '${scenario.lateness}': write a number and s, m, h or d, or 'cover'`);
  return Number(match[1]) * (UNITS[match[2] ?? 's'] ?? 1);
}
