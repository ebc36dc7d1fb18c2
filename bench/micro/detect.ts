import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createEventMatcher, createJsonFieldView, loadRuleSet, type MatcherRule, type Test } from '@tracehound/sigma';
import { workload } from '../workload/events.ts';
import { workloadRules } from '../workload/rules.ts';

/**
 * How the cost of detection follows the number of rules: events parsed and in memory, one thread, no correlation.
 * `node --conditions=@tracehound/source bench/micro/detect.ts [--events 100000] [--rounds 5] [--json]`
 * Sizes are measured by turns, several rounds, because machines drift; the median and the ratios count.
 */
type Lane = { readonly name: string; readonly rules: readonly MatcherRule[]; readonly events: readonly object[] };
type Result = {
  readonly lane: string;
  readonly rules: number;
  readonly eventsPerCpuSecond: number;
  readonly matches: number;
};

const ROOT = path.join(import.meta.dirname, '../..');

function option(name: string, fallback: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
}

function syntheticRules(count: number): readonly MatcherRule[] {
  // Networks of the workload count up in an octet, which ends at 255.
  const content = workloadRules(count, false).replace(
    /cidr: 10\.(\d+)\./g,
    (_, octet) => `cidr: 10.${Number(octet) % 256}.`,
  );
  return loadRuleSet([{ path: 'workload.yml', content }]).detections;
}

/** The public rules, and, beyond their number, copies whose texts are changed. */
function publicRules(count: number): readonly MatcherRule[] {
  const folder = path.join(ROOT, 'testdata/sigma-rules/rules');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yml'))
    .map((file) => ({ path: file, content: readFileSync(path.join(folder, file), 'utf8') }));
  const originals = loadRuleSet(files, LISTS).detections;
  return Array.from({ length: count }, (_, index) => {
    const { logSource, test } = originals[index % originals.length] as MatcherRule;
    const copy = Math.floor(index / originals.length);
    return { logSource, test: copy === 0 ? test : changed(test, `~${copy}`) };
  });
}
const LISTS = { expand: {} };

function changed(test: Test, suffix: string): Test {
  switch (test.op) {
    case 'and':
    case 'or':
      return { ...test, of: test.of.map((part) => changed(part, suffix)) };
    case 'not':
      return { ...test, of: changed(test.of, suffix) };
    case 'text':
    case 'keyword':
      return {
        ...test,
        parts: test.parts.map((part) => (part.kind === 'text' ? { ...part, text: part.text + suffix } : part)),
      };
    default:
      return test;
  }
}

function parsedWorkload(count: number): readonly object[] {
  return [...workload('real', count)].map((line) => JSON.parse(line) as object);
}

/** CloudTrail and Windows events, over and over. */
function recordedEvents(count: number): readonly object[] {
  const events = ['cloudtrail-stratus', 'sigma-regression', 'panther-events'].flatMap((folder) =>
    readFileSync(path.join(ROOT, 'testdata', folder, 'events.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => {
        const event = JSON.parse(line) as { readonly event?: object };
        return event.event ?? event;
      }),
  );
  return Array.from({ length: count }, (_, index) => events[index % events.length] as object);
}

function measure(lane: Lane, match: ReturnType<typeof createEventMatcher>['match']): { rate: number; matches: number } {
  let matches = 0;
  const before = process.cpuUsage();
  for (const event of lane.events) matches += match(createJsonFieldView(event as Record<string, unknown>), null).length;
  const { user, system } = process.cpuUsage(before);
  return { rate: (lane.events.length / (user + system)) * 1_000_000, matches };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

function main(): void {
  const count = option('events', 100_000);
  const rounds = option('rounds', 5);
  const synthetic = parsedWorkload(count);
  const recorded = recordedEvents(Math.min(count, 20_000));
  const lanes: readonly Lane[] = [
    ...[10, 100, 1_000, 3_000].map((size) => ({ name: 'synthetic', rules: syntheticRules(size), events: synthetic })),
    ...[10, 100, 603, 3_000].map((size) => ({ name: 'public', rules: publicRules(size), events: synthetic })),
    ...[10, 100, 603, 3_000].map((size) => ({ name: 'recorded', rules: publicRules(size), events: recorded })),
  ];
  const matchers = lanes.map(({ rules }) => createEventMatcher(rules));
  for (const [index, lane] of lanes.entries()) measure(lane, (...event) => matchers[index]?.match(...event) ?? []);
  const runs = Array.from({ length: rounds }, () =>
    lanes.map((lane, index) => measure(lane, (...event) => matchers[index]?.match(...event) ?? [])),
  );
  const results = lanes.map(
    (lane, index): Result => ({
      lane: lane.name,
      rules: lane.rules.length,
      eventsPerCpuSecond: Math.round(median(runs.map((run) => run[index]?.rate ?? 0))),
      matches: runs[0]?.[index]?.matches ?? 0,
    }),
  );
  if (process.argv.includes('--json')) console.log(JSON.stringify(results));
  else console.table(results);
}

main();
