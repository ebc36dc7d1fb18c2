import {
  createProblemSink,
  type Position,
  readYamlDocuments,
  type SigmaProblem,
  type YamlMap,
  type YamlNode,
} from '@tracehound/sigma';
import { suggestion } from './nearest.ts';
import { durationMsOf, timeMsOf } from './relative-time.ts';
import { entry, text } from './yaml-read.ts';

/** What `*.test.yml` says, checked and with defaults merged in. Times are ms since the epoch. */
export type RuleTestFile = {
  readonly path: string;
  /** Files and folders, relative to the test file; null: the rules named on the command line. */
  readonly rules: readonly string[] | null;
  readonly tests: readonly RuleTest[];
};

export type RuleTest = {
  readonly name: string;
  readonly line: number;
  /** Base of relative times, ms. */
  readonly nowMs: number;
  readonly events: readonly TestEvent[];
  readonly arrival: 'listed' | 'shuffle' | 'reverse' | readonly string[];
  /** Null: as much as the times of the events need. */
  readonly latenessMs: number | null;
  readonly expect: readonly Expectation[];
  readonly forbid: readonly string[];
  /** Nothing but what is expected fires. */
  readonly only: boolean;
};

/** An event in intake form, with its id and time set. */
export type TestEvent = {
  readonly id: string;
  readonly timeMs: number;
  readonly fields: Readonly<Record<string, unknown>>;
};

export type Expectation = {
  readonly rule: string;
  readonly line: number;
  readonly group: Readonly<Record<string, string>> | null;
  readonly eventIds: readonly string[] | null;
  readonly alerts: number | null;
  readonly atMs: number | null;
};

/** A test file that cannot be run. The message has the place and one sentence. */
export class RuleTestFileError extends Error {
  constructor(path: string, { line, column }: Position, message: string) {
    super(`${path}:${line}:${column} ${message}`);
    this.name = 'RuleTestFileError';
  }
}

const FILE_KEYS: readonly string[] = ['rules', 'defaults', 'tests'];
const TEST_KEYS: readonly string[] = [
  'name',
  'now',
  'events',
  'arrival',
  'lateness',
  'expect',
  'forbid',
  'only',
  'description',
];
const EXPECT_KEYS: readonly string[] = ['rule', 'group', 'event_ids', 'alerts', 'at', 'why'];
/** Copies one `repeat` may make: enough for every threshold a rule may have. */
const REPEAT_MAX = 20_000;
const NOW_DEFAULT = '2026-01-05T12:00:00Z';

/**
 * Reads a test file.
 * @throws RuleTestFileError naming file, line and column of the first thing that is wrong.
 */
export function readRuleTestFile(path: string, content: string): RuleTestFile {
  const fail = failures(path);
  const problems: SigmaProblem[] = [];
  const [document, second] = readYamlDocuments(content.replaceAll('\r\n', '\n'), createProblemSink(path, problems));
  const problem = problems[0];
  if (problem) return fail(problem, problem.message);
  if (document?.kind !== 'map') return fail({ line: 1, column: 1 }, "a test file is a map with 'tests'");
  if (second) return fail(second.at, 'a test file is one document');
  knownKeys(document, FILE_KEYS, fail);
  const defaults = entry(document, 'defaults')?.value;
  if (defaults && defaults.kind !== 'map') return fail(defaults.at, "'defaults' is a map of event fields");
  const tests = entry(document, 'tests')?.value;
  if (tests?.kind !== 'list' || tests.items.length === 0)
    return fail(tests?.at ?? document.at, "'tests' is a list of at least one test");
  const rules = entry(document, 'rules');
  return {
    path,
    rules: rules ? textsOf(rules.value, "'rules' is a list of files and folders", fail) : null,
    tests: tests.items.map((test) => readTest(test, { defaults: defaults ? plain(defaults) : {}, fail })),
  };
}

type Fail = (at: Position, message: string) => never;
type TestContext = { readonly defaults: unknown; readonly fail: Fail };

function failures(path: string): Fail {
  return (at, message) => {
    throw new RuleTestFileError(path, at, message);
  };
}

function knownKeys(map: YamlMap, keys: readonly string[], fail: Fail): void {
  for (const { key, keyAt } of map.entries)
    if (!keys.includes(key)) fail(keyAt, `there is no key '${key}' here${suggestion(key, keys)}`);
}

function readTest(node: YamlNode, { defaults, fail }: TestContext): RuleTest {
  if (node.kind !== 'map') return fail(node.at, 'a test is a map with name, events and expect or forbid');
  knownKeys(node, TEST_KEYS, fail);
  const name = text(entry(node, 'name')?.value);
  if (name === undefined) return fail(node.at, "a test needs a 'name'");
  const now = entry(node, 'now')?.value;
  const nowMs = timeMsOf(text(now) ?? NOW_DEFAULT);
  if (nowMs === undefined) return fail(now?.at ?? node.at, "'now' is a time such as 2026-01-05T12:00:00Z");
  const events = entry(node, 'events')?.value;
  if (events?.kind !== 'list' || events.items.length === 0)
    return fail(events?.at ?? node.at, "'events' is a list of at least one event");
  const lateness = entry(node, 'lateness')?.value;
  const latenessMs = lateness ? durationMsOf(text(lateness) ?? '') : null;
  if (latenessMs === undefined || (latenessMs !== null && latenessMs < 0))
    return fail(lateness?.at ?? node.at, "'lateness' is a duration such as 5m");
  const expected = entry(node, 'expect')?.value;
  const forbidden = entry(node, 'forbid');
  const only = entry(node, 'only')?.value;
  const isOnly = only?.kind === 'scalar' && only.value === true;
  if (!expected && !forbidden && !isOnly)
    return fail(node.at, "the test says neither 'expect' nor 'forbid': it could not fail");
  return {
    name,
    line: node.at.line,
    nowMs,
    events: events.items.flatMap((event, at) => readEvent(event, { at, nowMs, defaults, fail })),
    arrival: readArrival(entry(node, 'arrival')?.value, fail),
    latenessMs,
    expect: expected ? readExpectations(expected, nowMs, fail) : [],
    forbid: forbidden ? textsOf(forbidden.value, "'forbid' is a list of rules", fail) : [],
    only: isOnly,
  };
}

function readArrival(node: YamlNode | undefined, fail: Fail): RuleTest['arrival'] {
  if (!node) return 'listed';
  if (node.kind === 'list') return textsOf(node, "'arrival' lists event ids", fail);
  const word = text(node);
  if (word === 'shuffle' || word === 'reverse') return word;
  return fail(node.at, "'arrival' is shuffle, reverse or a list of event ids");
}

function readEvent(
  node: YamlNode,
  context: TestContext & { readonly at: number; readonly nowMs: number },
): readonly TestEvent[] {
  const { fail, nowMs } = context;
  if (node.kind !== 'map') return fail(node.at, 'an event is a map of fields');
  const own = plain(node) as Record<string, unknown>;
  const at = entry(node, 'at')?.value;
  const offsetMs = at ? instantMsOf(text(at) ?? '', nowMs) : nowMs;
  if (offsetMs === undefined)
    return fail(at?.at ?? node.at, "'at' is a duration after 'now', such as 90s or 1h30m, or a time");
  const { at: _at, id, repeat: _repeat, ...fields } = own;
  const name = id === undefined ? `e${context.at + 1}` : String(id);
  const merged = merge(context.defaults, fields) as Readonly<Record<string, unknown>>;
  const repeat = entry(node, 'repeat')?.value;
  if (!repeat) return [{ id: name, timeMs: offsetMs, fields: merged }];
  const count = repeat.kind === 'map' ? Number(text(entry(repeat, 'count')?.value)) : Number.NaN;
  const everyMs = repeat.kind === 'map' ? durationMsOf(text(entry(repeat, 'every')?.value) ?? '') : undefined;
  if (!Number.isInteger(count) || count < 1 || count > REPEAT_MAX || everyMs === undefined)
    return fail(repeat.at, `'repeat' is {count: 1 to ${REPEAT_MAX}, every: 10s}`);
  return Array.from({ length: count }, (_, number) => ({
    id: `${name}.${number}`,
    timeMs: offsetMs + number * everyMs,
    fields: numbered(merged, number) as TestEvent['fields'],
  }));
}

/** `{n}` in a text of a repeated event is the number of the copy, from 0: so copies can differ in a value. */
function numbered(value: unknown, number: number): unknown {
  if (typeof value === 'string') return value.replaceAll('{n}', String(number));
  if (Array.isArray(value)) return value.map((item) => numbered(item, number));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, numbered(inner, number)]));
}

function readExpectations(node: YamlNode, nowMs: number, fail: Fail): readonly Expectation[] {
  if (node.kind !== 'list') return fail(node.at, "'expect' is a list of {rule: ...}");
  return node.items.map((item) => {
    if (item.kind !== 'map') return fail(item.at, "an expectation is a map with 'rule'");
    knownKeys(item, EXPECT_KEYS, fail);
    const rule = text(entry(item, 'rule')?.value);
    if (rule === undefined) return fail(item.at, "an expectation needs a 'rule'");
    const group = entry(item, 'group')?.value;
    const ids = entry(item, 'event_ids')?.value;
    const alerts = entry(item, 'alerts')?.value;
    const count = alerts ? Number(text(alerts)) : null;
    if (count !== null && (!Number.isInteger(count) || count < 0))
      return fail(alerts?.at ?? item.at, "'alerts' is a whole number");
    const at = entry(item, 'at')?.value;
    const atMs = at ? instantMsOf(text(at) ?? '', nowMs) : null;
    if (atMs === undefined) return fail(at?.at ?? item.at, "'at' is a duration after 'now' or a time");
    if (group && group.kind !== 'map') return fail(group.at, "'group' is a map of fields");
    return {
      rule,
      line: item.at.line,
      group: group ? Object.fromEntries(group.entries.map(({ key, value }) => [key, text(value) ?? ''])) : null,
      eventIds: ids ? textsOf(ids, "'event_ids' is a list", fail) : null,
      alerts: count,
      atMs,
    };
  });
}

function textsOf(node: YamlNode, message: string, fail: Fail): readonly string[] {
  if (node.kind !== 'list') return fail(node.at, message);
  return node.items.map((item) => text(item) ?? fail(item.at, message));
}

/** A duration after the base, or a time of its own. */
function instantMsOf(source: string, baseMs: number): number | undefined {
  const durationMs = durationMsOf(source);
  return durationMs === undefined ? timeMsOf(source) : baseMs + durationMs;
}

function plain(node: YamlNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(plain);
    case 'map':
      return Object.fromEntries(node.entries.map(({ key, value }) => [key, plain(value)]));
  }
}

/** Fields of the event over the defaults, object by object. Null takes a default away. */
function merge(defaults: unknown, own: unknown): unknown {
  if (!isObject(defaults) || !isObject(own)) return own;
  const merged: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(own)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key], value);
  }
  return merged;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
