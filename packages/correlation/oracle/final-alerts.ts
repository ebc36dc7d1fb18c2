/** A correlation as the definitions need it. Times in milliseconds. */
export type OracleRule = {
  readonly type: 'event_count' | 'value_count' | 'temporal_ordered';
  readonly spanMs: number;
  /** Events, distinct values, or steps. */
  readonly threshold: number;
  readonly strict?: boolean;
};

/** An on-time event that matched the rule. Several entries may have one id: several steps or values of one event. */
export type OracleEvent = {
  readonly organization: string;
  readonly group: string;
  readonly id: string;
  readonly timeMs: number;
  readonly step: number;
  readonly value: string | null;
  readonly instance?: string | null;
  readonly sequence?: number | null;
};

/** The projection E2 compares; the rule is the one asked about. */
export type FinalAlert = {
  readonly organization: string;
  readonly group: string;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  readonly eventIds: readonly string[];
};

const DAY_MS = 86_400_000;

/** X10.1-7: the final alerts of a set of events, sorted by organization, group and time. */
export function finalAlerts(rule: OracleRule, events: readonly OracleEvent[]): FinalAlert[] {
  const groups = new Map<string, OracleEvent[]>();
  for (const event of events) {
    const key = JSON.stringify([event.organization, event.group]);
    const members = groups.get(key) ?? [];
    if (!members.some((other) => other.id === event.id && other.step === event.step && other.value === event.value)) {
      members.push(event);
    }
    groups.set(key, members);
  }
  return [...groups.keys()].sort().flatMap((key) => groupAlerts(rule, (groups.get(key) ?? []).sort(byTotalOrder)));
}

/** X2: (event time, event id). */
function byTotalOrder(a: OracleEvent, b: OracleEvent): number {
  return a.timeMs - b.timeMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

type Stretch = { readonly fromMs: number; readonly toMs: number };

function groupAlerts(rule: OracleRule, events: readonly OracleEvent[]): FinalAlert[] {
  const alerts: FinalAlert[] = [];
  for (const { fromMs, toMs } of episodes(rule, truth(rule, events))) {
    const evidence = evidenceAt(rule, windowOf(rule, events, fromMs), fromMs) ?? [];
    const head = evidence[0] as OracleEvent;
    alerts.push({
      organization: head.organization,
      group: head.group,
      firstAtMs: Math.min(...evidence.map((event) => event.timeMs)),
      lastAtMs: toMs,
      eventIds: [...new Set(evidence.map((event) => event.id))].sort(),
    });
  }
  return alerts;
}

/** Events with t - span <= time <= t. */
function windowOf(rule: OracleRule, events: readonly OracleEvent[], timeMs: number): readonly OracleEvent[] {
  return events.filter((event) => timeMs - rule.spanMs <= event.timeMs && event.timeMs <= timeMs);
}

/**
 * X10.2. The window changes only when an event enters (at its time) or leaves (one millisecond after its time plus
 * the span); frames cut. Between two such instants c is constant, so it is looked at once per stretch.
 */
function truth(rule: OracleRule, events: readonly OracleEvent[]): readonly Stretch[] {
  const first = events[0];
  const last = events.at(-1);
  if (!first || !last) return [];
  const instants = new Set(events.flatMap((event) => [event.timeMs, event.timeMs + rule.spanMs + 1]));
  const frameMs = frameOf(rule);
  for (let cut = Math.ceil(first.timeMs / frameMs) * frameMs; cut <= last.timeMs + rule.spanMs; cut += frameMs) {
    instants.add(cut);
  }
  const sorted = [...instants].sort((a, b) => a - b);
  const stretches: Stretch[] = [];
  for (const [index, fromMs] of sorted.entries()) {
    const nextMs = sorted[index + 1];
    if (nextMs !== undefined && holds(rule, windowOf(rule, events, fromMs)))
      stretches.push({ fromMs, toMs: nextMs - 1 });
  }
  return stretches;
}

function frameOf(rule: OracleRule): number {
  let frameMs = rule.spanMs;
  if (frameMs < DAY_MS) frameMs *= Math.ceil(DAY_MS / rule.spanMs);
  return frameMs;
}

/** X10.3: runs of true stretches with gaps of at most one span, cut at frame boundaries. */
function episodes(rule: OracleRule, stretches: readonly Stretch[]): readonly Stretch[] {
  const frame = (timeMs: number): number => Math.floor(timeMs / frameOf(rule));
  const runs: { fromMs: number; toMs: number }[] = [];
  for (const stretch of stretches) {
    const run = runs.at(-1);
    if (run && stretch.fromMs - run.toMs <= rule.spanMs && frame(stretch.fromMs) === frame(run.fromMs))
      run.toMs = stretch.toMs;
    else runs.push({ ...stretch });
  }
  return runs;
}

function holds(rule: OracleRule, window: readonly OracleEvent[]): boolean {
  switch (rule.type) {
    case 'event_count':
      return window.length >= rule.threshold;
    case 'value_count':
      return new Set(window.map((event) => event.value)).size >= rule.threshold;
    case 'temporal_ordered':
      return chains(rule, window).next().done !== true;
  }
}

/** X10.5, X10.6: the evidence at the left end of an episode. */
function evidenceAt(
  rule: OracleRule,
  window: readonly OracleEvent[],
  leftMs: number,
): readonly OracleEvent[] | undefined {
  switch (rule.type) {
    case 'event_count':
      return window.slice(0, rule.threshold);
    case 'value_count': {
      const bucket = (event: OracleEvent): number => Math.floor(event.timeMs / rule.spanMs);
      const now = Math.floor(leftMs / rule.spanMs);
      return [...new Set(window.map((event) => event.value))].map((value) => {
        const hits = window.filter((event) => event.value === value);
        const before = hits.filter((event) => bucket(event) === now - 1);
        return (before.at(-1) ?? hits.find((event) => bucket(event) === now)) as OracleEvent;
      });
    }
    case 'temporal_ordered': {
      const first = chains(rule, window).next();
      return first.done ? undefined : first.value;
    }
  }
}

/** All chains of distinct events, steps in order, the latest last step first, then the latest step before it. */
function* chains(
  rule: OracleRule,
  window: readonly OracleEvent[],
  later: readonly OracleEvent[] = [],
): Generator<readonly OracleEvent[], undefined> {
  const step = rule.threshold - 1 - later.length;
  if (step < 0) {
    yield later;
    return undefined;
  }
  const next = later[0];
  for (const event of window.toReversed()) {
    if (event.step !== step || later.some((other) => other.id === event.id)) continue;
    if (next && !mayPrecede(event, next, rule.strict ?? false)) continue;
    yield* chains(rule, window, [event, ...later]);
  }
  return undefined;
}

/** X2: <= between distinct events; equal times of one source instance go by its sequence numbers; strict needs <. */
function mayPrecede(a: OracleEvent, b: OracleEvent, strict: boolean): boolean {
  if (a.timeMs < b.timeMs) return true;
  if (a.timeMs > b.timeMs || strict) return false;
  const sameInstance = a.instance != null && a.instance === b.instance && a.sequence != null && b.sequence != null;
  return sameInstance ? (a.sequence as number) < (b.sequence as number) : true;
}
