import type { Match, MatchBatch } from '@tracehound/event-model';
import { loadRuleSet, type RuleSetCompiled } from '@tracehound/sigma';
import { smallBatch, smallMatch } from './small-log.ts';

const T0 = 20_000 * 86_400_000;

const CORRELATIONS = [
  'type: event_count\n  rules: [a]\n  group-by: [user]\n  timespan: 10s\n  condition: {gte: 3}',
  'type: value_count\n  rules: [a]\n  group-by: [user]\n  timespan: 1m\n  condition: {gte: 4, field: host}',
  'type: value_sum\n  rules: [a]\n  group-by: [user]\n  timespan: 1m\n  condition: {gte: 100, field: bytes}',
  'type: temporal_ordered\n  rules: [a, b]\n  group-by: [user]\n  timespan: 30s',
  'type: value_avg\n  rules: [a]\n  group-by: [user]\n  timespan: 1m\n  condition: {gte: 1000, field: bytes}',
];

/** A rule of each kind of state: counts, values, sums, steps, and a machine. */
export function ruleSetOfAllKinds(): RuleSetCompiled {
  const detections = ['a', 'b'].map(
    (name) =>
      `title: ${name}\nname: ${name}\nlogsource: {product: test}\ndetection: {s: {type: ${name}}, condition: s}\n`,
  );
  const correlations = CORRELATIONS.map(
    (text, index) => `title: c${index}\nname: c${index}\nstatus: test\ncorrelation:\n  ${text}\n`,
  );
  return loadRuleSet([{ path: 'all-kinds.yml', content: [...detections, ...correlations].join('---\n') }]);
}

const INSTANCES = ['0197f3a2-7c11-7abc-8def-0123456789ab', 'collector-7', null];

/**
 * A log in which hits have every form there is: UUIDs and other ids, source instances that change, stay and are missing, texts
 * beyond ASCII, numbers, events out of order, groups under way, open and thinned.
 */
export function logOfAllKinds(set: RuleSetCompiled): readonly MatchBatch[] {
  const indexOf = (name: string): number => set.correlations.findIndex(({ uid }) => uid === name);
  const matchesOf = (event: number): Match[] => {
    const [offset, late] = [1_000_000 + 7 * event, event % 5 === 4 ? 3_000 : 0];
    const base = smallMatch({
      event_id: event % 3 === 0 ? `event-${event}` : `0197f3a2-7c11-7abc-8def-${event.toString(16).padStart(12, '0')}`,
      event_time: T0 + 900 * event - late,
      group_key: `["s:${event % 4 === 3 ? 'zoë' : 'alice'}"]`,
      source_offset: offset,
      source_instance: INSTANCES[event >> 4] ?? null,
      source_seq: event % 7 === 6 ? null : 40_000 + event,
    });
    return [
      { ...base, rule: indexOf('c0') },
      { ...base, rule: indexOf('c1'), value: event % 2 === 0 ? `hôte-${event % 6}` : `host-${event % 6}` },
      { ...base, rule: indexOf('c2'), number: 2.5 * event },
      { ...base, rule: indexOf('c3'), step: event % 6 === 5 ? 1 : 0 },
      { ...base, rule: indexOf('c4'), number: event, organization_id: 'other' },
    ];
  };
  return Array.from({ length: 12 }, (_, batch) => {
    const events = Array.from({ length: 4 }, (__, index) => 4 * batch + index);
    const to = 1_000_000 + 28 * (batch + 1);
    return smallBatch(set, {
      prev_to: to - 28,
      to,
      watermark: T0 + 3_600 * batch - 20_000,
      matches: events.flatMap(matchesOf),
    });
  });
}
