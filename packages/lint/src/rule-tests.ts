import { createDetector, createEventReader, type DetectEvent, type DetectResult } from '@tracehound/detect';
import { createJsonFieldView, type LogSource, type RuleSetCompiled } from '@tracehound/sigma';
import { readRules } from './lint.ts';
import { suggestion } from './nearest.ts';
import { formatDuration } from './relative-time.ts';
import type { Expectation, RuleTest, TestEvent } from './rule-test-file.ts';

export type RuleTestOutcome = {
  readonly name: string;
  readonly line: number;
  /** Empty: passed. Each is a text of one or more lines: what was expected, what came, the nearest miss. */
  readonly failures: readonly string[];
};

/** A result with the name under which a test may know its rule. */
type Fired = Pick<DetectResult, 'kind' | 'group' | 'event_ids' | 'count'> & {
  readonly rule: number;
  readonly atMs: number;
};

type RuleHandle = {
  readonly kind: Fired['kind'];
  readonly index: number;
  readonly names: readonly string[];
  readonly title: string;
};

/**
 * Runs one test over the compiled rules: the events in their order of arrival through the engine, then everything that
 * fired against what is expected. Detections and inner correlations count even where they only feed
 * others, so that a rule can be tested by itself. Deterministic: the same test gives the same outcome.
 */
export function runRuleTest(test: RuleTest, ruleSet: RuleSetCompiled): RuleTestOutcome {
  const rules = handlesOf(ruleSet);
  let run: Run;
  try {
    run = fireAll(test, ruleSet, rules);
  } catch (error) {
    // A fault of the engine fails the test that found it; the other tests still run.
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { name: test.name, line: test.line, failures: [`the engine stopped: ${message}`] };
  }
  const failures = [
    ...test.expect.flatMap((expectation) => missed(expectation, { test, rules, run })),
    ...test.forbid.flatMap((name) => forbidden(name, { test, rules, run })),
    ...(test.only ? unexpected({ test, rules, run }) : []),
  ];
  return { name: test.name, line: test.line, failures };
}

type Run = { readonly fired: readonly Fired[]; readonly ruleSet: RuleSetCompiled };
type Judging = { readonly test: RuleTest; readonly rules: readonly RuleHandle[]; readonly run: Run };

function handlesOf(ruleSet: RuleSetCompiled): readonly RuleHandle[] {
  const detections = ruleSet.detections.map(
    (rule): RuleHandle => ({
      kind: 'detection',
      index: rule.index,
      names: [rule.id, ...(rule.name === null ? [] : [rule.name])],
      title: rule.description.title,
    }),
  );
  const names = namesOfCorrelations(ruleSet);
  const themselves = ruleSet.correlations.filter(({ override, isWarming }) => override === null && !isWarming);
  const correlations = themselves.map(
    (rule): RuleHandle => ({
      kind: 'correlation',
      index: rule.index,
      names: [rule.uid, ...(names.get(rule.uid) ?? [])],
      title: rule.description.title,
    }),
  );
  return [...detections, ...correlations];
}

const correlationNames = new WeakMap<RuleSetCompiled, ReadonlyMap<string, readonly string[]>>();

/** The compiled set keeps only one of id and name of a correlation; its files have both. */
function namesOfCorrelations(ruleSet: RuleSetCompiled): ReadonlyMap<string, readonly string[]> {
  let names = correlationNames.get(ruleSet);
  if (!names) {
    const rules = readRules(ruleSet.files).filter(({ id, name }) => id !== null && name !== null);
    names = new Map(rules.map(({ id, name }) => [id ?? '', [name ?? '']]));
    correlationNames.set(ruleSet, names);
  }
  return names;
}

function fireAll(test: RuleTest, ruleSet: RuleSetCompiled, rules: readonly RuleHandle[]): Run {
  const latenessMs = test.latenessMs ?? spanOf(test.events);
  const detector = createDetector(outspoken(ruleSet), { latenessMs });
  const read = createEventReader();
  const fired: Fired[] = [];
  const seen = new Set<string>();
  const keep = (results: readonly DetectResult[]): void => {
    for (const result of results) {
      if (result.kind !== 'correlation') continue;
      const rule = rules.findIndex(({ kind, names }) => kind === 'correlation' && names.includes(result.rule_id));
      fired.push({ ...result, rule, atMs: Date.parse(result.at) });
    }
  };
  arrivalOf(test, latenessMs).forEach((event, at) => {
    const input = detectEvent(event, read, at);
    for (const index of ruleSet.matchEvent(input.view, input.logSource)) {
      const rule = rules.findIndex(({ kind, index: own }) => kind === 'detection' && own === index);
      const copy = `${rule}|${input.organization}|${input.id}`;
      if (!seen.has(copy))
        fired.push({ kind: 'detection', rule, atMs: input.timeMs, group: null, event_ids: [input.id], count: 1 });
      seen.add(copy);
    }
    keep(detector.push(input));
  });
  keep(detector.end());
  return { fired, ruleSet };
}

const outspokenSets = new WeakMap<RuleSetCompiled, RuleSetCompiled>();

/** The same set where inner correlations of chains alert too, so that they can be tested by themselves. */
function outspoken(ruleSet: RuleSetCompiled): RuleSetCompiled {
  let set = outspokenSets.get(ruleSet);
  if (!set) {
    set = { ...ruleSet, correlations: ruleSet.correlations.map((rule) => ({ ...rule, emitsAlert: true })) };
    outspokenSets.set(ruleSet, set);
  }
  return set;
}

function spanOf(events: readonly TestEvent[]): number {
  const times = events.map(({ timeMs }) => timeMs);
  return Math.max(...times) - Math.min(...times);
}

/** The event as intake would hand it on. Types the catalogue lacks still belong to their family. */
function detectEvent(event: TestEvent, read: ReturnType<typeof createEventReader>, line: number): DetectEvent {
  const { fields } = event;
  const type = fields['event_type'];
  const isOwn = typeof type === 'string' && fields['external'] !== true;
  const input = read(
    {
      ...(isOwn && fields['source'] === undefined ? { source: { platform: 'test' } } : {}),
      ...fields,
      event_id: event.id,
      occurred_at: new Date(event.timeMs).toISOString(),
    },
    line,
  );
  const logSource = sourceOf(fields) ?? input.logSource;
  // What only intake sets (flags, trust of a trace) may be stated by a test, and then holds.
  const stated = createJsonFieldView(isOwn ? fields : {});
  return {
    ...input,
    view: {
      values: (field) => stated.values(field) ?? input.view.values(field),
      keywords: () => input.view.keywords(),
    },
    id: event.id,
    timeMs: event.timeMs,
    organization: typeof fields['organization_id'] === 'string' ? fields['organization_id'] : input.organization,
    logSource:
      logSource ?? (isOwn ? { product: 'tracehound', service: type.split('.')[0] ?? null, category: null } : null),
  };
}

function sourceOf(fields: TestEvent['fields']): LogSource | undefined {
  const source = fields['log_source'];
  if (typeof source !== 'object' || source === null) return undefined;
  const parts = new Map(Object.entries(source).map(([key, value]) => [key, typeof value === 'string' ? value : null]));
  return {
    product: parts.get('product') ?? null,
    service: parts.get('service') ?? null,
    category: parts.get('category') ?? null,
  };
}

/** Events in the order in which they arrive. `shuffle` keeps every event within the lateness of the newest before it. */
function arrivalOf(test: RuleTest, latenessMs: number): readonly TestEvent[] {
  if (test.arrival === 'listed') return test.events;
  if (test.arrival === 'reverse') return test.events.toReversed();
  if (test.arrival === 'shuffle') {
    const random = randomOf(test.name);
    return test.events
      .map((event) => ({ event, key: event.timeMs + random() * latenessMs, tie: random() }))
      .toSorted((a, b) => a.key - b.key || a.tie - b.tie)
      .map(({ event }) => event);
  }
  const place = new Map(test.arrival.map((id, at) => [id, at]));
  const last = place.size;
  return test.events.toSorted((a, b) => (place.get(a.id) ?? last) - (place.get(b.id) ?? last));
}

/** Numbers in [0, 1) that depend on the text alone (mulberry32), so that a failure can be run again. */
function randomOf(seed: string): () => number {
  let state = 0;
  for (const char of seed) state = (Math.imul(state, 31) + (char.codePointAt(0) ?? 0)) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function findRules(name: string, rules: readonly RuleHandle[]): readonly number[] {
  const exact = rules.flatMap(({ names }, at) => (names.includes(name) ? [at] : []));
  return exact.length > 0 ? exact : rules.flatMap(({ title }, at) => (title === name ? [at] : []));
}

function unknownRule(name: string, rules: readonly RuleHandle[]): string {
  return `no rule is called '${name}'${suggestion(
    name,
    rules.flatMap(({ names }) => names),
  )}`;
}

function missed(expectation: Expectation, judging: Judging): readonly string[] {
  const { rules, run, test } = judging;
  const wanted = findRules(expectation.rule, rules);
  if (wanted.length === 0) return [unknownRule(expectation.rule, rules)];
  const own = run.fired.filter(({ rule }) => wanted.includes(rule));
  const matching = own.filter((result) => mismatches(expectation, result).length === 0);
  const { alerts } = expectation;
  if (alerts === null ? matching.length > 0 : matching.length === alerts) return [];
  const lines = [`expected ${describeExpectation(expectation, test)}`];
  if (own.length === 0) {
    lines.push(`got      nothing from '${expectation.rule}'`, ...stepsSeen(wanted[0] ?? -1, judging));
  } else if (matching.length > 0) {
    lines.push(
      `got      ${matching.length} of them`,
      ...matching.slice(0, 3).map((result) => `         ${describeFired(result, judging)}`),
    );
  } else {
    const nearest = own.toSorted((a, b) => mismatches(expectation, a).length - mismatches(expectation, b).length)[0];
    if (nearest)
      lines.push(
        `nearest  ${describeFired(nearest, judging)}`,
        `differs  in ${mismatches(expectation, nearest).join(', ')}`,
      );
    lines.push(`got      ${own.length} from '${expectation.rule}' in all`);
  }
  return [lines.join('\n')];
}

/** Parts of an expectation that a result does not meet. */
function mismatches(expectation: Expectation, result: Fired): readonly string[] {
  const { group, eventIds, atMs } = expectation;
  const parts: string[] = [];
  if (group && Object.entries(group).some(([field, value]) => String(result.group?.[field] ?? '') !== value))
    parts.push('group');
  if (eventIds && eventIds.toSorted().join('\n') !== result.event_ids.toSorted().join('\n')) parts.push('event_ids');
  if (atMs !== null && atMs !== result.atMs) parts.push('at');
  return parts;
}

function forbidden(name: string, judging: Judging): readonly string[] {
  const wanted = findRules(name, judging.rules);
  if (wanted.length === 0) return [unknownRule(name, judging.rules)];
  const own = judging.run.fired.filter(({ rule }) => wanted.includes(rule));
  if (own.length === 0) return [];
  return [
    [
      `forbidden '${name}' fired ${own.length === 1 ? 'once' : `${own.length} times`}`,
      ...own.slice(0, 3).map((result) => `         ${describeFired(result, judging)}`),
    ].join('\n'),
  ];
}

/** Correlations that fired and that no expectation asks for. */
function unexpected(judging: Judging): readonly string[] {
  const { test, rules, run } = judging;
  return run.fired
    .filter(
      ({ kind, rule }) => kind === 'correlation' && run.ruleSet.correlations[rules[rule]?.index ?? -1]?.emitsAlert,
    )
    .filter(
      (result) =>
        !test.expect.some(
          (expectation) =>
            findRules(expectation.rule, rules).includes(result.rule) &&
            !mismatches(expectation, result).includes('group'),
        ),
    )
    .map((result) => `unexpected ${describeFired(result, judging)}`);
}

/** For a correlation that did not fire: how often each of its steps matched. */
function stepsSeen(rule: number, { rules, run, test }: Judging): readonly string[] {
  const handle = rules[rule];
  if (handle?.kind !== 'correlation') return [];
  const correlation = run.ruleSet.correlations[handle.index];
  if (!correlation) return [];
  return correlation.stepSources.map((source) => {
    const at = rules.findIndex(
      ({ kind, index }) =>
        kind === source.kind && index === (source.kind === 'detection' ? source.detection : source.correlation),
    );
    const hits = run.fired.filter((result) => result.rule === at);
    const ids = hits.flatMap(({ event_ids: own }) => own);
    const name = rules[at]?.names.at(-1) ?? '?';
    const shown = ids.slice(0, 5).join(', ');
    return `nearest  step '${name}' matched ${ids.length} of ${test.events.length} events${ids.length === 0 ? '' : `: ${shown}${ids.length > 5 ? ', ...' : ''}`}`;
  });
}

function describeExpectation(expectation: Expectation, test: RuleTest): string {
  const parts = [`'${expectation.rule}'`];
  if (expectation.alerts !== null) parts.unshift(`${expectation.alerts} x`);
  if (expectation.group) parts.push(`group ${JSON.stringify(expectation.group)}`);
  if (expectation.eventIds) parts.push(`event_ids ${idsText(expectation.eventIds)}`);
  if (expectation.atMs !== null) parts.push(`at ${formatDuration(expectation.atMs - test.nowMs)}`);
  return parts.join(' ');
}

function describeFired(result: Fired, { rules, test }: Judging): string {
  const parts = [`'${rules[result.rule]?.names.at(-1) ?? '?'}'`];
  if (result.group) parts.push(`group ${JSON.stringify(result.group)}`);
  parts.push(`event_ids ${idsText(result.event_ids)}`, `at ${formatDuration(result.atMs - test.nowMs)}`);
  return parts.join(' ');
}

/** Ids named in a message; a flood has thousands. */
const IDS_SHOWN = 12;

function idsText(ids: readonly string[]): string {
  const rest = ids.length - IDS_SHOWN;
  return `[${ids.slice(0, IDS_SHOWN).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}]`;
}
